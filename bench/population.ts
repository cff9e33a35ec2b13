/**
 * Fills the buckets of a deployment before its verifier starts: as many identities, credentials and sessions as asked for,
 * each with ids and bytes of its own. Only a sample has keys that can sign; the others are as large, and nobody connects.
 */
import { randomBytes, randomFillSync } from 'node:crypto'
import { connect, createInbox, type NatsConnection } from 'nats'
import { utf8 } from '../src/core/encoding.ts'
import { type CredentialId, credentialKey } from '../src/core/identifiers.ts'
import { encodePublicNkey } from '../src/core/nkey.ts'
import { subjectKey } from '../src/core/subject-key.ts'
import { openLink } from '../src/nats/connection.ts'
import { openBucket } from '../src/nats/kv-bucket.ts'
import { BUCKET_SETTINGS } from '../src/nats/stores.ts'
import { type TestNkey, testNkey } from '../test/support/authorization-request.ts'
import { nkeyUser, type ProductFiles, type TestIdentity } from '../test/support/product.ts'
import { b64u, type TestKey, testKey } from '../test/support/test-authenticator.ts'

export interface PopulationSize {
  credentials: number
  /** One each of the first so many credentials. */
  sessions: number
  /** How many, spread evenly over all, can connect. */
  sample: number
}

const GiB = 2 ** 30
const unansweredMax = 4096
const fillMsMax = 300_000

/** Resolves with those who can connect, once the server has acknowledged every record. */
export async function fillPopulation(product: ProductFiles, size: PopulationSize): Promise<TestIdentity[]> {
  await makeRoom(product)
  const writer = await openWriter(product)
  try {
    const able: TestIdentity[] = []
    const stride = Math.max(1, Math.floor(size.credentials / size.sample))
    for (let i = 0; i < size.credentials; i++) {
      const isAble = i % stride === 0 && able.length < size.sample
      const who = memberOf(i, isAble)
      await writer.write(`webauthn_identities.${who.identity['handle']}`, who.identity)
      await writer.write(`webauthn_identities.${subjectKey({ issuer: 'machine', subject: who.identity['handle'] as string })}`, {
        v: 1,
        handle: who.identity['handle'],
      })
      await writer.write(`webauthn_credentials.${credentialKey(who.credential['id'] as CredentialId)}`, who.credential)
      if (i < size.sessions) await writer.write(`webauthn_sessions.${who.nkey}`, sessionOf(who))
      if (who.able !== null) able.push(identityOf(who))
    }
    await writer.settled()
    return able
  } finally {
    await writer.close()
  }
}

/** The buckets as the verifier makes them, but for more room: what it reserves by itself ends at some 150,000 credentials. */
async function makeRoom({ deployment }: ProductFiles): Promise<void> {
  const link = await openLink({
    name: 'bench',
    servers: [`127.0.0.1:${deployment.server.port}`],
    seed: deployment.seeds.verifierAuth,
    inboxPrefix: '_INBOX_verifier',
    tls: null,
    waitForServer: false,
    onEvent: () => {},
  })
  for (const settings of [BUCKET_SETTINGS.credentials, BUCKET_SETTINGS.identities, BUCKET_SETTINGS.sessions]) {
    await openBucket(link, { ...settings, replicas: 1, bytesMax: 2 * GiB })
  }
  await link.drain()
}

interface Writer {
  /** Writes the record under `$KV.` + key; waits only when too many writes are unanswered. */
  write(key: string, record: object): Promise<void>
  settled(): Promise<void>
  close(): Promise<void>
}

/** Publishes without waiting for each acknowledgement, never with more of them out than JetStream queues. */
async function openWriter({ deployment }: ProductFiles): Promise<Writer> {
  const nats: NatsConnection = await connect(nkeyUser(deployment, 'verifierAuth', '_INBOX_verifier'))
  const inbox = createInbox('_INBOX_verifier')
  const endsAt = performance.now() + fillMsMax
  let unanswered = 0
  let refused: string | null = null
  let wake = () => {}
  nats.subscribe(inbox, {
    callback: (_, message) => {
      const answer = message.string()
      if (answer.includes('"error"')) refused = answer
      unanswered--
      wake()
    },
  })
  const untilAtMost = async (max: number) => {
    while (unanswered > max) {
      if (refused !== null || performance.now() > endsAt) throw new Error(`filling the buckets: ${refused ?? 'no answer in time'}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    if (refused !== null) throw new Error(`filling the buckets: ${refused}`)
  }
  return {
    write: async (key, record) => {
      nats.publish(`$KV.${key}`, utf8(JSON.stringify(record)), { reply: inbox })
      if (++unanswered >= unansweredMax) await untilAtMost(unansweredMax / 2)
    },
    settled: () => untilAtMost(0),
    close: () => nats.close(),
  }
}

/** Somebody who can connect, and is in no bucket. */
export function unwrittenIdentity(): TestIdentity {
  return identityOf(memberOf(0, true))
}

function identityOf({ able, credential, identity }: Member): TestIdentity {
  return { ...able, credential, identity } as unknown as TestIdentity
}

interface Member {
  identity: Record<string, unknown>
  credential: Record<string, unknown>
  nkey: string
  able: { key: TestKey; session: TestNkey } | null
}

const pool = Buffer.alloc(65_536)
let pooled = pool.length

/** `count` random bytes that are a key of nobody's. */
function bytes(count: number): Buffer {
  if (pooled + count > pool.length) {
    randomFillSync(pool)
    pooled = 0
  }
  pooled += count
  return pool.subarray(pooled - count, pooled)
}

// The members of a COSE key before its coordinates, as every ES256 key has them.
const coseHead = Buffer.from('a5010203262001215820', 'hex')
const now = Date.now()

function memberOf(index: number, isAble: boolean): Member {
  const able = isAble ? { key: testKey(), session: testNkey('U') } : null
  const handle = `device-${String(index).padStart(7, '0')}`
  const publicKey = able === null ? Buffer.concat([coseHead, bytes(67)]) : able.key.cose
  const userHandle = b64u(bytes(32))
  const credential = {
    v: 1,
    id: able === null ? b64u(bytes(32)) : b64u(randomBytes(32)),
    publicKey: b64u(publicKey),
    signCount: 0,
    signCountAt: now - 60_000,
    backupEligible: true,
    backupState: false,
    transports: [],
    aaguid: '00000000-0000-0000-0000-000000000000',
    attestation: { format: 'packed', trust: 'self' },
    rpId: 'machines.nats.test',
    class: 'machine',
    handle,
    userHandle,
    name: handle,
    state: 'active',
    createdAt: now,
    expiresAt: null,
    endedAt: null,
    enrolledBy: 'admin',
    approvedBy: null,
  }
  const identity = {
    v: 1,
    handle,
    class: 'machine',
    issuer: 'machine',
    subject: handle,
    displayName: handle,
    roles: [{ name: 'bench', source: 'assigned', asOf: now }],
    claims: {},
    userHandle,
    devices: [],
    state: 'active',
    createdAt: now,
  }
  return { identity, credential, nkey: able?.session.publicKey ?? encodePublicNkey('U', bytes(32)), able }
}

function sessionOf({ credential, nkey }: Member): object {
  return {
    v: 1,
    nkey,
    credential: credentialKey(credential['id'] as CredentialId),
    handle: credential['handle'],
    class: 'machine',
    plain: false,
    userVerified: false,
    byCode: false,
    label: '',
    createdAt: now,
    expiresAt: now + 3_500_000,
    state: 'active',
    endedAt: null,
  }
}
