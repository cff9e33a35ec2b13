/** The service's HTTP API, as this page calls it (docs/http-api.md). */
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/browser'
import type { DeviceView, PersonView, SessionRequestView } from '../core/people/people.ts'
import { done, failed, type Outcome } from './failure.ts'
import { isKnownCode } from './words.ts'

type Nothing = Record<string, never>
type Kicked = { kicked: number; failed: number }
type Person = { person: PersonView }
type CreationCeremony = { ceremony: string; options: PublicKeyCredentialCreationOptionsJSON }
type RequestCeremony = { ceremony: string; options: PublicKeyCredentialRequestOptionsJSON }
type Signed = { ceremony: string; response: AuthenticationResponseJSON }

/** Path → what is sent, what comes back. */
interface Calls {
  '/v1/login/idp': [{ provider: string; fresh?: boolean }, { url: string }]
  '/v1/login/ticket': [{ ticket: string }, Person]
  '/v1/login/passkey/begin': [Nothing, RequestCeremony]
  '/v1/login/passkey/finish': [Signed, Person]
  '/v1/logout': [Nothing, Nothing]
  '/v1/me': [Nothing, Person]
  '/v1/devices/begin': [Nothing, CreationCeremony]
  '/v1/devices/register': [{ ceremony: string; name: string; response: RegistrationResponseJSON }, RequestCeremony]
  '/v1/devices/activate': [Signed, Person & { device: DeviceView }]
  '/v1/devices/rename': [{ id: string; name: string }, Person]
  /** `person` is null when the login ended with the device. */
  '/v1/devices/remove': [{ id: string }, { person: PersonView | null; connections: Kicked }]
  '/v1/sessions/end': [{ nkey: string }, Person & { connections: Kicked }]
  '/v1/session/show': [{ request: string } | { code: string }, { session: SessionRequestView }]
  '/v1/session/options': [{ request: string }, { options: PublicKeyCredentialRequestOptionsJSON }]
  '/v1/session/endorse': [{ request: string; response: AuthenticationResponseJSON }, { callback: string | null }]
  '/v1/session/refuse': [{ request: string }, Nothing]
}

/** What the page is told before anybody signed in. */
export interface PageInfo {
  providers: { name: string; label: string }[]
  rpId: string
}

/** `rpId` is null where the service has no relying party for people. */
type PageAnswer = Pick<PageInfo, 'providers'> & { rpId: string | null }

const patienceMs = 20_000

/** Sends `body` and reads the answer. */
export function call<P extends keyof Calls>(path: P, body: Calls[P][0]): Promise<Outcome<Calls[P][1]>> {
  return exchange(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

/** Which ways to sign in there are. */
export function readPageInfo(): Promise<Outcome<PageAnswer>> {
  return exchange('/v1/page', { method: 'GET' })
}

async function exchange<T>(path: string, request: RequestInit): Promise<Outcome<T>> {
  let response: Response
  let body: unknown
  try {
    response = await fetch(path, {
      ...request,
      credentials: 'same-origin',
      redirect: 'error',
      cache: 'no-store',
      signal: AbortSignal.timeout(patienceMs),
    })
    body = await response.json()
  } catch {
    return failed('network')
  }
  // The page and the service are one origin and one version: the shape of an answer is the service's promise.
  if (response.ok) return done(body as T)
  const { code, check } = errorOf(body)
  if (!isKnownCode(code)) return failed('unexpected')
  return failed(code, { check, waitSeconds: waitOf(response) })
}

function errorOf(body: unknown): { code: string; check: string | null } {
  const error = memberOf(body, 'error')
  const code = memberOf(error, 'code')
  const check = memberOf(error, 'check')
  return { code: typeof code === 'string' ? code : '', check: typeof check === 'string' ? check : null }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, name)?.value
}

function waitOf(response: Response): number | null {
  const seconds = Number(response.headers.get('retry-after') ?? '')
  return Number.isInteger(seconds) && seconds > 0 ? seconds : null
}
