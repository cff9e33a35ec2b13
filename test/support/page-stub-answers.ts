/** The answers of the page's stub: one person, whose devices and sessions come and go. */
import { randomBytes } from 'node:crypto'
import { decodeAttestationObject, parseAuthenticatorData } from '@simplewebauthn/server/helpers'
import { parseCredentialId } from '../../src/core/identifiers.ts'
import type { DeviceView } from '../../src/core/people/people.ts'
import type { StubState } from './page-stub.ts'
import { deviceView } from './page-views.ts'

// biome-ignore lint/suspicious/noExplicitAny: a stub takes what the page sent; what is wrong with it fails the test.
type Body = any

export interface StubAnswer {
  status: number
  body: object
}

const ok = (body: object): StubAnswer => ({ status: 200, body })
const no = (status: number, code: string): StubAnswer => ({ status, body: { error: { code, message: 'A sentence of the service.' } } })

/** Path and body → answer. */
export function stubAnswers(state: StubState, origin: string): (path: string, body: Body) => StubAnswer {
  const ceremonies = stubCeremonies(state, origin)
  const routes = { ...loginRoutes(state, origin, ceremonies), ...deviceRoutes(state, ceremonies), ...sessionRoutes(state, ceremonies) }
  return (path, body) => {
    const route: ((body: Body) => StubAnswer) | undefined = Object.hasOwn(routes, path) ? routes[path] : undefined
    if (route === undefined) return no(404, 'request_malformed')
    return state.signedIn || path.startsWith('/v1/login/') ? route(body) : no(401, 'login_required')
  }
}

type Routes = Record<string, (body: Body) => StubAnswer>

interface Ceremonies {
  begin(purpose: string): { ceremony: string; challenge: string }
  /** Whether `response` is for the challenge that was given out, and this page's. */
  finish(ceremony: string, purpose: string, response: Body): boolean
}

function stubCeremonies(state: StubState, origin: string): Ceremonies {
  const issued = new Map<string, string>()
  return {
    begin: (purpose) => {
      const [ceremony, challenge] = [randomBytes(16).toString('base64url'), randomBytes(32).toString('base64url')]
      issued.set(`${purpose} ${ceremony}`, challenge)
      return { ceremony, challenge }
    },
    finish: (ceremony, purpose, response) => {
      const challenge = issued.get(`${purpose} ${ceremony}`)
      issued.delete(`${purpose} ${ceremony}`)
      const client = JSON.parse(Buffer.from(response.response.clientDataJSON, 'base64url').toString())
      return challenge !== undefined && client.challenge === challenge && client.origin === origin && state.rpId !== null
    },
  }
}

function loginRoutes(state: StubState, origin: string, ceremonies: Ceremonies): Routes {
  const enter = () => {
    state.signedIn = true
    return ok({ person: state.person })
  }
  return {
    '/v1/login/idp': () => ok({ url: state.providerUrl ?? `${origin}/v1/login/callback?code=stub` }),
    '/v1/login/ticket': ({ ticket }) => (ticket === state.ticket ? enter() : no(403, 'ticket_invalid')),
    '/v1/login/passkey/begin': () => {
      const { ceremony, challenge } = ceremonies.begin('signin')
      return ok({ ceremony, options: { ...requestOptions(state, challenge), allowCredentials: [] } })
    },
    '/v1/login/passkey/finish': ({ ceremony, response }) => {
      if (!ceremonies.finish(ceremony, 'signin', response)) return no(409, 'ceremony_invalid')
      const device = state.person.devices.find(({ id }) => id === response.id)
      if (device === undefined) return no(403, 'passkey_refused')
      state.person.devices = state.person.devices.map((it) => ({ ...it, current: it.id === device.id }))
      state.person.how = 'passkey'
      return enter()
    },
    '/v1/logout': () => {
      state.signedIn = false
      return ok({})
    },
    '/v1/me': () => ok({ person: state.person }),
  }
}

