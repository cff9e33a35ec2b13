/** The enrolment server on a real port, over stores in memory, and a client that can do everything wrong. */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import type { EnrolmentWorld } from '../../src/core/enrolment/enrolment-steps.ts'
import { parseHandle, parseRoleName, type RoleName } from '../../src/core/identifiers.ts'
import { type CeremonyPurpose, ceremonyChallenge, MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import type { CeremonyRecord, CredentialRecord, TicketRecord } from '../../src/core/records.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { createHttpServer, DEFAULT_RATE_LIMITS, type HttpServerOptions } from '../../src/http/server.ts'
import { freePort } from './free-port.ts'
import { memoryIdentities, memoryLifecycle, memoryRecords } from './memory-stores.ts'
import { testRules } from './rules.ts'
import { type AssertionInput, b64u, FLAGS, testAssertion, testKey } from './test-authenticator.ts'
import { type RegistrationInput, testRegistration } from './test-registration.ts'

export const MACHINE_RP_ID = 'machines.nats.test'
export const NATS_URLS = ['nats://localhost:4222']

/** What the server said, whatever it was. */
export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect and fail on anything else.
  body: any
  text: string
}

export async function startEnrolmentService(overrides: Partial<HttpServerOptions> = {}) {
  const stores = {
    tickets: memoryRecords<TicketRecord>(),
    ceremonies: memoryRecords<CeremonyRecord>(),
    credentials: memoryRecords<CredentialRecord>(),
    identities: memoryIdentities(),
    lifecycle: memoryLifecycle(),
  }
  const clock = { now: Date.now() }
  const log: string[] = []
  const write = (fields: object, message: string) => void log.push(JSON.stringify({ ...fields, message }, printable))
  const port = await freePort()
  const scheme = overrides.tls ? 'https' : 'http'
  const origin = overrides.origin ?? `${scheme}://127.0.0.1:${port}`
  const app = createHttpServer({
    ...stores,
    origin,
    rules: machineRules(),
    urls: NATS_URLS,
    people: null,
    page: null,
    policyHash: () => 'policy-hash',
    logger: { info: write, warn: write, error: write },
    tls: null,
    trustProxy: false,
    rateLimits: { ...DEFAULT_RATE_LIMITS, perSource: 100_000 },
    now: () => new Date(clock.now),
    random: (bytes) => randomBytes(bytes),
    uuid: () => randomUUID(),
    ...overrides,
  })
  await app.listen({ port, host: '127.0.0.1' })
  const base = `${scheme}://127.0.0.1:${port}`
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    send(`${base}${path}`, typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body), headers)
  return {
    ...stores,
    app,
    base,
    port,
    origin,
    clock,
    log,
    post,
    invite: (change: Partial<TicketRecord> = {}) => invite(stores.tickets, clock.now, change),
    stop: () => app.close(),
  }
}

export type EnrolmentService = Awaited<ReturnType<typeof startEnrolmentService>>

function printable(_: string, value: unknown): unknown {
  return value instanceof Error ? { message: value.message, stack: value.stack, cause: value.cause } : value
}

export function machineRules(): EnrolmentWorld['rules'] {
  return testRules({ machine: { rpId: MACHINE_RP_ID } })
}

