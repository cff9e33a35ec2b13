/**
 * Follows a bucket: every key's last value first, if that is wanted, then each change. An ordered consumer: a gap, a silence
 * or a reconnect begins it anew, and until it has caught up again nobody may rely on what it told.
 */
import { createInbox, type Msg, type Subscription } from 'nats'
import { z } from 'zod'
import { StoreUnavailable } from '../core/ports.ts'
import { askForSetup } from './jetstream.ts'
import { type BucketEntry, type KvBucket, streamOf, subjectOf } from './kv-bucket.ts'

export interface WatchSink {
  /** It begins, perhaps anew. In a pass over all keys, what is not mentioned until `caughtUp` is gone. */
  began(): void
  entry(entry: BucketEntry): void
  caughtUp(): void
}

export interface BucketWatch {
  /** Whether everything there is was told, but for what is on its way. */
  isCurrent(): boolean
  stop(): void
}

export interface WatchOptions {
  bucket: KvBucket
  /** `*`: keys of one token; `>`: all keys. */
  keys: '*' | '>'
  /** `start`: every key's last value first; `now`: changes alone. */
  from: 'start' | 'now'
  sink: WatchSink
  /** Something made the watch begin anew. */
  onTrouble(cause: Error): void
}

const heartbeatMs = 1_000
/** How long a watch may be silent: also how stale a cache may be that was cut off without noticing. */
const silenceMsMax = 2_500
/** The same while it is catching up, when the first pass over another bucket may be ahead of it on the connection. */
const fillingSilenceMsMax = 10_000
const inactiveMs = 5_000
const NANOS_PER_MS = 1_000_000

export function watchBucket(options: WatchOptions): BucketWatch {
  const watch = new Watch(options)
  try {
    watch.start()
  } catch (cause) {
    watch.stop()
    throw cause
  }
  return watch
}

const consumerSchema = z.looseObject({ num_pending: z.number().int().nonnegative() })

class Watch implements BucketWatch {
  readonly #options: WatchOptions
  #pass = 0
  #subscription: Subscription | null = null
  #sequence = 0
  #caughtUp = false
  #heardAt = Number.NEGATIVE_INFINITY
  #begunAt = Number.NEGATIVE_INFINITY
  #checkedAt = Number.NEGATIVE_INFINITY
  #failed = false
  #timer: NodeJS.Timeout | null = null
  #stopListening: () => void = () => {}

  constructor(options: WatchOptions) {
    this.#options = options
  }

  start(): void {
    const { link } = this.#options.bucket
    this.#timer = setInterval(() => this.#check(), heartbeatMs / 2)
    this.#timer.unref()
    this.#stopListening = link.onChange((connected) => (connected ? this.#begin() : this.#lose()))
    this.#begin()
  }

  isCurrent(): boolean {
    return this.#caughtUp && performance.now() - this.#heardAt <= silenceMsMax && this.#options.bucket.link.isConnected()
  }

  stop(): void {
    this.#lose()
    this.#stopListening()
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  #lose(): void {
    this.#pass++
    this.#caughtUp = false
    this.#subscription?.unsubscribe()
    this.#subscription = null
  }

  #check(): void {
    const now = performance.now()
    // This process was busy or suspended: what was sent meanwhile has yet to be read.
    const wasAway = now - this.#checkedAt > heartbeatMs
    this.#checkedAt = now
    if (wasAway || !this.#options.bucket.link.isConnected()) return
    const patienceMs = this.#caughtUp || this.#failed ? silenceMsMax : fillingSilenceMsMax
    if (now - this.#heardAt <= patienceMs || now - this.#begunAt <= patienceMs) return
    this.#restart(new Error(`watching ${this.#options.bucket.name}: silent`))
  }

  #restart(cause: Error): void {
    this.#options.onTrouble(cause)
    this.#begin()
  }

