/** SHA-256 by node:crypto, in the shape that protocol.ts asks for. */
import { hash } from 'node:crypto'

/** The 32-byte digest of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}
