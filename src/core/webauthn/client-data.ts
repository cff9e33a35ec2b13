/** The clientDataJSON of an assertion (WebAuthn L3 §5.8.1), read so that nobody can read it differently. */
import { fromUtf8 } from '../encoding.ts'
import { parseStrictJson } from '../strict-json.ts'

// Client data is flat except for tokenBinding; members that a later specification adds may nest a little.
const jsonDepthMax = 8
const TOKEN_BINDING_STATUS: readonly unknown[] = ['present', 'supported', 'notSupported']

/** What the client claims. A missing member is undefined and equals nothing that is expected. */
export interface ClientData {
  type: unknown
  challenge: unknown
  origin: unknown
  crossOrigin: boolean
  /** Whether a top-level origin is named, whatever it is. */
  hasTopOrigin: boolean
}

/** The client data, or null when it is not UTF-8, not JSON, ambiguous, or has a member of the wrong kind. */
export function parseClientData(bytes: Uint8Array): ClientData | null {
  // WebAuthn L3 §7.2 step 8: "UTF-8 decode" drops a byte order mark. Stricter: what is not UTF-8 is refused, not replaced.
  const text = fromUtf8(hasByteOrderMark(bytes) ? bytes.subarray(3) : bytes)
  if (text === null) return null
  // Step 9. Stricter: no member twice, or another reader could see another origin or challenge.
  const value = parseStrictJson(text, jsonDepthMax)
  if (!isObject(value)) return null
  const crossOrigin = value['crossOrigin']
  if (crossOrigin !== undefined && typeof crossOrigin !== 'boolean') return null
  // Reserved since Level 3. Stricter: what is there must at least have the shape it had before.
  const tokenBinding = value['tokenBinding']
  if (tokenBinding !== undefined && !(isObject(tokenBinding) && TOKEN_BINDING_STATUS.includes(tokenBinding['status']))) return null
  return {
    type: value['type'],
    challenge: value['challenge'],
    origin: value['origin'],
    crossOrigin: crossOrigin === true,
    hasTopOrigin: value['topOrigin'] !== undefined,
  }
}

function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
