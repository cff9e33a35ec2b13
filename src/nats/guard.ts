/**
 * The guard on (server id, client id): which proof, or legacy user, a live connection was admitted with, and until when. An entry is
 * claimed in the bucket by compare-and-set, so a connection has one (ADR-0015). Every verifier holds all of them in memory,
 * filled by a watch: that saves reads, and tells which connections an identity has.
 */
import { guardKeyOf } from '../core/guard-entry.ts'
import type { CredentialKey, Handle, UserNkey } from '../core/identifiers.ts'
import { type GuardPort, StoreUnavailable } from '../core/ports.ts'
import type { GuardEntry } from '../core/records.ts'
import { watchBucket } from './bucket-watch.ts'
import { within } from './first-pass.ts'
import { createGuardClaims, entryOf } from './guard-claims.ts'
import { EndedConnections } from './guard-ended.ts'
import { GuardIndex } from './guard-index.ts'
import { GuardOrder } from './guard-order.ts'
import { createGuardWithdrawals } from './guard-withdrawals.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'
import { decodeRecord, guardSchema } from './records-schema.ts'

/** One live connection, as kicking it needs it. */
export interface LiveConnection {
  serverId: string
  clientId: number
}

export type ConnectionOwner = { credential: CredentialKey } | { session: UserNkey } | { handle: Handle }

export interface Guard extends GuardPort {
  /** Connections that were admitted for this owner and have not been seen to end. */
  connectionsWith(owner: ConnectionOwner): LiveConnection[]
  /** The connection ended. One verifier is told by the server, and tells the others through the bucket. */
  disconnected(connection: LiveConnection): void
  /** Which servers there are, as asked at `askedAtMs` (epoch): connections of others take no place. */
  serversSeen(ids: ReadonlySet<string>, askedAtMs: number): void
  /** Entries in memory. */
  size(): number
  isHealthy(): boolean
  ready(): Promise<void>
  stop(): void
}

const entriesMax = 500_000
const brokenMax = 10_000
const sweepMs = 1_000

export function createGuard(bucket: KvBucket, onReport: OnStoreReport): Guard {
  const index = new GuardIndex(entriesMax)
  let fill = () => {}
  const firstPass = new Promise<void>((resolve) => {
    fill = resolve
  })
  // Keys whose value is not an entry: whoever asks about such a connection is refused.
  const broken = new Set<string>()
  const withdrawals = createGuardWithdrawals(bucket, onReport)
  const order = new GuardOrder(bucket.name)
  const claims = createGuardClaims({ bucket, index, order, withdrawals })
  const ended = new EndedConnections()
  const follow = (told: BucketEntry) => {
    const { key, value, revision } = told
    const known = index.revisionOf(key)
    // What was claimed here is known before the watch comes to what was there before it.
    if (revision < known) return
    broken.delete(key)
    if (value === null) withdrawals.gone(key)
    if (value === null || withdrawals.isLeaving(told)) return index.remove(key)
    if (revision === known) return
    try {
      const entry = claims.ownEntry(key, value) ?? decodeRecord(value, guardSchema)
      if (ended.has(entry)) withdrawals.end(key)
      else index.put(key, { record: entry, revision }, Date.now())
    } catch (cause) {
      if (broken.size < brokenMax) broken.add(key)
      onReport({ kind: 'undecodable', bucket: bucket.name, key, cause })
    }
  }
  const watch = watchBucket({
    bucket,
    keys: '*',
    from: 'start',
    // Entries that a new pass does not mention stay until they are over: there is nothing that they could admit.
    sink: {
      began: () => order.began(),
      entry: (told) => {
        follow(told)
        order.told(told.revision)
      },
      caughtUp: () => fill(),
    },
    onTrouble: (cause) => onReport({ kind: 'watch_restarted', bucket: bucket.name, key: null, cause }),
  })
  const sweep = setInterval(() => {
    index.sweep(Date.now())
    withdrawals.sweep(performance.now())
  }, sweepMs)
  sweep.unref()

  async function find(key: string, from?: 'leader'): Promise<GuardEntry | null> {
    if (broken.has(key)) throw new StoreUnavailable(`reading ${bucket.name}: undecodable`)
    const known = index.get(key)
    if (known !== null) return known
    // While the watch is not current (before it filled the memory, too), or when the memory was too small, it says nothing.
    if (from !== 'leader' && watch.isCurrent() && !index.hasForgotten()) return null
    return entryOf(await bucket.find(key), bucket.name)
  }

  return {
    find,
    claim: claims.claim,
    connectionsOf: (handle) => index.countOf(handle, Date.now()),
    connectionsWith: (owner) => index.ownedBy(owner, Date.now()).map(({ serverId, clientId }) => ({ serverId, clientId })),
    disconnected: (connection) => {
      const key = guardKeyOf(connection)
      if (index.get(key) === null) return ended.add(connection)
      index.remove(key)
      withdrawals.end(key)
    },
    serversSeen: (ids, askedAtMs) => index.serversSeen(ids, askedAtMs),
    size: () => index.size(),
    isHealthy: () => watch.isCurrent(),
    ready: () => within(firstPass, `filling ${bucket.name}`),
    stop: () => {
      clearInterval(sweep)
      watch.stop()
    },
  }
}
