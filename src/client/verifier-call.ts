/** One POST to the verifier and what comes back: bounded in size and time, without redirects, with errors that name no secret. */
import { fromUtf8 } from '../core/encoding.ts'
import { parseUrl } from '../core/server-address.ts'
import { type ClientErrorCode, WebAuthnClientError } from './client-error.ts'

export interface CallOptions {
  /** In place of the global fetch, for proxies and private CAs. It must not follow redirects by itself. */
  fetch?: typeof fetch
  /** For each request. Default: 15 000. */
  timeoutMs?: number
}

/** What is being done, for messages, and the codes of its failures. */
export interface CallPurpose {
  doing: string
  refused: ClientErrorCode
  failed: ClientErrorCode
}

const responseBytesMax = 64 * 1024
const requestMsDefault = 15_000
const misdirectedStatus = 421
// What Node's fetch makes of a 421: where redirects are errors it asks once more, and has no body any more to send (Fetch §4.6).
const MISDIRECTED_CODE = 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'

/** The origin that is dialled, which challenges are bound to: `https://host[:port]`; `http://` only to this very machine. */
export function verifierOrigin(text: string): string {
  const url = parseUrl(text)
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '' || url.pathname !== '/') {
    throw new WebAuthnClientError('url_invalid', "reading the verifier's address: it must be https://host or https://host:port")
  }
  const isLoopback = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(url.hostname)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return url.origin
  throw new WebAuthnClientError('url_invalid', "reading the verifier's address: secrets are sent over https:// only, or to this machine")
}

/** The JSON that the verifier answers to `body`. */
export async function callVerifier(url: string, body: object, purpose: CallPurpose, options: CallOptions): Promise<unknown> {
  const failed = (what: string) => new WebAuthnClientError(purpose.failed, `${purpose.doing}: ${what}`)
  let response: Response
  let bytes: Uint8Array | null
  try {
    response = await (options.fetch ?? fetch)(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(options.timeoutMs ?? requestMsDefault),
    })
    bytes = await readAtMost(response, responseBytesMax)
  } catch (cause) {
    const code = codeOf(cause)
    if (code === MISDIRECTED_CODE) throw misdirected(purpose)
    // Only its code: what fetch and its agents put into the text of their errors is not ours to vouch for.
    throw failed(`no answer from the verifier, or a redirect${code === null ? '' : ` (${code})`}`)
  }
  if (response.status === misdirectedStatus) throw misdirected(purpose)
  const text = bytes === null ? null : fromUtf8(bytes)
  const value = text === null ? undefined : parseJson(text)
  if (response.status === 200) {
    if (value === undefined) throw failed("the verifier's answer is not JSON of a reasonable size")
    return value
  }
  const words = refusalWords(value)
  const said = words.length === 0 ? 'without a code' : words.join('/')
  throw new WebAuthnClientError(purpose.refused, `${purpose.doing}: the verifier answered ${response.status} ${said}`, {
    refusal: words[0] ?? null,
  })
}

/** Whoever answers goes by another name than the one that was dialled, such as localhost and not 127.0.0.1. */
function misdirected({ doing, refused }: CallPurpose): WebAuthnClientError {
  const words = 'the verifier goes by another address, which is enrolment.origin of its configuration: use that'
  return new WebAuthnClientError(refused, `${doing}: ${words}`)
}

/** ECONNREFUSED and the like: which of the many ways not to answer it was. */
function codeOf(error: unknown): string | null {
  const cause = error instanceof Error ? error.cause : undefined
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,63}$/.test(code) ? code : null
}

async function readAtMost(response: Response, bytesMax: number): Promise<Uint8Array | null> {
  if (response.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    // Leaving the loop cancels the body.
    if (size > bytesMax) return null
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Codes alone are repeated, by their pattern: the rest of an answer is a stranger's text.
function refusalWords(value: unknown): string[] {
  const error = memberOf(value, 'error')
  return [memberOf(error, 'code'), memberOf(error, 'check')].flatMap((word) =>
    typeof word === 'string' && /^[a-z_]{1,40}$/.test(word) ? [word] : [],
  )
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
