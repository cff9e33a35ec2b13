import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { ticketId } from '../../src/core/enrolment/enrolment.ts'
import {
  type Answer,
  activeIn,
  type EnrolmentService,
  type MachineChange,
  machine,
  recordedRefusal,
  refuses,
  roles,
  startEnrolmentService,
  verdictOf,
} from '../support/enrolment-service.ts'
import { b64u, FLAGS, testKey } from '../support/test-authenticator.ts'
import { MACHINE_FLAGS } from '../support/test-registration.ts'

let service: EnrolmentService
beforeEach(async () => {
  service = await startEnrolmentService()
})
afterEach(() => service.stop())

describe('a ticket', () => {
  const bad: Record<string, { text: () => string; recorded: string }> = {
    'that was never issued': { text: () => b64u(randomBytes(32)), recorded: 'ticket_unknown' },
    'given as its stored id': { text: () => ticketId(service.invite()), recorded: 'ticket_unknown' },
    'with another last character': {
      text: () => service.invite().replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      recorded: 'ticket_unknown',
    },
    'with a space after it': { text: () => `${service.invite()} `, recorded: 'ticket_unknown' },
    'that expired': { text: () => service.invite({ expiresAt: service.clock.now }), recorded: 'ticket_expired' },
    'that was used': { text: () => service.invite({ state: 'used', usedAt: 1 }), recorded: 'ticket_used' },
    'that was taken back': { text: () => service.invite({ state: 'revoked' }), recorded: 'ticket_revoked' },
  }
  for (const [name, { text, recorded }] of Object.entries(bad)) {
    test(`${name} is refused like any other bad one, and recorded for what it is`, async () => {
      const ticket = text()
      const answer = await machine(service, ticket).begin()
      const unknown = await machine(service, 'x').begin()
      assert.deepEqual([answer.status, answer.text], [unknown.status, unknown.text])
      assert.equal(verdictOf(answer), '403 ticket_invalid')
      await service.stop()
      assert.ok(service.lifecycle.codes().includes(`enrolment.refused.${recorded}`))
      assert.equal(service.ceremonies.all().size, 0)
    })
  }

  test('is refused at each step, not only at the first', async () => {
    const ticket = service.invite()
    const orders = machine(service, ticket)
    const begun = await orders.begin()
    const stored = service.tickets.get(ticketId(ticket))
    assert.ok(stored)
    service.tickets.put(stored.id, { ...stored, state: 'revoked' })
    assert.equal(verdictOf(await orders.register(begun)), '403 ticket_invalid')
    service.tickets.put(stored.id, stored)
    const registered = await orders.register(begun)
    service.tickets.put(stored.id, { ...stored, expiresAt: service.clock.now })
    assert.equal(verdictOf(await orders.activate(registered)), '403 ticket_invalid')
    assert.deepEqual(activeIn(service), [])
  })

  test('of a person enrols nobody here', async () => {
    assert.equal(verdictOf(await machine(service, service.invite({ class: 'person' })).enrol()), '403 ticket_invalid')
    assert.equal(await recordedRefusal(service), 'ticket_wrong_class')
  })

  test('is good for one enrolment', async () => {
    const ticket = service.invite()
    assert.equal(verdictOf(await machine(service, ticket).enrol()), '200')
    assert.equal(verdictOf(await machine(service, ticket).enrol()), '403 ticket_invalid')
    assert.equal(activeIn(service).length, 1)
  })

  test('is good for one of many enrolments that were begun with it', async () => {
    const ticket = service.invite()
    const [first, second] = [machine(service, ticket), machine(service, ticket)]
    const [one, two] = [await first.register(await first.begin()), await second.register(await second.begin())]
    assert.equal(verdictOf(await second.activate(two)), '200')
    assert.equal(verdictOf(await first.activate(one)), '403 ticket_invalid')
    assert.deepEqual(activeIn(service), [second.credentialId])
  })

  test('is good for exactly one of two at the same moment, sixty times', async () => {
    for (let race = 0; race < 60; race++) {
      const ticket = service.invite({ handle: `orders-${race}` as never })
      const rivals = [machine(service, ticket), machine(service, ticket)]
      const registered = await Promise.all(rivals.map(async (rival) => rival.register(await rival.begin())))
      const answers = await Promise.all(rivals.map((rival, index) => rival.activate(registered[index] as Answer)))
      assert.deepEqual(answers.map(verdictOf).sort(), ['200', '403 ticket_invalid'])
      const winner = rivals[answers.findIndex(({ status }) => status === 200)]
      assert.deepEqual(
        activeIn(service).filter((id) => rivals.some(({ credentialId }) => credentialId === id)),
        [winner?.credentialId],
      )
    }
    const enrolled = service.lifecycle.codes().filter((code) => code === 'enrolment.succeeded.enrolled')
    assert.equal(enrolled.length, 60)
  })
})

test('a ticket begins ten registrations and no more, at the same moment or one after the other', async () => {
  const ticket = service.invite()
  const begun = await Promise.all(Array.from({ length: 12 }, () => machine(service, ticket).begin()))
  assert.deepEqual(begun.map(verdictOf).sort(), [...Array(10).fill('200'), '429 rate_limited', '429 rate_limited'])
  assert.equal(verdictOf(await machine(service, ticket).begin()), '429 rate_limited')
  assert.equal(verdictOf(await machine(service, service.invite()).begin()), '200')
  assert.equal(new Set(begun.map(({ body }) => body.ceremony)).size, 11)
  assert.equal(await recordedRefusal(service), 'rate_limited/ticket')
})

