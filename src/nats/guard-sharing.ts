/** Tells the other verifiers what the guard remembers: nobody waits for it, and what failed is offered again. */
import { createInbox, headers } from 'nats'
import { utf8 } from '../core/encoding.ts'
import { StoreUnavailable } from '../core/ports.ts'
import type { GuardEntry } from '../core/records.ts'
import { readAnswer } from './jetstream.ts'
import { type KvBucket, subjectOf } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'
import { encodeRecord } from './records-schema.ts'

export interface GuardSharing {
  share(key: string, entry: GuardEntry): void
  withdraw(key: string): void
  /** Gives up on writes whose answer is overdue at `nowMs`, by the monotonic clock. Called about once a second. */
  giveUp(nowMs: number): void
  /** Offers again what the bucket did not take: `find` says what is still remembered. */
  again(find: (key: string) => GuardEntry | null): void
  stop(): void
}

/** A write that JetStream has not answered. */
interface Unanswered {
  key: string
  deleted: boolean
  since: number
}

const DELETION = headers()
DELETION.set('KV-Operation', 'DEL')

const unsharedMax = 10_000
const answerMsMax = 1_000

export function createGuardSharing(bucket: KvBucket, onReport: OnStoreReport): GuardSharing {
  const { link } = bucket
  const unshared = new Set<string>()
  // By the last token of the reply subject, the oldest first. Nobody waits, so these are no requests of nats.js, each with
  // a promise and a timer of its own: there are two of them for every connection.
  const unanswered = new Map<string, Unanswered>()
  const inbox = createInbox(link.inboxPrefix)
  let written = 0

  const fail = ({ key, deleted }: Unanswered, cause: unknown) => {
    if (!deleted && unshared.size < unsharedMax) unshared.add(key)
    onReport({ kind: 'guard_write_failed', bucket: bucket.name, key, cause })
  }
  const subscription = link.nats.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      const token = message.subject.slice(inbox.length + 1)
      const write = unanswered.get(token)
      if (write === undefined) return
      unanswered.delete(token)
      try {
        if (error !== null) throw error
        const answer = readAnswer(message, bucket.name)
        if (!answer.ok) throw new StoreUnavailable(`writing ${bucket.name}: ${answer.description}`)
      } catch (cause) {
        fail(write, cause)
      }
    },
  })
  const write = (key: string, value: Uint8Array, deleted: boolean) => {
    const token = String(++written)
    const waiting = { key, deleted, since: performance.now() }
    try {
      // nats.js would keep it for the reconnect, when it may be long over.
      if (!link.isConnected()) throw new StoreUnavailable(`writing ${bucket.name}: not connected`)
      link.nats.publish(subjectOf(bucket.name, key), value, { reply: `${inbox}.${token}`, ...(deleted ? { headers: DELETION } : {}) })
      unanswered.set(token, waiting)
    } catch (cause) {
      fail(waiting, cause)
    }
  }
  return {
    share: (key, entry) => write(key, encodeRecord(entry), false),
    withdraw: (key) => write(key, utf8(''), true),
    giveUp: (nowMs) => {
      for (const [token, waiting] of unanswered) {
        if (nowMs - waiting.since < answerMsMax) break
        unanswered.delete(token)
        fail(waiting, new StoreUnavailable(`writing ${bucket.name}: no answer in time`))
      }
    },
    again: (find) => {
      const keys = [...unshared]
      unshared.clear()
      for (const key of keys) {
        const entry = find(key)
        if (entry !== null) write(key, encodeRecord(entry), false)
      }
    },
    stop: () => subscription.unsubscribe(),
  }
}
