/**
 * The callout itself: takes authorization requests from the queue group, lets core decide, and sends the answers.
 * A NATS micro service, so `nats micro ls` and `nats micro stats` show every verifier.
 */
import { randomUUID } from 'node:crypto'
import type { NatsConnection, Service, ServiceMsg } from 'nats'
import type { VerdictEvent } from '../core/audit-event.ts'
import { type Arrival, decide, type Journey } from '../core/decide.ts'
import type { Stage } from '../core/denial.ts'

const CALLOUT_SUBJECT = '$SYS.REQ.USER.AUTH'
const XKEY_HEADER = 'Nats-Server-Xkey'
/** Every verifier joins this group, so one of them answers each request. */
export const QUEUE_GROUP = 'nats-webauthn'

/** What the callout tells the rest of the process. Called on the hot path: implementations only count. */
export interface CalloutObserver {
  /** One verdict, after its answer was sent. */
  verdict(event: VerdictEvent): void
  stage(stage: Stage, seconds: number): void
  /** A request that came too late to be answered, or that there was no room for. */
  shed(why: 'deadline' | 'queue'): void
  /** The cause of an `error` verdict. */
  failed(cause: unknown, id: string): void
}

export interface AuthCalloutOptions {
  connection: NatsConnection
  journey: Journey
  observer: CalloutObserver
  /** Requests decided at once: they wait for stores and audit, not for each other. */
  inFlightMax: number
  /** Requests that may wait for a place; more are denied at once. */
  queueMax: number
  version: string
}

export interface AuthCallout {
  /** Joins the queue group; does nothing when joined. */
  join(): Promise<void>
  /** Leaves the queue group; requests already taken are still answered. */
  leave(): Promise<void>
  /** Resolves when no request that was taken is unanswered. */
  idle(): Promise<void>
  inFlight(): number
}

interface Taken {
  message: ServiceMsg
  arrivedAt: number
}

export function createAuthCallout(options: AuthCalloutOptions): AuthCallout {
  const { connection, observer, inFlightMax, queueMax, version } = options
  let service: Service | null = null
  let running = 0
  const waiting: Taken[] = []
  const idlers: (() => void)[] = []

  function take(error: Error | null, message: ServiceMsg): void {
    if (error !== null) {
      observer.failed(error, '')
      return
    }
    const taken = { message, arrivedAt: performance.now() }
    if (running < inFlightMax) void run(taken)
    else if (waiting.length < queueMax) waiting.push(taken)
    else turnAway(taken, options)
  }

  async function run(taken: Taken): Promise<void> {
    running++
    try {
      await answer(taken, options)
    } catch (cause) {
      // decide() never throws; only sending can fail here, and then the server denies by itself.
      observer.failed(cause, '')
    } finally {
      running--
      const next = waiting.shift()
      if (next !== undefined) void run(next)
      else if (running === 0) for (const done of idlers.splice(0)) done()
    }
  }

  return {
    async join() {
      if (service !== null && !service.isStopped) return
      service = await connection.services.add({
        name: 'nats-webauthn',
        version,
        description: 'auth callout with WebAuthn identities',
        queue: QUEUE_GROUP,
      })
      service.addEndpoint('callout', { subject: CALLOUT_SUBJECT, queue: QUEUE_GROUP, handler: take })
      // The server has the subscription before anybody is told that this verifier is ready.
      await connection.flush()
    },
    async leave() {
      const leaving = service
      service = null
      await leaving?.stop()
    },
    idle() {
      return running === 0 && waiting.length === 0 ? Promise.resolve() : new Promise((done) => idlers.push(done))
    },
    inFlight: () => running + waiting.length,
  }
}

async function answer({ message, arrivedAt }: Taken, { journey, observer }: AuthCalloutOptions): Promise<void> {
  const stages = stageClock(observer)
  const id = randomUUID()
  const arrival: Arrival = {
    id,
    payload: message.data,
    serverXkey: message.headers?.get(XKEY_HEADER) ?? '',
    now: new Date(),
    jitter: Math.random(),
    elapsedMs: () => performance.now() - arrivedAt,
    trace: { enter: stages.enter, failed: (cause) => observer.failed(cause, id) },
  }
  const { event, reply } = await decide(arrival, journey)
  stages.end()
  if (event === null) {
    observer.shed('deadline')
    return
  }
  message.respond(reply)
  observer.verdict(event)
}

/** Nothing is opened or signed for these: an empty answer denies, and costs next to nothing. */
function turnAway({ message, arrivedAt }: Taken, { journey, observer }: AuthCalloutOptions): void {
  message.respond(new Uint8Array(0))
  const at = Date.now()
  const event: VerdictEvent = {
    id: randomUUID(),
    correlates: null,
    at,
    verdict: { outcome: 'denied', reason: 'overloaded' },
    stage: 'open',
    verified: false,
    connection: null,
    identity: null,
    grant: null,
    policyHash: journey.world.policy().hash,
    durationMs: performance.now() - arrivedAt,
    count: 1,
    firstAt: at,
    lastAt: at,
  }
  journey.world.audit.note(event)
  observer.shed('queue')
  observer.verdict(event)
}

/** Measures how long each stage took, from its beginning to the next one's. */
function stageClock(observer: CalloutObserver): { enter(stage: Stage): void; end(): void } {
  let current: Stage | null = null
  let since = 0
  function close(now: number): void {
    if (current !== null) observer.stage(current, (now - since) / 1000)
    since = now
  }
  return {
    enter(stage) {
      close(performance.now())
      current = stage
    },
    end() {
      close(performance.now())
      current = null
    },
  }
}
