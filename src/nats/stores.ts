/** Opens every bucket of the AUTH account (docs/state.md). */
import type { KeptBucket } from '../core/backup/backup-format.ts'
import type { RecordPort } from '../core/ports.ts'
import type { CeremonyRecord, IdpRequestRecord, LoginRecord, SessionRequestRecord, TicketRecord } from '../core/records.ts'
import type { Link } from './connection.ts'
import { type CredentialStore, createCredentialStore } from './credential-store.ts'
import { createGuard, type Guard } from './guard.ts'
import { createIdentityStore, type IdentityStore } from './identity-store.ts'
import { type BucketDifference, type BucketSettings, type KvBucket, openBucket } from './kv-bucket.ts'
import { type OnStoreReport, recordStore } from './record-store.ts'
import { ceremonySchema, idpRequestSchema, loginSchema, sessionRequestSchema, ticketSchema, tombstoneSchema } from './records-schema.ts'
import { createSessionStore, type SessionStore } from './session-store.ts'

export interface Stores {
  credentials: CredentialStore
  sessions: SessionStore
  identities: IdentityStore
  tickets: RecordPort<TicketRecord>
  ceremonies: RecordPort<CeremonyRecord>
  logins: RecordPort<LoginRecord>
  /** What strangers may begin: apart, and forgetful, so that they can fill nobody else's buckets. */
  signins: RecordPort<CeremonyRecord>
  idpRequests: RecordPort<IdpRequestRecord>
  sessionRequests: RecordPort<SessionRequestRecord>
  guard: Guard
  /** For listing: tickets are few and not cached. */
  ticketBucket: KvBucket
  /** Settings of live buckets that are not what we would have made: reported, never changed. */
  differences: BucketDifference[]
  /** Whether every cache is current. When not, verdicts still hold but cost a read each: stop taking requests. */
  isHealthy(): boolean
  /** Resolves when every cache was filled once. Throws StoreUnavailable. */
  ready(): Promise<void>
  stop(): void
}

const MiB = 1_048_576
const daySeconds = 86_400

/** What each bucket is made with, but for its replicas. */
export const BUCKET_SETTINGS = {
  credentials: {
    name: 'webauthn_credentials',
    description: 'Registered WebAuthn credentials',
    bytesMax: 128 * MiB,
    ageSecondsMax: 0,
    whenFull: 'refuse',
  },
  // No session is longer than 30 days. Full, the oldest are forgotten, which are over or come back with a proof:
  // refusing would shut out every machine that starts.
  sessions: {
    name: 'webauthn_sessions',
    description: 'Endorsed session nkeys',
    bytesMax: 256 * MiB,
    ageSecondsMax: 32 * daySeconds,
    whenFull: 'forget_oldest',
  },
  tombstones: {
    name: 'webauthn_revoked_nkeys',
    description: 'Session nkeys that are never endorsed again',
    bytesMax: 128 * MiB,
    ageSecondsMax: 0,
    whenFull: 'refuse',
  },
  identities: { name: 'webauthn_identities', description: 'People and machines', bytesMax: 64 * MiB, ageSecondsMax: 0, whenFull: 'refuse' },
  // A ticket lives for seven days at most, a ceremony for five minutes: the rest is for whoever asks what became of it.
  tickets: {
    name: 'webauthn_tickets',
    description: 'Invitations to enrol',
    bytesMax: 16 * MiB,
    ageSecondsMax: 30 * daySeconds,
    whenFull: 'refuse',
  },
  ceremonies: {
    name: 'webauthn_ceremonies',
    description: 'Bytes issued for ceremonies',
    bytesMax: 16 * MiB,
    ageSecondsMax: 3_600,
    whenFull: 'refuse',
  },
  logins: {
    name: 'webauthn_logins',
    description: 'People at the page',
    bytesMax: 16 * MiB,
    // Good for half an hour: kept for longer, one person who signs in all day would leave no room for others.
    ageSecondsMax: 3_600,
    whenFull: 'refuse',
  },
  // What anybody may begin. Full, the oldest is forgotten: whoever fills it makes people begin again, and locks nobody out.
  signins: {
    name: 'webauthn_signins',
    description: 'Bytes issued for signing in',
    bytesMax: 16 * MiB,
    ageSecondsMax: 900,
    whenFull: 'forget_oldest',
  },
  idpRequests: {
    name: 'webauthn_idp_requests',
    description: 'Redirects to identity providers',
    bytesMax: 16 * MiB,
    ageSecondsMax: 1_800,
    whenFull: 'forget_oldest',
  },
  sessionRequests: {
    name: 'webauthn_session_requests',
    description: 'Terminals that ask for a session',
    bytesMax: 16 * MiB,
    ageSecondsMax: 1_800,
    whenFull: 'forget_oldest',
  },
  // Full, the guard forgets what is oldest and so the first to expire: refusing would forget what is newest. A grant lasts a
  // day at most, and its entry must outlast the connection.
  guard: {
    name: 'webauthn_guard',
    description: 'Live connections and their proofs',
    bytesMax: 128 * MiB,
    ageSecondsMax: daySeconds + 3_600,
    whenFull: 'forget_oldest',
  },
} as const satisfies Record<string, Omit<BucketSettings, 'replicas'>>

