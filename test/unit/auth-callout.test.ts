import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Journey } from '../../src/core/arrival.ts'
import type { VerdictEvent } from '../../src/core/audit-event.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { createAuthCallout } from '../../src/nats/auth-callout.ts'
import { worldOf } from '../support/decision.ts'
import { memoryWorld } from '../support/memory-world.ts'
import { proofSig, requestOf, rules, type Scenario, scenario } from '../support/scenario.ts'

type Handler = (error: Error | null, message: unknown) => void

/** A callout on a connection that is a plain object; `send` delivers a request and resolves with its answer. */
async function callout(limits: { inFlightMax: number; queueMax: number }, journey: Journey) {
  let handler: Handler = () => {}
  let stopped = 0
  const services = {
    add: () =>
      Promise.resolve({
        isStopped: false,
        addEndpoint: (_: string, options: { subject: string; handler: Handler }) => {
          handler = options.handler
        },
        stop: () => Promise.resolve(void stopped++),
      }),
  }
  const seen = { verdicts: [] as VerdictEvent[], shed: [] as string[], failures: [] as unknown[], stages: [] as string[] }
  const observer = {
    verdict: (event: VerdictEvent) => void seen.verdicts.push(event),
    stage: (stage: string) => void seen.stages.push(stage),
    shed: (why: string) => void seen.shed.push(why),
    failed: (cause: unknown) => void seen.failures.push(cause),
  }
  const connection = { services, flush: () => Promise.resolve() }
  const made = createAuthCallout({ connection: connection as never, journey, next: null, observer, ...limits, version: '0.0.0' })
  await made.join()
  const send = (data = new Uint8Array()): Promise<Uint8Array> => new Promise((resolve) => handler(null, { data, respond: resolve }))
  return {
    made,
    send,
    seen,
    raw: (message: unknown) => handler(null, message),
    fail: (error: Error) => handler(error, null),
    stops: () => stopped,
  }
}

function journeyWith(): Journey {
  const answer = { grant: () => new Uint8Array([1]), refuse: () => new Uint8Array([2]) }
  const state = {
    policy: { roles: new Map(), personEnrolment: DEFAULT_PERSON_ENROLMENT, hash: 'h' },
    credentials: [],
    sessions: [],
    identities: [],
    guard: {},
  }
  return { rules: rules(), xkey: null, world: memoryWorld(state, answer) }
}

describe('auth callout', () => {
  test('answers what it cannot read with nothing, which denies, and records and counts it', async () => {
    const journey = journeyWith()
    const { send, seen } = await callout({ inFlightMax: 4, queueMax: 4 }, journey)
    assert.equal((await send()).length, 0)
    assert.deepEqual(
      seen.verdicts.map((event) => event.verdict.reason),
      ['request_malformed'],
    )
    assert.deepEqual(seen.stages, ['open'])
  })

  test('with no room left it turns requests away at once, recorded as overloaded', async () => {
    const { send, seen } = await callout({ inFlightMax: 1, queueMax: 1 }, journeyWith())
    await Promise.all([send(), send(), send()])
    assert.deepEqual(seen.shed, ['queue'])
    assert.deepEqual(seen.verdicts.map((event) => event.verdict.reason).sort(), ['overloaded', 'request_malformed', 'request_malformed'])
  })

  test('is idle only when the waiting requests are answered too', async () => {
    const { made, send, seen } = await callout({ inFlightMax: 1, queueMax: 10 }, journeyWith())
    const answers = [send(), send(), send()]
    assert.equal(made.inFlight(), 3)
    await made.leave()
    await made.idle()
    assert.equal(made.inFlight(), 0)
    assert.equal(seen.verdicts.length, 3)
    await Promise.all(answers)
  })

  test('leaving twice stops the service once', async () => {
    const { made, stops } = await callout({ inFlightMax: 1, queueMax: 1 }, journeyWith())
    await made.leave()
    await made.leave()
    assert.equal(stops(), 1)
  })

  test('a subscription error is reported, not thrown', async () => {
    const { fail, seen } = await callout({ inFlightMax: 1, queueMax: 1 }, journeyWith())
    fail(new Error('permissions violation'))
    assert.equal(seen.failures.length, 1)
  })

  test('an answer that cannot be sent is reported and frees its place', async () => {
    const { raw, send, seen } = await callout({ inFlightMax: 1, queueMax: 1 }, journeyWith())
    raw({
      data: new Uint8Array(),
      respond: () => {
        throw new Error('connection closed')
      },
    })
    assert.equal((await send()).length, 0)
    assert.equal(seen.failures.length, 1)
  })
})

