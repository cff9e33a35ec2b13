/** One connection and the world it meets, with everything in order: each case then breaks one thing. */
import { createHash } from 'node:crypto'
import { lengthPrefixed } from '../../src/core/encoding.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { connectChallenge, MACHINE_ORIGIN, resumeMessage } from '../../src/core/protocol.ts'
import type { CredentialRecord, GuardEntry, IdentityRecord, SessionRecord } from '../../src/core/records.ts'
import { DEFAULT_ALGORITHMS, type Rules } from '../../src/core/rules.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { type RequestInput, requestToken, type TestNkey, testNkey } from './authorization-request.ts'
import { testRules } from './rules.ts'
import { type AssertionInput, b64u, FLAGS, type TestKey, testAssertion, testKey } from './test-authenticator.ts'

const PERSON_RP = { rpId: 'nats.example.com', origin: 'https://nats.example.com' }
export const MACHINE_RP_ID = 'machines.nats.example.com'
export const URL_USED = 'tls://nats.example.com:4222'
export const NOW = Date.parse('2026-01-05T12:00:00Z')

export const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.{{user}}.>"] }
    subscribe: { allow: ["work.orders"] }
    ttl: 15m
    session: 24h
    plain_sessions: true
  bound-only:
    account: APP
    publish: { allow: ["bound"] }
  proof-each-time:
    account: APP
    publish: { allow: ["once"] }
    session: 0
    plain_sessions: true
  elsewhere:
    account: OTHER
    publish: { allow: ["other"] }
  one-connection:
    account: APP
    publish: { allow: ["one"] }
    limits: { connections: 1 }
  team-writer:
    account: APP
    publish: { allow: ["team.{{claim.team}}.>"] }
  people-only:
    account: APP
    publish: { allow: ["people"] }
    require: { class: person }
