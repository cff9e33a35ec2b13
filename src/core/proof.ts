/** Stage "read": what `sig` says, in one of the four forms of the wire protocol (docs/protocol.md §2). */
import { decodeBase64url } from './base64url.ts'
import { type Checked, denied, passed } from './checked.ts'
import { fromUtf8 } from './encoding.ts'
import { parseServerUrl, parseUserNkey, type ServerUrl, type UserNkey } from './identifiers.ts'
import { parseStrictJson } from './strict-json.ts'
import { type AssertionResponse, parseAssertionResponse } from './webauthn/assertion-response.ts'

// 16 KiB of base64url are 12 KiB of JSON.
const sigCharsMax = 16 * 1024
const jsonDepthMax = 6
const ed25519SignatureBytes = 64

/** What a connection offers. `nkey` is only ever one that the form uses. */
export type Offer =
  | { form: 'proof'; url: ServerUrl; assertion: AssertionResponse; nkey: UserNkey | null }
  | { form: 'endorsing'; url: ServerUrl; assertion: AssertionResponse; nkey: UserNkey; resume: Uint8Array; plain: boolean }
  | { form: 'bound'; url: ServerUrl; nkey: UserNkey; resume: Uint8Array }
  | { form: 'plain'; nkey: UserNkey; signature: Uint8Array }

/** Reads CONNECT's `sig` and `nkey`. Strict: one spelling per meaning, unknown members refused. */
export function readOffer(connect: { sig: string; nkey: string }): Checked<Offer> {
  const { sig } = connect
  if (sig.length > sigCharsMax) return denied('sig_oversized')
  const plain = readPlainSignature(sig)
  if (plain !== null) {
    const nkey = parseUserNkey(connect.nkey)
    return nkey === null ? denied('nkey_malformed') : passed({ form: 'plain', nkey, signature: plain })
  }
  const bytes = decodeBase64url(sig)
  if (bytes === null) return denied('sig_malformed')
  const text = fromUtf8(bytes)
  if (text === null) return denied('sig_malformed')
  return readMembers(parseStrictJson(text, jsonDepthMax), connect.nkey)
}

// 64 bytes are shorter than the shortest JSON form, so the two can never be mistaken for each other.
function readPlainSignature(sig: string): Uint8Array | null {
  if (sig.length === 86) return decodeBase64url(sig)
  if (sig.length !== 88 || !sig.endsWith('==')) return null
  const urlSafe = sig.slice(0, 86)
  if (/[-_]/.test(urlSafe)) return null
  return decodeBase64url(urlSafe.replaceAll('+', '-').replaceAll('/', '_'))
}

function readMembers(value: unknown, nkeyText: string): Checked<Offer> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return denied('sig_malformed')
  const members = value as Record<string, unknown>
  if (members['v'] !== 1) return denied('sig_malformed')
  const url = parseServerUrl(members['url'])
  if (url === null) return denied('sig_malformed')
  switch (Object.keys(members).sort().join(' ')) {
    case 'assertion url v': {
      const assertion = parseAssertionResponse(members['assertion'])
      if (!assertion.ok) return assertion
      if (nkeyText === '') return passed({ form: 'proof', url, assertion: assertion.value, nkey: null })
      const nkey = parseUserNkey(nkeyText)
      if (nkey === null) return denied('nkey_malformed')
      return passed({ form: 'proof', url, assertion: assertion.value, nkey })
    }
    case 'assertion plain resume url v':
      if (members['plain'] !== true) return denied('sig_malformed')
      return readEndorsing(members, url, { nkeyText, plain: true })
    case 'assertion resume url v':
      return readEndorsing(members, url, { nkeyText, plain: false })
    case 'resume url v': {
      const resume = readResume(members['resume'])
      if (resume === null) return denied('sig_malformed')
      const nkey = parseUserNkey(nkeyText)
      return nkey === null ? denied('nkey_malformed') : passed({ form: 'bound', url, nkey, resume })
    }
    default:
      return denied('sig_malformed')
  }
}

function readEndorsing(
  members: Record<string, unknown>,
  url: ServerUrl,
  { nkeyText, plain }: { nkeyText: string; plain: boolean },
): Checked<Offer> {
  const assertion = parseAssertionResponse(members['assertion'])
  if (!assertion.ok) return assertion
  const resume = readResume(members['resume'])
  if (resume === null) return denied('sig_malformed')
  const nkey = parseUserNkey(nkeyText)
  if (nkey === null) return denied('nkey_malformed')
  return passed({ form: 'endorsing', url, assertion: assertion.value, nkey, resume, plain })
}

function readResume(value: unknown): Uint8Array | null {
  if (typeof value !== 'string') return null
  const bytes = decodeBase64url(value)
  return bytes !== null && bytes.length === ed25519SignatureBytes ? bytes : null
}
