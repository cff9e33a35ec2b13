/** The exchange of docs/enrolment.md, made again: fixed key, ticket, clock and random bytes; Ed25519 signatures are deterministic. */
import { createAssertion, createRegistration, fileKeyFromPkcs8 } from '../../src/client/software-authenticator.ts'
import { ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import { MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import type { CeremonyRecord, CredentialRecord, TicketRecord } from '../../src/core/records.ts'
import { createHttpServer, DEFAULT_RATE_LIMITS } from '../../src/http/server.ts'
import { challengeFor, machineRules, subjectOf, ticketRecord } from './enrolment-service.ts'
import { memoryIdentities, memoryLifecycle, memoryRecords } from './memory-stores.ts'
import { b64u } from './test-authenticator.ts'

const origin = 'https://verifier.example.com'
const rpId = 'machines.nats.example.com'
const now = Date.parse('2026-11-20T12:00:00Z')
// PKCS #8 of the Ed25519 seed in RFC 8032 §7.1, test 1.
const pkcs8 = Buffer.from('302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')

export interface Exchange {
  path: string
  request: Record<string, unknown>
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: compared as a whole, and read where it is known.
  response: any
}

/** The three steps, in order. */
export async function enrolmentExample() {
  const tickets = memoryRecords<TicketRecord>()
  const ticket = ticketText(new Uint8Array(32).fill(7))
  tickets.put(ticketId(ticket), ticketRecord(ticket, now))
  let drawn = 0
  const app = createHttpServer({
    origin,
    rules: { ...machineRules(), machine: { rpId } },
    urls: ['tls://nats.example.com:4222'],
    tickets,
    ceremonies: memoryRecords<CeremonyRecord>(),
    credentials: memoryRecords<CredentialRecord>(),
    identities: memoryIdentities(),
    lifecycle: memoryLifecycle(),
    people: null,
    page: null,
    policyHash: () => '',
    logger: null,
    tls: null,
    trustProxy: false,
    rateLimits: DEFAULT_RATE_LIMITS,
    now: () => new Date(now),
    random: (bytes) => new Uint8Array(bytes).fill(++drawn),
    uuid: () => '',
  })
  const exchange: Exchange[] = []
  const post = async (path: string, request: Record<string, unknown>) => {
    const answer = await app.inject({ method: 'POST', url: path, headers: { host: 'verifier.example.com' }, payload: request })
    const response = answer.json()
    exchange.push({ path, request, status: answer.statusCode, response })
    return response
  }
  const key = fileKeyFromPkcs8(pkcs8)
  const credentialId = b64u(new Uint8Array(16).fill(9))
  const begun = await post('/v1/enrol/begin', { ticket })
  const common = { rpId, origin: MACHINE_ORIGIN, credentialId, userHandle: begun.options.user.id as string }
  const registration = createRegistration(key, { ...common, challenge: challengeFor('enrol', begun.issued, origin, subjectOf(ticket)) })
  const registered = await post('/v1/enrol/register', {
    ticket,
    ceremony: begun.ceremony,
    name: 'orders on host 1',
    response: registration,
  })
  const challenge = challengeFor('enrol-possession', registered.issued, origin, credentialId)
  const assertion = createAssertion(key, { ...common, challenge, signCount: 0 })
  await post('/v1/enrol/activate', { ticket, ceremony: registered.ceremony, response: assertion })
  await app.close()
  return { exchange, ticket, ticketId: ticketId(ticket) }
}
