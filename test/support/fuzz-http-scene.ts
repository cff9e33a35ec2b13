/**
 * The HTTP server of people over stores in memory, with one ceremony of every kind half done: for each route a body that
 * would be taken as it is.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { createHttpServer } from '../../src/http/server.ts'
import { softwarePasskey } from './passkey.ts'
import { NO_LIMITS } from './people-service.ts'
import { ORIGIN, peopleWorld, putDevice, putLogin, putPerson, putTicket, type TestPeopleWorld } from './people-world.ts'
import { terminalKey } from './terminal-key.ts'
import { testKey } from './test-authenticator.ts'
import { testRegistration } from './test-registration.ts'

export interface SceneRequest {
  method: 'GET' | 'POST'
  path: string
  headers: Record<string, string>
  body: unknown
}

export interface HttpScene {
  app: FastifyInstance
  world: TestPeopleWorld
  /** One for each route, some of them of a person who is signed in. */
  genuine: SceneRequest[]
  /** What went wrong inside, as the log has it. */
  errors: unknown[]
}

const HEADERS = { host: new URL(ORIGIN).host, 'content-type': 'application/json' }
const PAGE = { ...HEADERS, origin: ORIGIN, 'sec-fetch-site': 'same-origin' }

export async function httpScene(): Promise<HttpScene> {
  const world = peopleWorld()
  const errors: unknown[] = []
  const app = createHttpServer({
    ...world,
    people: world,
    page: null,
    policyHash: () => 'policy-hash',
    logger: { info: () => {}, warn: () => {}, error: (fields: object) => errors.push(fields) },
    tls: null,
    trustProxy: false,
    rateLimits: NO_LIMITS,
    now: () => new Date(world.clock.now),
    random: (bytes) => randomBytes(bytes),
    uuid: () => randomUUID(),
  })
  // What inject() gives for a socket has no time limit to set.
  app.addHook('onRequest', async ({ socket }) => void Object.assign(socket, { setTimeout: () => socket }))
  putPerson(world, 'alice')
  const { passkey, credential } = putDevice(world, 'alice')
  const cookie = `__Host-nats-webauthn-login=${putLogin(world, 'alice').cookie}`
  const signedIn = { ...PAGE, cookie }

  async function post(path: string, body: unknown, headers: Record<string, string> = PAGE) {
    const answer = await app.inject({ method: 'POST', url: path, headers, payload: JSON.stringify(body) })
    if (answer.statusCode !== 200) throw new Error(`setting a scene: ${path} answered ${answer.statusCode} ${answer.body}`)
    return { ...answer, sent: JSON.parse(answer.body) }
  }
  const genuine: SceneRequest[] = []
  const page = (path: string, body: unknown, headers: Record<string, string> = PAGE) =>
    genuine.push({ method: 'POST', path, headers, body })

  page('/v1/me', {}, signedIn)
  page('/v1/logout', {})
  page('/v1/login/idp', { provider: 'corp', fresh: true })
  page('/v1/login/ticket', { ticket: putTicket(world).ticket })
  page('/v1/login/passkey/begin', {})
  const tap = await post('/v1/login/passkey/begin', {})
  page('/v1/login/passkey/finish', { ceremony: tap.sent.ceremony, response: passkey.get(tap.sent.options) })

  page('/v1/devices/begin', {}, signedIn)
  const [first, second] = [await post('/v1/devices/begin', {}, signedIn), await post('/v1/devices/begin', {}, signedIn)]
  const made = softwarePasskey({ origin: ORIGIN })
  page('/v1/devices/register', { ceremony: first.sent.ceremony, name: 'phone', response: made.create(first.sent.options) }, signedIn)
  const another = softwarePasskey({ origin: ORIGIN })
  const response = another.create(second.sent.options)
  const registered = await post('/v1/devices/register', { ceremony: second.sent.ceremony, name: 'tablet', response }, signedIn)
  const tapped = { ceremony: registered.sent.ceremony, response: another.get(registered.sent.options) }
  page('/v1/devices/activate', tapped, signedIn)
  page('/v1/devices/rename', { id: credential.id, name: 'laptop of alice' }, signedIn)
  page('/v1/devices/remove', { id: credential.id }, signedIn)

  const begin = { nkey: terminalKey(ORIGIN).nkey, flow: 'loopback', host: 'build-7', port: 41_234 }
  page('/v1/session/begin', begin, HEADERS)
  const asks = await Promise.all(['possess', 'endorse', 'complete'].map(() => asking(post)))
  const [possessing, endorsing, completing] = asks as [Asking, Asking, Asking]
  page('/v1/session/possess', { request: possessing.request, signature: possessing.signature }, HEADERS)
  for (const { request, signature } of [endorsing, completing]) await post('/v1/session/possess', { request, signature }, HEADERS)
  page('/v1/session/show', { request: endorsing.request }, signedIn)
  page('/v1/session/show', { code: 'BCDF-GHJK' }, signedIn)
  page('/v1/session/options', { request: endorsing.request }, signedIn)
  page('/v1/session/refuse', { request: endorsing.request }, signedIn)
  page('/v1/session/endorse', { request: endorsing.request, response: await tapFor(endorsing.request) }, signedIn)
  const endorsed = await post('/v1/session/endorse', { request: completing.request, response: await tapFor(completing.request) }, signedIn)
  const code = new URL(endorsed.sent.callback).searchParams.get('code')
  page('/v1/session/complete', { request: completing.request, code }, HEADERS)
  page('/v1/session/poll', { request: completing.request }, HEADERS)
  page('/v1/sessions/end', { nkey: completing.nkey }, signedIn)
  page('/v1/session/end/begin', { nkey: completing.nkey }, HEADERS)
  const ending = terminalKey(ORIGIN)
  const end = await post('/v1/session/end/begin', { nkey: ending.nkey }, HEADERS)
  page('/v1/session/end', { ceremony: end.sent.ceremony, signature: ending.sign(end.sent.issued, 'revoke') }, HEADERS)

  const machine = putTicket(world, { class: 'machine', handle: 'orders' as never })
  page('/v1/enrol/begin', { ticket: machine.ticket }, HEADERS)
  const enrol = await post('/v1/enrol/begin', { ticket: machine.ticket }, HEADERS)
  page('/v1/enrol/register', machineBody(machine.ticket, enrol.sent), HEADERS)
  page('/v1/enrol/activate', { ticket: machine.ticket, ceremony: enrol.sent.ceremony, response: passkey.get(tap.sent.options) }, HEADERS)

  const away = await post('/v1/login/idp', { provider: 'corp' })
  const idpCookie = String(away.headers['set-cookie']).split(';')[0] ?? ''
  const state = new URL(away.sent.url).searchParams.get('state') ?? ''
  const navigation = { host: HEADERS.host, cookie: idpCookie, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
  genuine.push({ method: 'GET', path: '/v1/login/callback', headers: navigation, body: { code: 'the-code', state } })
  return { app, world, genuine, errors }

  async function tapFor(request: string) {
    const { options } = (await post('/v1/session/options', { request }, signedIn)).sent
    return passkey.get(options)
  }
}

interface Asking {
  request: string
  nkey: string
  signature: string
}

/** A terminal's request, and the signature that its nkey owes it. */
async function asking(
  post: (path: string, body: unknown, headers: Record<string, string>) => Promise<{ sent: Record<string, string> }>,
): Promise<Asking> {
  const key = terminalKey(ORIGIN)
  const body = { nkey: key.nkey, flow: 'loopback', host: 'build-7', port: 41_234 }
  const { request = '', issued = '' } = (await post('/v1/session/begin', body, HEADERS)).sent
  return { request, nkey: key.nkey, signature: key.sign(issued, 'plain') }
}

function machineBody(ticket: string, begun: { ceremony: string; options: { challenge: string; rp: { id: string } } }): unknown {
  const { challenge, rp } = begun.options
  const response = testRegistration({
    key: testKey(-8),
    credentialId: Buffer.from(randomBytes(32)).toString('base64url'),
    challenge: Buffer.from(challenge, 'base64url'),
    rpId: rp.id,
  })
  return { ticket, ceremony: begun.ceremony, name: 'host-1', response }
}