async function send(url: string, body: string | Uint8Array, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', body: body as BodyInit, headers: { 'content-type': 'application/json', ...headers } })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parsed(text), text }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

export function roles(...names: string[]): RoleName[] {
  return names.map((name) => parseRoleName(name) ?? fail(name))
}

function fail(what: string): never {
  throw new Error(`not a name: ${what}`)
}

/** Issues a ticket; its text is what the machine gets. */
export function invite(tickets: { put(key: string, record: TicketRecord): void }, now: number, change: Partial<TicketRecord> = {}): string {
  const text = ticketText(randomBytes(32))
  tickets.put(ticketId(text), ticketRecord(text, now, change))
  return text
}

export function ticketRecord(text: string, now: number, change: Partial<TicketRecord> = {}): TicketRecord {
  return {
    v: 1,
    id: ticketId(text),
    class: 'machine',
    handle: parseHandle('orders') ?? fail('orders'),
    displayName: 'Orders service',
    roles: roles('orders-writer'),
    invitedBy: 'admin',
    createdAt: now,
    expiresAt: now + 3_600_000,
    state: 'issued',
    usedAt: null,
    ...change,
  }
}

/** The challenge as docs/enrolment.md has it. */
export function challengeFor(purpose: CeremonyPurpose, issued: string, origin: string, subject: string): Uint8Array {
  return ceremonyChallenge(sha256, { purpose, issued: Buffer.from(issued, 'base64url'), origin, subject })
}

export function subjectOf(ticket: string): string {
  return b64u(createHash('sha256').update(ticket).digest())
}

export interface MachineChange {
  registration?: Partial<RegistrationInput>
  assertion?: Partial<AssertionInput>
  /** In place of the ceremony ids of the second and third request. */
  ceremonies?: { register?: string; activate?: string }
  name?: string
}

/** An honest machine, step by step, unless `change` says otherwise. */
export function machine<A extends Pick<Answer, 'status' | 'body'>>(
  service: { origin: string; post(path: string, body: unknown): Promise<A> },
  ticket: string,
  change: MachineChange = {},
) {
  const key = change.registration?.key ?? testKey(-7)
  const credentialId = change.registration?.credentialId ?? b64u(randomBytes(32))
  const begin = () => service.post('/v1/enrol/begin', { ticket })
  const register = (begun: A) => {
    const challenge = challengeFor('enrol', begun.body.issued, service.origin, subjectOf(ticket))
    const response = testRegistration({ key, credentialId, challenge, rpId: MACHINE_RP_ID, ...change.registration })
    const ceremony = change.ceremonies?.register ?? begun.body.ceremony
    return service.post('/v1/enrol/register', { ticket, ceremony, name: change.name ?? 'orders on host 1', response })
  }
  const activate = (registered: A) => {
    const challenge = challengeFor('enrol-possession', registered.body.issued, service.origin, credentialId)
    const flags = FLAGS.BE
    const response = testAssertion({
      key,
      credentialId,
      challenge,
      rpId: MACHINE_RP_ID,
      origin: MACHINE_ORIGIN,
      flags,
      ...change.assertion,
    })
    const ceremony = change.ceremonies?.activate ?? registered.body.ceremony
    return service.post('/v1/enrol/activate', { ticket, ceremony, response })
  }
  return {
    key,
    credentialId,
    begin,
    register,
    activate,
    /** The answer to the first step that was refused, or to the last. */
    async enrol(): Promise<A> {
      const begun = await begin()
      if (begun.status !== 200) return begun
      const registered = await register(begun)
      return registered.status === 200 ? activate(registered) : registered
    },
  }
}

/** `status code/check` of a refusal, or the status alone. */
export function verdictOf(answer: Answer): string {
  const { code, check } = answer.body?.error ?? {}
  return [answer.status, [code, check].filter((part) => part !== undefined).join('/')].filter((part) => part !== '').join(' ')
}

/** Ids of the credentials that could admit somebody. */
export function activeIn(service: EnrolmentService): string[] {
  return [...service.credentials.all().values()].filter(({ record }) => record.state === 'active').map(({ record }) => record.id)
}

/** The last refusal on record: `reason/check`. Refusals are recorded without waiting, so this stops the service. */
export async function recordedRefusal(service: EnrolmentService): Promise<string> {
  await service.stop()
  const event = service.lifecycle.events.findLast(({ outcome }) => outcome === 'refused')
  return [event?.reason, event?.facts['check']].filter((part) => part !== undefined).join('/')
}

/** Asserts what an enrolment with `change` is answered, and that nothing it left behind admits anybody. */
export async function refuses(service: EnrolmentService, change: MachineChange, verdict: string, recorded?: string): Promise<void> {
  assert.equal(verdictOf(await machine(service, service.invite(), change).enrol()), verdict)
  assert.deepEqual(activeIn(service), [])
  if (recorded !== undefined) assert.equal(await recordedRefusal(service), recorded)
}