describe('a ceremony', () => {
  test('that was never begun is refused', () =>
    refuses(service, { ceremonies: { register: b64u(randomBytes(16)) } }, '409 ceremony_invalid', 'ceremony_invalid/unknown'))

  test('of another ticket is refused', async () => {
    const other = await machine(service, service.invite()).begin()
    await refuses(service, { ceremonies: { register: other.body.ceremony } }, '409 ceremony_invalid', 'ceremony_invalid/ticket')
  })

  test('of another ticket is refused with possession proven as well', async () => {
    const other = machine(service, service.invite())
    const registered = await other.register(await other.begin())
    await refuses(service, { ceremonies: { activate: registered.body.ceremony } }, '409 ceremony_invalid', 'ceremony_invalid/ticket')
  })

  test('of another purpose is refused', async () => {
    const ticket = service.invite()
    const orders = machine(service, ticket)
    const [begun, spare] = [await orders.begin(), await orders.begin()]
    const registered = await orders.register(begun)
    assert.equal(
      verdictOf(await machine(service, ticket, { ceremonies: { register: registered.body.ceremony } }).enrol()),
      '409 ceremony_invalid',
    )
    const swapped = { ...registered, body: { ...registered.body, ceremony: spare.body.ceremony } }
    assert.equal(verdictOf(await orders.activate(swapped)), '409 ceremony_invalid')
    assert.equal(await recordedRefusal(service), 'ceremony_invalid/purpose')
    assert.deepEqual(activeIn(service), [])
  })

  test('serves once, whatever came of it', async () => {
    const ticket = service.invite()
    const begun = await machine(service, ticket).begin()
    assert.equal(
      verdictOf(await machine(service, ticket, { registration: { flags: MACHINE_FLAGS | FLAGS.UP } }).register(begun)),
      '422 registration_invalid/flags_mismatch',
    )
    assert.equal(verdictOf(await machine(service, ticket).register(begun)), '409 ceremony_invalid')
    assert.equal(await recordedRefusal(service), 'ceremony_invalid/used')
  })

  test('serves one of two that found it at the same moment', async () => {
    const ticket = service.invite()
    const begun = await machine(service, ticket).begin()
    const { find } = service.ceremonies
    let release = () => {}
    const bothFound = new Promise<void>((resolve) => {
      release = resolve
    })
    let found = 0
    service.ceremonies.find = async (id) => {
      const stored = await find(id)
      if (++found === 2) release()
      await bothFound
      return stored
    }
    const answers = await Promise.all([machine(service, ticket).register(begun), machine(service, ticket).register(begun)])
    assert.deepEqual(answers.map(verdictOf).sort(), ['200', '409 ceremony_invalid'])
    assert.equal(service.credentials.all().size, 1)
  })

  test('ends after five minutes', async () => {
    const orders = machine(service, service.invite())
    const begun = await orders.begin()
    service.clock.now += 300_000
    assert.equal(verdictOf(await orders.register(begun)), '409 ceremony_invalid')
    const again = await orders.register(await orders.begin())
    service.clock.now += 300_000
    assert.equal(verdictOf(await orders.activate(again)), '409 ceremony_invalid')
    assert.equal(await recordedRefusal(service), 'ceremony_invalid/expired')
  })
})

test('the client cannot choose handle, roles or class', async () => {
  const ticket = service.invite({ roles: roles('orders-reader') })
  for (const extra of [{ handle: 'admin' }, { roles: ['admin'] }, { class: 'person' }]) {
    assert.equal(verdictOf(await service.post('/v1/enrol/begin', { ticket, ...extra })), '400 request_malformed/schema')
  }
})

test('no ticket, challenge, issued bytes, signature or key is in any log line or record', async () => {
  const secrets: string[] = []
  const keep = (answer: Answer) => {
    if (answer.body?.issued) secrets.push(answer.body.issued, answer.body.options.challenge, answer.body.ceremony)
    return answer
  }
  for (const change of [{}, { registration: { fmt: 'none' } }, { assertion: { key: testKey(-7) } }] satisfies MachineChange[]) {
    const ticket = service.invite()
    secrets.push(ticket)
    const orders = machine(service, ticket, change)
    const registered = keep(await orders.register(keep(await orders.begin())))
    if (registered.status === 200) await orders.activate(registered)
    await orders.enrol()
    await service.post('/v1/enrol/begin', { ticket, more: ticket })
    await service.post('/v1/enrol/begin', `{"ticket":"${ticket}"`)
    await service.post(`/v1/enrol/${ticket}`, { ticket })
    await service.post(`/v1/enrol/begin?ticket=${ticket}`, {})
    secrets.push(b64u(orders.key.cose))
  }
  service.lifecycle.failing = ({ outcome }) => outcome === 'succeeded'
  const ticket = service.invite()
  secrets.push(ticket)
  await machine(service, ticket).enrol()
  service.lifecycle.failing = () => false
  await service.stop()
  const everything = [...service.log, ...service.lifecycle.events.map((event) => JSON.stringify(event))].join('\n')
  assert.ok(service.log.length > 5 && service.lifecycle.events.length > 5)
  for (const secret of secrets) {
    for (const spelling of [
      secret,
      Buffer.from(secret, 'base64url').toString('hex'),
      Buffer.from(secret, 'base64url').toString('base64'),
    ]) {
      assert.equal(everything.includes(spelling), false, 'a secret is in a log line or record')
    }
  }
})