`

/** A seed or other 32 bytes that are the same in every run. */
export function fixed(name: string): Uint8Array {
  return createHash('sha256').update(`nats-webauthn test ${name}`).digest()
}

export interface Scenario {
  rules: Rules
  policy: string
  key: TestKey
  credential: CredentialRecord
  identity: IdentityRecord
  sessions: SessionRecord[]
  guard: Record<string, GuardEntry>
  server: TestNkey
  sessionNkey: TestNkey
  userNkey: string
  nonce: string
  url: string
  plain: boolean
  /** nkey in CONNECT. */
  nkey: string
  connections: number
  /** Changes to the assertion before it is signed. */
  assertion: Partial<AssertionInput>
  request: Partial<RequestInput>
}

export function rules(change: Partial<Rules> = {}): Rules {
  return testRules({
    urls: [{ url: URL_USED, cluster: null, serverName: null }] as unknown as Rules['urls'],
    person: { rpId: PERSON_RP.rpId, origins: [PERSON_RP.origin], requireUserVerification: true },
    machine: { rpId: MACHINE_RP_ID },
    algorithms: DEFAULT_ALGORITHMS,
    ...change,
  })
}

/** A machine `orders` with role orders-writer, or a person `ada` with the same role. */
export function scenario(kind: 'machine' | 'person' = 'machine', key: TestKey = testKey()): Scenario {
  const machine = kind === 'machine'
  const handle = machine ? 'orders' : 'ada'
  const id = b64u(fixed(`credential ${handle}`))
  return {
    rules: rules(),
    policy: POLICY,
    key,
    credential: {
      v: 1,
      id,
      publicKey: b64u(key.cose),
      signCount: 0,
      signCountAt: NOW - 3_600_000,
      backupEligible: true,
      backupState: !machine,
      transports: [],
      aaguid: '00000000-0000-0000-0000-000000000000',
      attestation: { format: 'packed', trust: 'self' },
      rpId: machine ? MACHINE_RP_ID : PERSON_RP.rpId,
      class: kind,
      handle,
      userHandle: b64u(fixed(`user ${handle}`)),
      name: 'test key',
      state: 'active',
      createdAt: NOW - 86_400_000,
      expiresAt: null,
      endedAt: null,
      enrolledBy: 'admin',
    } as unknown as CredentialRecord,
    identity: {
      v: 1,
      handle,
      class: kind,
      issuer: machine ? 'machine' : 'https://idp.example.com',
      subject: handle,
      displayName: handle,
      roles: [{ name: 'orders-writer', source: machine ? 'assigned' : 'idp', asOf: NOW - 3_600_000 }],
      claims: {},
      state: 'active',
      createdAt: NOW - 86_400_000,
    } as unknown as IdentityRecord,
    sessions: [],
    guard: {},
    server: testNkey('N', fixed('server')),
    sessionNkey: testNkey('U', fixed('session')),
    userNkey: testNkey('U', fixed('user nkey')).publicKey,
    nonce: 'kkC4GJuqQ0fYmvk',
    url: URL_USED,
    plain: false,
    nkey: '',
    connections: 0,
    assertion: {},
    request: {},
  }
}

/** The session of the scenario's session nkey, as an endorsing proof an hour ago left it. */
export function endorsedSession(s: Scenario, change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    v: 1,
    nkey: s.sessionNkey.publicKey,
    credential: credentialKey(s.credential.id),
    handle: s.credential.handle,
    class: s.credential.class,
    plain: true,
    userVerified: s.credential.class === 'person',
    createdAt: NOW - 3_600_000,
    expiresAt: NOW + 3_600_000,
    state: 'active',
    endedAt: null,
    ...change,
  } as SessionRecord
}

function proofChallenge(s: Scenario): Uint8Array {
  return connectChallenge(sha256, { nonce: s.nonce, url: s.url, nkey: s.nkey, plain: s.plain })
}

export function assertionOf(s: Scenario) {
  const machine = s.credential.class === 'machine'
  return testAssertion({
    key: s.key,
    credentialId: s.credential.id,
    challenge: proofChallenge(s),
    rpId: s.credential.rpId,
    origin: machine ? MACHINE_ORIGIN : PERSON_RP.origin,
    flags: machine ? FLAGS.BE : FLAGS.UP | FLAGS.UV | FLAGS.BE | FLAGS.BS,
    userHandle: s.credential.userHandle,
    ...s.assertion,
  })
}

export function resumeOf(s: Scenario, signer: TestNkey = s.sessionNkey): string {
  return b64u(signer.sign(resumeMessage(sha256, { nonce: s.nonce, url: s.url, nkey: s.nkey })))
}

/** `sig` of a proof. */
export function proofSig(s: Scenario): string {
  return b64u(JSON.stringify({ v: 1, url: s.url, assertion: assertionOf(s) }))
}

/** `sig` of a proof that endorses the session nkey. Sets `nkey`. */
export function endorsingSig(s: Scenario): string {
  s.nkey = s.sessionNkey.publicKey
  const members = { v: 1, url: s.url, assertion: assertionOf(s), resume: resumeOf(s) }
  return b64u(JSON.stringify(s.plain ? { ...members, plain: true } : members))
}

/** `sig` of a bound resume. Sets `nkey`. */
export function boundSig(s: Scenario): string {
  s.nkey = s.sessionNkey.publicKey
  return b64u(JSON.stringify({ v: 1, url: s.url, resume: resumeOf(s) }))
}

/** `sig` of a plain resume, as stock clients make it. Sets `nkey`. */
export function plainSig(s: Scenario): string {
  s.nkey = s.sessionNkey.publicKey
  return b64u(s.sessionNkey.sign(Buffer.from(s.nonce)))
}

/** The authorization request that carries `sig`, as nats-server would send it. */
export function requestOf(s: Scenario, sig: string): string {
  return requestToken({
    server: s.server,
    userNkey: s.userNkey,
    now: Math.floor(NOW / 1000),
    nonce: s.nonce,
    sig,
    tls: true,
    ...(s.nkey === '' ? {} : { nkey: s.nkey }),
    ...s.request,
  })
}

/** Key under which the guard remembers the scenario's connection. */
export function guardKey(s: Scenario, clientId = 7): string {
  return b64u(sha256(lengthPrefixed(s.server.publicKey, String(clientId))))
}