  #begin(): void {
    const { bucket, sink } = this.#options
    this.#lose()
    this.#begunAt = performance.now()
    this.#sequence = 0
    this.#failed = false
    if (!bucket.link.isConnected()) return
    const pass = this.#pass
    const inbox = createInbox(bucket.link.inboxPrefix)
    this.#subscription = bucket.link.nats.subscribe(inbox, {
      callback: (error, message) => {
        if (pass !== this.#pass) return
        if (error !== null) this.#options.onTrouble(error)
        else this.#hear(message)
      },
    })
    sink.began()
    this.#createConsumer(inbox).then(
      (pending) => {
        if (pass !== this.#pass) return
        this.#heardAt = performance.now()
        if (pending === 0) this.#settle()
      },
      (cause) => {
        // A check begins anew, soon.
        if (pass === this.#pass) this.#failed = true
        this.#options.onTrouble(cause)
      },
    )
  }

  async #createConsumer(inbox: string): Promise<number> {
    const { bucket, keys, from } = this.#options
    const stream = streamOf(bucket.name)
    const name = `watch_${inbox.slice(inbox.lastIndexOf('.') + 1)}`
    const answer = await askForSetup(bucket.link, `$JS.API.CONSUMER.CREATE.${stream}.${name}`, {
      stream_name: stream,
      action: 'create',
      config: {
        name,
        deliver_subject: inbox,
        deliver_policy: from === 'start' ? 'last_per_subject' : 'new',
        filter_subjects: [subjectOf(bucket.name, keys)],
        ack_policy: 'none',
        replay_policy: 'instant',
        flow_control: true,
        idle_heartbeat: heartbeatMs * NANOS_PER_MS,
        // Ephemeral: gone soon after we are.
        inactive_threshold: inactiveMs * NANOS_PER_MS,
        mem_storage: true,
        num_replicas: 1,
      },
    })
    if (!answer.ok) throw new StoreUnavailable(`watching ${bucket.name}: ${answer.description}`)
    return consumerSchema.parse(answer.value).num_pending
  }

  #hear(message: Msg): void {
    this.#heardAt = performance.now()
    if (message.headers?.code === 100) {
      this.#hearControl(message)
      return
    }
    const delivery = readDelivery(message.reply ?? '')
    if (delivery === null || delivery.sequence !== this.#sequence + 1) {
      this.#restart(new Error(`watching ${this.#options.bucket.name}: a gap in the deliveries`))
      return
    }
    this.#sequence = delivery.sequence
    const key = message.subject.slice(subjectOf(this.#options.bucket.name, '').length)
    const deleted = (message.headers?.get('KV-Operation') ?? '') !== ''
    this.#options.sink.entry({ key, revision: delivery.revision, value: deleted ? null : message.data })
    if (delivery.pending === 0) this.#settle()
  }

  /** Heartbeats and flow control: status 100. */
  #hearControl(message: Msg): void {
    const { nats } = this.#options.bucket.link
    if (message.reply) {
      message.respond()
      return
    }
    const stalled = message.headers?.get('Nats-Consumer-Stalled') ?? ''
    if (stalled !== '') {
      nats.publish(stalled)
      return
    }
    if (Number(message.headers?.get('Nats-Last-Consumer')) !== this.#sequence) {
      this.#restart(new Error(`watching ${this.#options.bucket.name}: a delivery was lost`))
      return
    }
    // Idle, and nothing is missing: what was pending has expired meanwhile.
    this.#settle()
  }

  #settle(): void {
    if (this.#caughtUp) return
    this.#caughtUp = true
    this.#options.sink.caughtUp()
  }
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, since 2.10 also with domain and account. */
function readDelivery(reply: string): { revision: number; sequence: number; pending: number } | null {
  const tokens = reply.split('.')
  const from = tokens.length === 9 ? 5 : tokens.length >= 11 ? 7 : -1
  if (from < 0) return null
  const [revision, sequence, pending] = [tokens[from], tokens[from + 1], tokens[from + 3]].map(Number)
  return Number.isSafeInteger(revision) && Number.isSafeInteger(sequence) && Number.isSafeInteger(pending)
    ? { revision: Number(revision), sequence: Number(sequence), pending: Number(pending) }
    : null
}
