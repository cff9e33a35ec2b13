/** Who computes signatures and boxes: chosen once, when the verifier starts (ADR-0017). */
import { ConfigInvalid } from './config.ts'
import { type Ed25519, opensslEd25519 } from './core/ed25519.ts'
import { loadLibsodium } from './libsodium.ts'
import { type SecretBox, tweetnaclBox } from './nats/xkey.ts'

export interface Crypto {
  name: 'libsodium' | 'node'
  ed25519: Ed25519
  secretBox: SecretBox
}

/** What comes with Node, and tweetnacl for the box. */
export const nodeCrypto: Crypto = { name: 'node', ed25519: opensslEd25519, secretBox: tweetnaclBox }

/** libsodium where it can be had. `wanted` is NATS_WEBAUTHN_CRYPTO: `node` does without it. Throws ConfigInvalid. */
export function chooseCrypto(wanted: string | undefined): Crypto {
  if (wanted === 'node') return nodeCrypto
  if (wanted !== undefined && wanted !== 'auto') throw new ConfigInvalid(['NATS_WEBAUTHN_CRYPTO: must be auto or node'])
  return loadLibsodium() ?? nodeCrypto
}
