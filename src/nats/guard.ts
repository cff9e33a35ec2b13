/**
 * The guard on (server id, client id, nonce): which proof a live connection was admitted with, and until when. Every
 * verifier holds all of it in memory, filled by a watch; the bucket carries it to the others and over a restart.
 */
import { equalBytes } from '../core/encoding.ts'
import type { CredentialKey, Handle, UserNkey } from '../core/identifiers.ts'
import { type GuardPort, StoreUnavailable } from '../core/ports.ts'
import type { GuardEntry } from '../core/records.ts'
import { watchBucket } from './bucket-watch.ts'
import { within } from './cached-store.ts'
import { GuardIndex } from './guard-index.ts'
import { createGuardSharing } from './guard-sharing.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'
import { decodeRecord, encodeRecord, guardSchema } from './records-schema.ts'

/** One live connection, as kicking it needs it. */
export interface LiveConnection {
  serverId: string
  clientId: number
}

export type ConnectionOwner = { credential: CredentialKey } | { session: UserNkey } | { handle: Handle }

export interface Guard extends GuardPort {
  /** How many live connections an identity has. */
  connectionsOf(handle: Handle): number
  /** Connections that were admitted for this owner and have not been seen to end. */
  connectionsWith(owner: ConnectionOwner): LiveConnection[]
  /** The connection ended. One verifier is told by the server, and tells the others through the bucket. */
  disconnected(connection: LiveConnection): void
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
  const sharing = createGuardSharing(bucket, onReport)
  // Places of connections that are being decided.
  const reserved = new Map<Handle, number>()
  const follow = ({ key, value }: BucketEntry) => {
    broken.delete(key)
    if (value === null) return index.remove(key)
    // Most of what is told is what this verifier wrote itself.
    const known = index.get(key)
    if (known !== null && equalBytes(encodeRecord(known), value)) return
    try {
      index.put(key, decodeRecord(value, guardSchema), Date.now())
    } catch (cause) {
      if (broken.size < brokenMax) broken.add(key)
      onReport({ kind: 'undecodable', bucket: bucket.name, key, cause })
    }
  }
  const watch = watchBucket({
    bucket,
    keys: '*',
    // Entries that a new pass does not mention stay until they are over: this verifier's own may still be on their way.
    sink: {
      began: () => {},
      entry: follow,
      caughtUp: () => {
        fill()
        sharing.again((key) => index.get(key))
      },
    },
    onTrouble: (cause) => onReport({ kind: 'watch_restarted', bucket: bucket.name, key: null, cause }),
  })
  const sweep = setInterval(() => {
    index.sweep(Date.now())
    sharing.giveUp(performance.now())
  }, sweepMs)
  sweep.unref()

  return {
    find: async (key) => {
      if (broken.has(key)) throw new StoreUnavailable(`reading ${bucket.name}: undecodable`)
      const known = index.get(key)
      if (known !== null) return known
      // A re-ask comes after the answer, so the watch has had its time. The leader is asked while the watch is not current
      // (before it filled the memory, too), or when the memory was too small.
      return watch.isCurrent() && !index.hasForgotten() ? null : findOnLeader(bucket, key)
    },
    remember: (key, entry) => {
      index.put(key, entry, Date.now())
      sharing.share(key, entry)
    },
    reserve: (handle, max) => {
      const held = reserved.get(handle) ?? 0
      if (index.countOf(handle, Date.now()) + held >= max) return null
      reserved.set(handle, held + 1)
      return () => {
        const left = (reserved.get(handle) ?? 1) - 1
        if (left === 0) reserved.delete(handle)
        else reserved.set(handle, left)
      }
    },
    connectionsOf: (handle) => index.countOf(handle, Date.now()),
    connectionsWith: (owner) => index.ownedBy(owner, Date.now()).map(({ serverId, clientId }) => ({ serverId, clientId })),
    disconnected: ({ serverId, clientId }) => {
      for (const key of index.keysOf(serverId, clientId)) {
        index.remove(key)
        sharing.withdraw(key)
      }
    },
    size: () => index.size(),
    isHealthy: () => watch.isCurrent(),
    ready: () => within(firstPass, `filling ${bucket.name}`),
    stop: () => {
      clearInterval(sweep)
      sharing.stop()
      watch.stop()
    },
  }
}

async function findOnLeader(bucket: KvBucket, key: string): Promise<GuardEntry | null> {
  const read = await bucket.find(key)
  if (read === null || read.value === null) return null
  try {
    return decodeRecord(read.value, guardSchema)
  } catch (cause) {
    throw new StoreUnavailable(`reading ${bucket.name}: undecodable`, { cause })
  }
}