/** A request about a connection from `host`, asked for just now. */
function requestFrom(
  host: string,
  {
    s = scenario(),
    sig = () => '',
    claims = {},
    id = 7,
  }: { s?: Scenario; sig?: (s: Scenario) => string; claims?: Record<string, unknown>; id?: number } = {},
): Buffer<ArrayBuffer> {
  s.request = { client: { host, id }, now: Math.floor(Date.now() / 1000), claims }
  return Buffer.from(requestOf(s, sig(s)))
}

describe('auth callout, with more requests than it can answer at once', () => {
  const limits = { inFlightMax: 1, queueMax: 99 }
  const hosts = (events: VerdictEvent[]) => events.map(({ connection }) => connection?.clientHost)

  test('gives each source its turn: one behind a thousand others of a flood is second', async () => {
    const { send, seen } = await callout(limits, journeyWith())
    const bad = requestFrom('192.0.2.66')
    const flood = Array.from({ length: 1_000 }, () => send(bad))
    await send(requestFrom('192.0.2.7'))
    assert.equal(hosts(seen.verdicts.filter(({ verdict }) => verdict.reason === 'sig_missing')).indexOf('192.0.2.7'), 1)
    await Promise.all(flood)
    // Of a hundred places the flood had all, until somebody else came.
    assert.equal(seen.verdicts.filter(({ verdict }) => verdict.reason === 'overloaded').length, 901)
    assert.equal(seen.shed.length, 901)
  })

  test('counts the addresses of one IPv6 network as one source', async () => {
    const s = scenario()
    const { send, seen } = await callout(limits, journeyWith())
    const flood = Array.from({ length: 50 }, (_, i) => send(requestFrom(`2001:db8::${i.toString(16)}`, { s })))
    await send(requestFrom('2001:db8:0:1::1'))
    assert.equal(hosts(seen.verdicts).indexOf('2001:db8:0:1::1'), 1)
    await Promise.all(flood)
  })

  test('behind a proxy has one line, because everybody has its address', async () => {
    const { send, seen } = await callout(limits, { ...journeyWith(), rules: rules({ behindProxy: true }) })
    const flood = Array.from({ length: 10 }, () => send(requestFrom('192.0.2.66')))
    await send(requestFrom('192.0.2.7'))
    assert.equal(hosts(seen.verdicts).indexOf('192.0.2.7'), 10)
    await Promise.all(flood)
  })

  test('keeps most places for sources that were granted a connection, when a flood comes from everywhere', async () => {
    const s = scenario()
    const { send, seen, made } = await callout(limits, { rules: s.rules, xkey: null, world: worldOf(s) })
    const good = (id: number) => {
      s.nonce = `nonce${id}`
      return send(requestFrom('192.0.2.7', { s, sig: proofSig, id }))
    }
    await good(1_000)
    await made.idle()
    assert.equal(seen.verdicts[0]?.verdict.outcome, 'granted', JSON.stringify(seen.verdicts[0]))
    const flood = Array.from({ length: 300 }, (_, i) => send(requestFrom(`198.51.100.${i % 250}`, { s })))
    await Promise.all(Array.from({ length: 75 }, (_, i) => good(i)))
    await Promise.all(flood)
    const reasons = seen.verdicts.filter(({ connection }) => connection?.clientHost === '192.0.2.7').map(({ verdict }) => verdict.outcome)
    assert.deepEqual(new Set(reasons), new Set(['granted']))
    assert.equal(reasons.length, 76)
  })

  test('drops unread what its server has given up on, unanswered and counted', async () => {
    const { raw, send, seen } = await callout(limits, journeyWith())
    // One that gives no time is late when it arrives.
    const late = requestFrom('192.0.2.7', { claims: { exp: Math.floor(Date.now() / 1000) } })
    raw({ data: late, respond: () => assert.fail('answered') })
    await send(requestFrom('192.0.2.7'))
    assert.deepEqual([seen.shed, seen.verdicts.length], [['deadline'], 1])
  })

  test('waits for what has arrived meanwhile before it begins the next ones', async () => {
    const { send, seen, made } = await callout({ inFlightMax: 100, queueMax: 1_000 }, journeyWith())
    const bad = requestFrom('192.0.2.66')
    const flood = Array.from({ length: 200 }, () => send(bad))
    assert.deepEqual(made.waiting(), { known: 0, unknown: 200 })
    // After some of them were answered, as soon as the loop comes round.
    await Promise.race(flood)
    await send(requestFrom('192.0.2.7'))
    assert.ok(hosts(seen.verdicts).indexOf('192.0.2.7') < 100)
    await Promise.all(flood)
    await made.idle()
    assert.deepEqual(made.waiting(), { known: 0, unknown: 0 })
  })
})
