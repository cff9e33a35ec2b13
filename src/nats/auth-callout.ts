/**
 * The callout itself: takes authorization requests from the queue group, lets core decide, and sends the answers.
 * A NATS micro service, so `nats micro ls` and `nats micro stats` show every verifier.
 */
import { randomUUID } from 'node:crypto'
import type { NatsConnection, Service, ServiceMsg } from 'nats'
import type { Arrival, Journey } from '../core/arrival.ts'
import type { VerdictEvent } from '../core/audit-event.ts'
import { claimOf, type IncomingRequest, readRequest, type UnverifiedRequest } from '../core/authorization-request.ts'
import type { Checked } from '../core/checked.ts'
import { isTooLate } from '../core/deadline.ts'
import { decide } from '../core/decide.ts'
import type { Stage } from '../core/denial.ts'
import { sourceOf } from '../core/source-address.ts'
import { createWaitingRoom, type Waiting } from '../core/waiting-room.ts'

const CALLOUT_SUBJECT = '$SYS.REQ.USER.AUTH'
const XKEY_HEADER = 'Nats-Server-Xkey'
/** Every verifier joins this group, so one of them answers each request. */
export const QUEUE_GROUP = 'nats-webauthn'

/** Begun together, they share system calls; more of them would wait for each other longer than that saves. */
const perTurnMax = 16

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
  /** With the issuer and xkey that nats-server is about to be given: for requests that are sealed for that xkey. */
  next: Journey | null
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
  /** Requests that wait for their turn. */
  waiting(): Waiting
}

/** A request on its way to a verdict. */
interface Taken {
  message: ServiceMsg
  arrivedAt: number
  incoming: IncomingRequest
  journey: Journey
  /** Whose turn it takes; not verified. */
  source: string
  /** How long its server waits; not verified. Null where it says nothing: then it is refused as soon as it is looked at. */
  seconds: number | null
}

export function createAuthCallout(options: AuthCalloutOptions): AuthCallout {
  const { connection, observer, inFlightMax, queueMax, version } = options
  const { rules } = options.journey
  let service: Service | null = null
  let running = 0
  let turning = false
  const idlers: (() => void)[] = []
  const room = createWaitingRoom<Taken>({
    isLost: ({ arrivedAt, seconds }, nowMs) => seconds !== null && isTooLate(nowMs - arrivedAt, seconds),
  })

  function take(error: Error | null, message: ServiceMsg): void {
    if (error !== null) {
      observer.failed(error, '')
      return
    }
    const taken = takenOf(message, options)
    const leaves = room.enter(taken, { nowMs: taken.arrivedAt, placesMax: inFlightMax - running + queueMax })
    if (leaves !== null) turnAway(leaves, options)
    turn()
  }

  /**
   * A few requests each time the event loop comes round: what has arrived meanwhile is in line before the next ones are
   * begun. Otherwise the line would be in the socket, where the first to come is the first to be served.
   */
  function turn(): void {
    if (turning || running >= inFlightMax || room.size() === 0) return
    turning = true
    setImmediate(() => {
      turning = false
      for (let begun = 0; begun < perTurnMax && running < inFlightMax; begun++) {
        const next = room.next(performance.now(), () => observer.shed('deadline'))
        if (next === null) break
        void run(next)
      }
      if (running === 0) rest()
      turn()
    })
  }

  function rest(): void {
    for (const done of idlers.splice(0)) done()
  }

  async function run(taken: Taken): Promise<void> {
    running++
    try {
      const isGranted = await answer(taken, options)
      if (isGranted && !rules.behindProxy) room.proved(taken.source, performance.now())
    } catch (cause) {
      // decide() never throws; only sending can fail here, and then the server denies by itself.
      observer.failed(cause, '')
    } finally {
      running--
      if (room.size() > 0) turn()
      else if (running === 0) rest()
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
      return running === 0 && room.size() === 0 ? Promise.resolve() : new Promise((done) => idlers.push(done))
    },
    inFlight: () => running + room.size(),
    waiting: () => room.waiting(),
  }
}

/** Reads the request without believing it, once: whoever decides gets what was read. */
function takenOf(message: ServiceMsg, options: AuthCalloutOptions): Taken {
  const arrivedAt = performance.now()
  const raw = { payload: message.data, serverXkey: message.headers?.get(XKEY_HEADER) ?? '' }
  const { journey, read } = readFor(raw, options)
  const incoming = { ...raw, read }
  if (!read.ok) return { message, arrivedAt, incoming, journey, source: '', seconds: null }
  const { clientHost, seconds } = claimOf(read.value)
  // Behind a proxy everybody has its address, so there is one line.
  return { message, arrivedAt, incoming, journey, source: journey.rules.behindProxy ? '' : sourceOf(clientHost), seconds }
}

/** While keys rotate, a server's xkey says which issuer it knows: the two are given to it together. */
function readFor(raw: IncomingRequest, { journey, next }: AuthCalloutOptions): { journey: Journey; read: Checked<UnverifiedRequest> } {
  const read = readRequest(raw, journey.xkey)
  if (next === null || read.ok || read.denial !== 'request_unopenable') return { journey, read }
  const other = readRequest(raw, next.xkey)
  return other.ok ? { journey: next, read: other } : { journey, read }
}

/** Whether it was granted. */
async function answer({ message, arrivedAt, incoming, journey }: Taken, { observer }: AuthCalloutOptions): Promise<boolean> {
  const stages = stageClock(observer)
  const id = randomUUID()
  const arrival: Arrival = {
    ...incoming,
    id,
    now: new Date(),
    jitter: Math.random(),
    elapsedMs: () => performance.now() - arrivedAt,
    trace: { enter: stages.enter, failed: (cause) => observer.failed(cause, id) },
  }
  const { event, reply } = await decide(arrival, journey)
  stages.end()
  if (event === null) {
    observer.shed('deadline')
    return false
  }
  message.respond(reply)
  observer.verdict(event)
  return event.verdict.outcome === 'granted'
}

/** Nothing is opened or signed for these: an empty answer denies, and costs next to nothing. */
function turnAway({ message, arrivedAt, journey }: Taken, { observer }: AuthCalloutOptions): void {
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