/** Names of all buckets: permissions in nats-server.conf name each of them. */
export const BUCKETS: readonly string[] = Object.values(BUCKET_SETTINGS).map(({ name }) => name)

/** The buckets that a backup holds, made where they are not there. Throws StoreUnavailable. */
export async function openKeptBuckets(link: Link, replicas: number): Promise<ReadonlyMap<KeptBucket, KvBucket>> {
  const buckets = new Map<KeptBucket, KvBucket>()
  for (const settings of [BUCKET_SETTINGS.credentials, BUCKET_SETTINGS.identities, BUCKET_SETTINGS.tombstones]) {
    buckets.set(settings.name, (await openBucket(link, { ...settings, replicas })).bucket)
  }
  return buckets
}

export async function openStores(link: Link, options: { replicas: number; onReport: OnStoreReport }): Promise<Stores> {
  const { replicas, onReport } = options
  const differences: BucketDifference[] = []
  const open = async (settings: Omit<BucketSettings, 'replicas'>): Promise<KvBucket> => {
    const opened = await openBucket(link, { ...settings, replicas })
    differences.push(...opened.differences)
    return opened.bucket
  }
  // All of them before anything watches: a failed start leaves nothing running.
  const ticketBucket = await open(BUCKET_SETTINGS.tickets)
  const ceremonyBucket = await open(BUCKET_SETTINGS.ceremonies)
  const loginBucket = await open(BUCKET_SETTINGS.logins)
  const signinBucket = await open(BUCKET_SETTINGS.signins)
  const idpRequestBucket = await open(BUCKET_SETTINGS.idpRequests)
  const sessionRequestBucket = await open(BUCKET_SETTINGS.sessionRequests)
  const credentialBucket = await open(BUCKET_SETTINGS.credentials)
  const sessionBucket = await open(BUCKET_SETTINGS.sessions)
  const tombstoneBucket = await open(BUCKET_SETTINGS.tombstones)
  const identityBucket = await open(BUCKET_SETTINGS.identities)
  const guardBucket = await open(BUCKET_SETTINGS.guard)
  const credentials = createCredentialStore(credentialBucket, onReport)
  const tombstones = recordStore(tombstoneBucket, tombstoneSchema, onReport)
  const sessions = createSessionStore(sessionBucket, { tombstones, onReport })
  const identities = createIdentityStore(identityBucket, onReport)
  const guard = createGuard(guardBucket, onReport)
  const caches = [credentials.cache, sessions.cache, identities.cache, guard]
  return {
    credentials,
    sessions,
    identities,
    tickets: recordStore(ticketBucket, ticketSchema, onReport),
    ceremonies: recordStore(ceremonyBucket, ceremonySchema, onReport),
    logins: recordStore(loginBucket, loginSchema, onReport),
    signins: recordStore(signinBucket, ceremonySchema, onReport),
    idpRequests: recordStore(idpRequestBucket, idpRequestSchema, onReport),
    sessionRequests: recordStore(sessionRequestBucket, sessionRequestSchema, onReport),
    guard,
    ticketBucket,
    differences,
    isHealthy: () => caches.every((cache) => cache.isHealthy()),
    ready: async () => {
      await Promise.all(caches.map((cache) => cache.ready()))
    },
    stop: () => {
      for (const cache of caches) cache.stop()
    },
  }
}