function deviceRoutes(state: StubState, ceremonies: Ceremonies): Routes {
  const registered = new Map<string, DeviceView>()
  return {
    '/v1/devices/begin': () => {
      const { ceremony, challenge } = ceremonies.begin('enrol')
      return ok({ ceremony, options: creationOptions(state, challenge) })
    },
    '/v1/devices/register': ({ ceremony, name, response }) => {
      if (!ceremonies.finish(ceremony, 'enrol', response)) return no(409, 'ceremony_invalid')
      const next = ceremonies.begin('enrol-possession')
      const device = deviceOf(name, response)
      registered.set(next.ceremony, device)
      const allowCredentials = [{ id: device.id, type: 'public-key', transports: device.transports }]
      return ok({ ceremony: next.ceremony, options: { ...requestOptions(state, next.challenge), allowCredentials } })
    },
    '/v1/devices/activate': ({ ceremony, response }) => {
      const device = registered.get(ceremony)
      if (device === undefined || device.id !== response.id || !ceremonies.finish(ceremony, 'enrol-possession', response))
        return no(422, 'possession_invalid')
      state.person.devices = [...state.person.devices, device]
      return ok({ device, person: state.person })
    },
    '/v1/devices/rename': ({ id, name }) => {
      state.person.devices = state.person.devices.map((device) => (device.id === id ? { ...device, name } : device))
      return ok({ person: state.person })
    },
    '/v1/devices/remove': ({ id }) => {
      const loginEnds = state.person.how === 'passkey' && state.person.devices.some((device) => device.id === id && device.current)
      state.person.devices = state.person.devices.filter((device) => device.id !== id)
      state.person.sessions = state.person.sessions.filter(({ device }) => device?.id !== id)
      if (loginEnds) state.signedIn = false
      return ok({ person: loginEnds ? null : state.person, connections: state.connections })
    },
  }
}

function sessionRoutes(state: StubState, ceremonies: Ceremonies): Routes {
  let pending = ''
  return {
    '/v1/sessions/end': ({ nkey }) => {
      state.person.sessions = state.person.sessions.filter((session) => session.nkey !== nkey)
      return ok({ person: state.person, connections: state.connections })
    },
    '/v1/session/show': ({ request, code }) => {
      const open = state.request
      const isMeant = open !== null && (open.flow === 'code' ? code === open.code : request === open.request)
      return isMeant ? ok({ session: open }) : no(409, 'request_gone')
    },
    '/v1/session/options': () => {
      const { ceremony, challenge } = ceremonies.begin('session')
      pending = ceremony
      const allowCredentials = state.person.devices.map(({ id, transports }) => ({ id, type: 'public-key', transports }))
      return ok({ options: { ...requestOptions(state, challenge), allowCredentials } })
    },
    '/v1/session/endorse': ({ response }) => {
      if (state.request === null || !ceremonies.finish(pending, 'session', response)) return no(409, 'request_gone')
      const { flow } = state.request
      state.request = null
      return ok({ callback: flow === 'loopback' ? state.callback : null })
    },
    '/v1/session/refuse': () => {
      state.request = null
      return ok({})
    },
  }
}

function creationOptions({ person, rpId, timeoutMs }: StubState, challenge: string): object {
  return {
    challenge,
    rp: { id: rpId, name: 'NATS' },
    user: { id: person.userHandle, name: person.handle, displayName: person.displayName },
    pubKeyCredParams: [
      { alg: -7, type: 'public-key' },
      { alg: -8, type: 'public-key' },
      { alg: -257, type: 'public-key' },
    ],
    timeout: timeoutMs,
    attestation: 'none',
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    excludeCredentials: person.devices.map(({ id, transports }) => ({ id, type: 'public-key', transports })),
  }
}

function requestOptions({ rpId, timeoutMs }: StubState, challenge: string): object {
  return { challenge, rpId, timeout: timeoutMs, userVerification: 'required' }
}

/** What an authenticator said of itself. */
function deviceOf(name: string, { id, response }: Body): DeviceView {
  const attestation = decodeAttestationObject(new Uint8Array(Buffer.from(response.attestationObject, 'base64url')))
  const { aaguid, flags } = parseAuthenticatorData(attestation.get('authData'))
  const hex = Buffer.from(aaguid ?? new Uint8Array(16)).toString('hex')
  const credential = parseCredentialId(id)
  if (credential === null) throw new Error('reading a registration')
  return deviceView({
    id: credential,
    name,
    aaguid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    synced: flags.be,
    backedUp: flags.bs,
    transports: response.transports ?? [],
    createdAt: Date.now(),
  })
}
