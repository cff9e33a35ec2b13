/** The AuthenticationResponseJSON (WebAuthn L3 §5.1 `toJSON`) inside a proof, decoded with its limits. */
import { decodeBase64url } from '../base64url.ts'
import { type Checked, denied, passed } from '../checked.ts'
import { base64url } from '../encoding.ts'
import { type CredentialId, parseCredentialId } from '../identifiers.ts'

const clientDataBytesMax = 4 * 1024
const authenticatorDataBytesMax = 2 * 1024
const signatureBytesMax = 5 * 1024
const userHandleBytesMax = 64

export interface AssertionResponse {
  id: CredentialId
  clientDataJSON: Uint8Array
  authenticatorData: Uint8Array
  signature: Uint8Array
  /** Unpadded base64url, or null when the authenticator sent none. */
  userHandle: string | null
}

const MEMBERS = new Set(['id', 'rawId', 'type', 'response', 'clientExtensionResults', 'authenticatorAttachment'])
const RESPONSE_MEMBERS = new Set(['clientDataJSON', 'authenticatorData', 'signature', 'userHandle', 'attestationObject'])

/** Reads an assertion as browsers and authenticators print it: known members only, each within its limit. */
export function parseAssertionResponse(value: unknown): Checked<AssertionResponse> {
  if (!isObject(value) || !Object.keys(value).every((name) => MEMBERS.has(name))) return denied('sig_malformed')
  const { response } = value
  if (!isObject(response) || !Object.keys(response).every((name) => RESPONSE_MEMBERS.has(name))) return denied('sig_malformed')
  if (value['type'] !== 'public-key') return denied('sig_malformed')
  const id = parseCredentialId(value['id'])
  if (id === null || (value['rawId'] !== undefined && value['rawId'] !== id)) return denied('sig_malformed')
  const clientDataJSON = bytesOf(response['clientDataJSON'], clientDataBytesMax)
  if (!clientDataJSON.ok) return clientDataJSON
  const authenticatorData = bytesOf(response['authenticatorData'], authenticatorDataBytesMax)
  if (!authenticatorData.ok) return authenticatorData
  const signature = bytesOf(response['signature'], signatureBytesMax)
  if (!signature.ok) return signature
  const userHandle = readUserHandle(response['userHandle'])
  if (!userHandle.ok) return userHandle
  return passed({
    id,
    clientDataJSON: clientDataJSON.value,
    authenticatorData: authenticatorData.value,
    signature: signature.value,
    userHandle: userHandle.value,
  })
}

// Browsers omit it or print null; some clients print '' for an authenticator that sent none, as no handle is that short.
function readUserHandle(value: unknown): Checked<string | null> {
  if (value === undefined || value === null || value === '') return passed(null)
  const bytes = bytesOf(value, userHandleBytesMax)
  return bytes.ok ? passed(base64url(bytes.value)) : bytes
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bytesOf(value: unknown, bytesMax: number): Checked<Uint8Array> {
  if (typeof value !== 'string') return denied('sig_malformed')
  if (value.length > Math.ceil((bytesMax * 4) / 3)) return denied('sig_oversized')
  const bytes = decodeBase64url(value)
  return bytes === null ? denied('sig_malformed') : passed(bytes)
}
