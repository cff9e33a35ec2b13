/** What one source, and many, may ask; and how little of it the audit trail keeps. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DEFAULT_RATE_LIMITS } from '../../src/http/server.ts'
import { type EnrolmentService, startEnrolmentService, verdictOf } from '../support/enrolment-service.ts'
import { type RawRequest, rawHttp } from '../support/raw-http.ts'

let service: EnrolmentService
beforeEach(async () => {
  service = await startEnrolmentService()
})
afterEach(() => service.stop())

const begin = '/v1/enrol/begin'
const raw = (request: RawRequest) => rawHttp(service.port, request)

describe('a source', () => {
  async function limited(overrides: Parameters<typeof startEnrolmentService>[0] = {}): Promise<void> {
    await service.stop()
    service = await startEnrolmentService({ rateLimits: { ...DEFAULT_RATE_LIMITS, perSource: 3 }, ...overrides })
  }

  test('that asks too often is refused, in whatever it asks for', async () => {
    await limited()
    const answers = [
      await service.post(begin, { ticket: 'a' }),
      await service.post('/v1/enrol/register', {}),
      await service.post('/nowhere', {}),
    ]
    assert.deepEqual(
      answers.map(({ status }) => status),
      [403, 400, 404],
    )
    for (const path of [begin, '/v1/enrol/activate', '/nowhere']) {
      const answer = await service.post(path, { ticket: service.invite() })
      assert.equal(verdictOf(answer), '429 rate_limited')
      assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
    }
  })
  test('fills no audit trail: the first refusal is a record, the rest are one with a count', async () => {
    await limited()
    for (let i = 0; i < 40; i++) await service.post(begin, { ticket: 'a' })
    await service.stop()
    const refusals = service.lifecycle.events.filter(({ reason }) => reason === 'rate_limited')
    assert.deepEqual(
      refusals.map(({ facts }) => facts['count']),
      [1, 36],
    )
  })
  test('cannot call itself another', async () => {
    await limited()
    for (let i = 0; i < 3; i++) await raw({ headers: { 'x-forwarded-for': `203.0.113.${i}` } })
    assert.equal((await raw({ headers: { 'x-forwarded-for': '203.0.113.9' } })).status, 429)
  })
  test('is what a trusted proxy says', async () => {
    await limited({ trustProxy: ['127.0.0.1'] })
    for (let i = 0; i < 5; i++) assert.equal((await raw({ headers: { 'x-forwarded-for': `203.0.113.${i}` } })).status, 403)
    for (let i = 0; i < 3; i++) await raw({ headers: { 'x-forwarded-for': `2001:db8:1:2::${i}` } })
    assert.equal((await raw({ headers: { 'x-forwarded-for': '2001:db8:1:2:ffff::1' } })).status, 429)
    assert.equal((await raw({ headers: { 'x-forwarded-for': '2001:db8:1:3::1' } })).status, 403)
  })
})

test('a flood of bad tickets leaves few records, and their counts add up', async () => {
  for (let i = 0; i < 100; i++) await service.post(begin, { ticket: `guess ${i}` })
  await service.post(begin, '{')
  await service.stop()
  const refusals = service.lifecycle.events.filter(({ outcome }) => outcome === 'refused')
  assert.equal(refusals.length, 22)
  const sum = (reason: string) =>
    refusals.filter((event) => event.reason === reason).reduce((total, { facts }) => total + Number(facts['count']), 0)
  assert.deepEqual([sum('ticket_unknown'), sum('request_malformed')], [100, 1])
})
