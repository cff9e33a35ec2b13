import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { VerdictEvent } from '../../src/core/audit-event.ts'
import type { Journey } from '../../src/core/decide.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { createAuthCallout } from '../../src/nats/auth-callout.ts'
import { memoryWorld } from '../support/memory-world.ts'
import { rules } from '../support/scenario.ts'

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
  const made = createAuthCallout({ connection: connection as never, journey, observer, ...limits, version: '0.0.0' })
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
