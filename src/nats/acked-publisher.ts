/**
 * Messages that are answered once: one subscription, one map and one timer for all that are on their way. A request of
 * nats.js makes a race of promises and a timer for each, and every admitted connection costs two or three of them.
 */
import { randomUUID } from 'node:crypto'
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from 'nats'

export interface AckedPublisher {
  /**
   * Publishes and resolves with the first answer. Throws when nobody listens, after `msMax` milliseconds without an
   * answer, and at once while the connection is down: what is published then would be sent at the reconnect, long after.
   * What `isAnswer` does not take for an answer is passed over, and ends no wait.
   */
  publish(message: AskedMessage): Promise<Msg>
}

export interface AskedMessage {
  subject: string
  body: Uint8Array | string
  headers: MsgHdrs | null
  msMax: number
  /** Where others see reply subjects: whether what came there answers the question. Must not throw. Left out, everything does. */
  isAnswer?: (message: Msg) => boolean
}

interface Unanswered {
  subject: string
  giveUpAt: number
  isAnswer(message: Msg): boolean
  resolve(answer: Msg): void
  reject(cause: Error): void
}

const NO_RESPONDERS = 503
const unansweredMax = 20_000
/** How much later than `msMax` an answer may be given up. */
const sweepMs = 20

/** `inboxPrefix`: of the reply subjects that the user's permissions allow. `isConnected` is asked before each message. */
export function createAckedPublisher(
  connection: NatsConnection,
  { inboxPrefix, isConnected }: { inboxPrefix: string; isConnected: () => boolean },
): AckedPublisher {
  const inbox = `${createInbox(inboxPrefix)}.`
  const unanswered = new Map<string, Unanswered>()
  let subscribed = false
  let timer: NodeJS.Timeout | null = null

  function hear(error: Error | null, message: Msg): void {
    if (error !== null) {
      // The subscription was refused, and with it every answer.
      subscribed = false
      failAll(error)
      return
    }
    const token = message.subject.slice(inbox.length)
    const asked = unanswered.get(token)
    if (asked === undefined) return
    // How nats-server says that nobody listens. Other statuses are for whoever pulls from a consumer, and may be sent here.
    const isNobody = message.data.length === 0 && message.headers?.code === NO_RESPONDERS
    if (!isNobody && !asked.isAnswer(message)) return
    unanswered.delete(token)
    if (isNobody) asked.reject(new Error(`asking ${asked.subject}: nobody answers`))
    else asked.resolve(message)
  }

  function failAll(cause: Error): void {
    const failed = [...unanswered.values()]
    unanswered.clear()
    for (const { reject } of failed) reject(cause)
  }

  function sweep(): void {
    const now = performance.now()
    for (const [token, asked] of unanswered) {
      if (asked.giveUpAt > now) continue
      unanswered.delete(token)
      asked.reject(new Error(`asking ${asked.subject}: no answer in time`))
    }
    if (unanswered.size > 0 || timer === null) return
    clearInterval(timer)
    timer = null
  }

  function send(token: string, message: AskedMessage, settle: Pick<Unanswered, 'resolve' | 'reject'>): void {
    const { subject, body, headers, msMax, isAnswer = () => true } = message
    if (!isConnected()) throw new Error(`asking ${subject}: not connected`)
    if (unanswered.size >= unansweredMax) throw new Error(`asking ${subject}: too many questions at once`)
    if (!subscribed) connection.subscribe(`${inbox}*`, { callback: hear })
    subscribed = true
    // Text as bytes from a pool: nats.js would make a buffer for each.
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    connection.publish(subject, bytes, headers === null ? { reply: inbox + token } : { reply: inbox + token, headers })
    unanswered.set(token, { subject, giveUpAt: performance.now() + msMax, isAnswer, ...settle })
    // After a stall of this process timers come before what was sent meanwhile: that is read first.
    timer ??= setInterval(() => setImmediate(sweep), sweepMs)
  }

  void connection.closed().then(() => failAll(new Error('asking: the connection was closed')))
  return {
    publish: (message) =>
      // Whoever may read the account sees where answers go, but not beforehand.
      new Promise((resolve, reject) => send(randomUUID(), message, { resolve, reject })),
  }
}
