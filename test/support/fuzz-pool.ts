/**
 * Connections that are in order, of every form, algorithm and class, and some of people and machines who may not connect:
 * what fuzzed requests are made from. Everything is in one world, so that parts of one can be put into another.
 */
import type { KeyObject } from 'node:crypto'
import { ed25519PrivateKey } from '../../src/core/ed25519.ts'
import type { CredentialRecord, IdentityRecord, SessionRecord } from '../../src/core/records.ts'
import { requestClaims, type TestNkey, testNkey } from './authorization-request.ts'
import { boundSig, endorsedSession, endorsingSig, fixed, NOW, plainSig, proofSig, type Scenario, scenario } from './scenario.ts'
import { b64u, type TestAlg, type TestKey, testKey } from './test-authenticator.ts'

export const SERVER = testNkey('N', fixed('server'))
export const OTHER_SERVER = testNkey('N', fixed('another server'))

/** What a fuzzed connection is made from. */
export interface Genuine {
  name: string
  /** `granted`, or the one denial that this connection must meet as it is. */
  expected: string
  /** Claims of its authorization request. */
  claims: Record<string, unknown>
  /** What `sig` holds: members of the JSON forms, or the text of a plain resume. */
  sig: Record<string, unknown> | string
  scenario: Scenario
}

interface Subject {
  name: string
  kind: 'machine' | 'person'
  alg: TestAlg
  /** Who may not connect, and why: everything is in order but this. */
  expected?: { proof: string; session: string }
  change?: (s: Scenario) => void
  session?: Partial<SessionRecord>
}

const both = (reason: string) => ({ proof: reason, session: reason })

const SUBJECTS: readonly Subject[] = [
  { name: 'm-es256', kind: 'machine', alg: -7 },
  { name: 'm-eddsa', kind: 'machine', alg: -8 },
  { name: 'p-es256', kind: 'person', alg: -7 },
  { name: 'p-eddsa', kind: 'person', alg: -8 },
  { name: 'p-rs256', kind: 'person', alg: -257 },
  {
    name: 'm-revoked',
    kind: 'machine',
    alg: -8,
    expected: both('credential_revoked'),
    change: (s) => set(s.credential, { state: 'revoked' }),
  },
  {
    name: 'm-quarantined',
    kind: 'machine',
    alg: -8,
    expected: both('credential_quarantined'),
    change: (s) => set(s.credential, { state: 'quarantined' }),
  },
  {
    name: 'm-pending',
    kind: 'machine',
    alg: -8,
    expected: both('credential_pending'),
    change: (s) => set(s.credential, { state: 'pending' }),
  },
  {
    name: 'm-expired',
    kind: 'machine',
    alg: -8,
    expected: both('credential_expired'),
    change: (s) => set(s.credential, { expiresAt: NOW - 1 }),
  },
  {
    name: 'p-disabled',
    kind: 'person',
    alg: -8,
    expected: both('identity_disabled'),
    change: (s) => setIdentity(s.identity, { state: 'disabled' }),
  },
  { name: 'm-no-roles', kind: 'machine', alg: -8, expected: both('roles_none'), change: (s) => setIdentity(s.identity, { roles: [] }) },
  {
    name: 'p-stale',
    kind: 'person',
    alg: -8,
    expected: both('roles_stale'),
    change: (s) => setIdentity(s.identity, { roles: s.identity.roles.map((role) => ({ ...role, asOf: NOW - 86_401_000 })) }),
  },
  // A machine's key under a person's record, and the reverse: the class is the record's.
  {
    name: 'm-as-person',
    kind: 'machine',
    alg: -8,
    expected: { proof: 'origin_mismatch', session: 'granted' },
    change: (s) => set(s.credential, { class: 'person' }),
  },
  {
    name: 'p-as-machine',
    kind: 'person',
    alg: -8,
    expected: { proof: 'origin_mismatch', session: 'granted' },
    change: (s) => set(s.credential, { class: 'machine' }),
  },
  {
    name: 's-revoked',
    kind: 'machine',
    alg: -8,
    expected: { proof: 'granted', session: 'session_revoked' },
    session: { state: 'revoked' },
  },
  {
    name: 's-pending',
    kind: 'machine',
    alg: -8,
    expected: { proof: 'granted', session: 'session_pending' },
    session: { state: 'pending' },
  },
  { name: 's-expired', kind: 'person', alg: -8, expected: { proof: 'granted', session: 'session_expired' }, session: { expiresAt: NOW } },
]

