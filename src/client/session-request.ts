/**
 * A terminal's side of `login` and `logout` (docs/login.md): an nkey made here is endorsed by a person's tap in a browser.
 * The private key never travels.
 */
import { base64url } from '../core/encoding.ts'
import { CODE_LETTERS, ceremonyChallenge, possessionMessage, sessionCheckCode, sessionSubject } from '../core/protocol.ts'
import { answerReader, PATTERNS } from './answer-members.ts'
import { WebAuthnClientError } from './client-error.ts'
import type { SessionKey } from './session-key.ts'
import { sha256 } from './sha256.ts'
import { type CallOptions, callVerifier, verifierOrigin } from './verifier-call.ts'

export interface SessionRequestOptions extends CallOptions {
  /** The verifier's address, `https://host[:port]`; `http://` only to this very machine. */
  url: string
  key: SessionKey
  /** What the person is shown of this machine: text, at most 64 characters. */
  host: string
  /** Port of a listener on 127.0.0.1, for the loopback flow; null: the person types a code. */
  port: number | null
}

/** The session that a person endorsed. */
export interface TerminalSession {
  handle: string
  nkey: string
  roles: string[]
  /** Addresses of the NATS servers. */
  urls: string[]
  inboxPrefix: string
  /** Epoch milliseconds. */
  expiresAt: number
}

export interface OpenSessionRequest {
  request: string
  /** Where the person goes. */
  url: string
  /** The code to type, or in the loopback flow the code that the page must show as well: `XXXX-XXXX`. */
  code: string
  /** Epoch milliseconds by the verifier's clock. */
  expiresAt: number
  /** Whether the person has answered. */
  poll(): Promise<{ state: 'waiting' | 'refused' } | { state: 'complete'; session: TerminalSession }>
  /** With what the browser brought to the listener. */
  complete(code: string): Promise<TerminalSession>
}

const PURPOSE = { doing: 'asking for a session', refused: 'session_refused', failed: 'session_failed' } as const
const ENDING = { ...PURPOSE, doing: 'ending the session' } as const
const CODE = new RegExp(`^[${CODE_LETTERS}]{4}-[${CODE_LETTERS}]{4}$`)

/** Asks for a session for `key`, and proves that it is in these hands. */
export async function requestSession(options: SessionRequestOptions): Promise<OpenSessionRequest> {
  const { key, host, port } = options
  const origin = verifierOrigin(options.url)
  const post = (step: string, body: object) => callVerifier(`${origin}/v1/session/${step}`, body, PURPOSE, options)

  const flow = port === null ? { flow: 'code' } : { flow: 'loopback', port }
  const answer = objectOf(await post('begin', { nkey: key.nkey, host, ...flow }), 'the answer')
  const request = textOf(answer['request'], 'request', PATTERNS.id)
  const code = textOf(answer['code'], 'code', CODE)
  const url = textOf(answer['url'], 'url', PATTERNS.url)
  // The page to open is the verifier's that was dialled, and what it shows is what this terminal can show by itself.
  if (url !== (port === null ? `${origin}/#code` : `${origin}/#session=${request}`)) throw unexpected('url')
  if (port !== null && code !== sessionCheckCode(sha256, { request, nkey: key.nkey })) throw unexpected('code')
  await post('possess', { request, signature: possession(key, { issued: answer['issued'], origin, act: 'plain' }) })
  return {
    request,
    url,
    code,
    expiresAt: timeOf(answer['expiresAt'], 'expiresAt'),
    async poll() {
      const { state, session } = objectOf(await post('poll', { request }), 'the answer')
      if (state === 'complete') return { state, session: readSession(session, key) }
      if (state !== 'waiting' && state !== 'refused') throw unexpected('state')
      return { state }
    },
    complete: async (completion) =>
      readSession(objectOf(await post('complete', { request, code: completion }), 'the answer')['session'], key),
  }
}

/** Ends the session of `key` for good, with its connections. False: there was none in force. */
export async function endSession({ url, key, ...options }: { url: string; key: SessionKey } & CallOptions): Promise<boolean> {
  const origin = verifierOrigin(url)
  const post = (step: string, body: object) => callVerifier(`${origin}/v1/session/${step}`, body, ENDING, options)
  const { ceremony, issued } = objectOf(await post('end/begin', { nkey: key.nkey }), 'the answer')
  const signature = possession(key, { issued, origin, act: 'revoke' })
  const { ended } = objectOf(await post('end', { ceremony: textOf(ceremony, 'ceremony', PATTERNS.id), signature }), 'the answer')
  if (typeof ended !== 'boolean') throw unexpected('ended')
  return ended
}

/** Signs what was dialled, not what was answered: what a relay passes on to the real verifier proves nothing there. */
function possession(key: SessionKey, about: { issued: unknown; origin: string; act: 'plain' | 'revoke' }): string {
  const issued = bytesOf(about.issued, 'issued')
  if (issued.length !== 32) throw unexpected('issued')
  const subject = sessionSubject(key.nkey, about.act)
  const challenge = ceremonyChallenge(sha256, { purpose: 'session', issued, origin: about.origin, subject })
  return base64url(key.sign(possessionMessage(sha256, challenge)))
}

function readSession(value: unknown, key: SessionKey): TerminalSession {
  const session = objectOf(value, 'session')
  if (session['nkey'] !== key.nkey) throw unexpected('session.nkey')
  return {
    handle: textOf(session['handle'], 'session.handle', PATTERNS.handle),
    nkey: key.nkey,
    roles: listOf(session['roles'], 'session.roles').map((role) => textOf(role, 'session.roles', PATTERNS.role)),
    urls: listOf(session['urls'], 'session.urls').map((url) => textOf(url, 'session.urls', PATTERNS.url)),
    inboxPrefix: textOf(session['inboxPrefix'], 'session.inboxPrefix', PATTERNS.inboxPrefix),
    expiresAt: timeOf(session['expiresAt'], 'session.expiresAt'),
  }
}

const { objectOf, listOf, textOf, bytesOf, timeOf } = answerReader(unexpected)

function unexpected(name: string): WebAuthnClientError {
  return new WebAuthnClientError('session_failed', `asking for a session: ${name} in the verifier's answer is not as expected`)
}