function set(record: CredentialRecord, change: Partial<CredentialRecord>): void {
  Object.assign(record, change)
}

function setIdentity(record: IdentityRecord, change: Partial<IdentityRecord>): void {
  Object.assign(record, change)
}

export interface FuzzPool {
  genuine: Genuine[]
  credentials: CredentialRecord[]
  identities: IdentityRecord[]
  sessions: SessionRecord[]
}

const NONCES = ['kkC4GJuqQ0fYmvk', 'O2VRyWtLHNKhBnU'] as const

/** `serverXkey`: what the server says of itself where requests come sealed. */
export function fuzzPool(serverXkey: string): FuzzPool {
  const pool: FuzzPool = { genuine: [], credentials: [], identities: [], sessions: [] }
  for (const subject of SUBJECTS) {
    const base = subjectScenario(subject)
    pool.credentials.push(base.credential)
    pool.identities.push(base.identity)
    pool.sessions.push(endorsedSession(base, subject.session))
    for (const [i, nonce] of NONCES.entries()) pool.genuine.push(...connectionsOf(subject, { ...base, nonce }, { id: 7 + i, serverXkey }))
  }
  return pool
}

function subjectScenario({ name, kind, alg, change }: Subject): Scenario {
  const s = scenario(kind, keyFor(name, alg))
  s.server = SERVER
  s.sessionNkey = testNkey('U', fixed(`session ${name}`))
  set(s.credential, {
    id: b64u(fixed(`credential ${name}`)),
    handle: name,
    userHandle: b64u(fixed(`user ${name}`)),
  } as unknown as Partial<CredentialRecord>)
  setIdentity(s.identity, { handle: name, subject: name } as unknown as Partial<IdentityRecord>)
  // What the authenticator does, whatever its record comes to say afterwards.
  s.assertion = signingAs(s)
  change?.(s)
  return s
}

function signingAs(s: Scenario): Scenario['assertion'] {
  const machine = s.credential.class === 'machine'
  return machine ? { flags: 0x08, origin: 'nats-webauthn://machine' } : { flags: 0x1d, origin: 'https://nats.example.com' }
}

/** Ed25519 from a seed, so that a run can be repeated byte for byte; the others are new each time. */
function keyFor(name: string, alg: TestAlg): TestKey {
  if (alg !== -8) return testKey(alg)
  const key: KeyObject = ed25519PrivateKey(fixed(`key ${name}`))
  return testKey(alg, new Uint8Array(key.export({ format: 'der', type: 'pkcs8' })))
}

function connectionsOf(subject: Subject, base: Scenario, { id, serverXkey }: { id: number; serverXkey: string }): Genuine[] {
  const forms: [string, (s: Scenario) => string, 'proof' | 'session'][] = [
    ['proof', proofSig, 'proof'],
    ['proof with nkey', (s) => proofSig(Object.assign(s, { nkey: s.sessionNkey.publicKey })), 'proof'],
    ['endorsing', endorsingSig, 'proof'],
    ['endorsing plain', (s) => endorsingSig(Object.assign(s, { plain: true })), 'proof'],
    ['bound', boundSig, 'session'],
    ['plain', plainSig, 'session'],
  ]
  return forms.map(([form, make, rests]) => {
    const s = { ...base }
    const text = make(s)
    const sig = form === 'plain' ? text : (JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>)
    const claims = requestClaims({
      server: SERVER,
      userNkey: s.userNkey,
      now: NOW / 1000,
      nonce: s.nonce,
      sig: text,
      tls: true,
      serverInfo: { xkey: serverXkey },
      client: { id },
      ...(s.nkey === '' ? {} : { nkey: s.nkey }),
    })
    const name = `${subject.name} ${form} #${id}`
    return { name, expected: expectedOf(subject, form, rests), claims, sig, scenario: s }
  })
}

function expectedOf({ expected, session }: Subject, form: string, rests: 'proof' | 'session'): string {
  // A session that was revoked is never endorsed again.
  if (session?.state === 'revoked' && form.startsWith('endorsing')) return 'endorsement_refused'
  return expected?.[rests] ?? 'granted'
}

/** A request token of `claims`, signed by `signer`. */
export function tokenOf(claims: string, signer: TestNkey, header = '{"typ":"JWT","alg":"ed25519-nkey"}'): string {
  const signed = `${b64u(header)}.${b64u(claims)}`
  return `${signed}.${b64u(signer.sign(Buffer.from(signed)))}`
}
