/** Messages that are answered, over a real nats-server. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { connect, headers, type Msg, type NatsConnection } from 'nats'
import { type AskedMessage, createAckedPublisher } from '../../src/nats/acked-publisher.ts'
import { type RunningNatsServer, startNatsServer } from '../support/nats-server.ts'

const CONFIG = `
host: 127.0.0.1
port: -1
authorization {
  users: [
    { user: asker, password: a, permissions: { publish: ">", subscribe: ["_INBOX_mine.>"] } }
    { user: other, password: b }
  ]
}
`

let server: RunningNatsServer
let asker: NatsConnection
let other: NatsConnection

const user = (name: string, pass: string) =>
  connect({ servers: `127.0.0.1:${server.port}`, user: name, pass, reconnectTimeWait: 20, maxReconnectAttempts: -1 })
const message = (changes: Partial<AskedMessage> = {}): AskedMessage => ({
  subject: 'ask',
  body: 'question',
  headers: null,
  msMax: 5_000,
  ...changes,
})
const publisherOf = (connection: NatsConnection, changes: Partial<Parameters<typeof createAckedPublisher>[1]> = {}) =>
  createAckedPublisher(connection, { inboxPrefix: '_INBOX_mine', isConnected: () => !connection.isClosed(), ...changes })
const outcome = (asked: Promise<Msg>) =>
  asked.then(
    (answer) => answer.string(),
    (error: Error) => error.message,
  )

describe('publishing and waiting for the answer', () => {
  beforeEach(async () => {
    server = await startNatsServer(CONFIG)
    asker = await user('asker', 'a')
    other = await user('other', 'b')
  })
  afterEach(async () => {
    await Promise.all([asker.close(), other.close()])
    await server.stop()
  })

  /** Hears questions as they come; the test answers. */
  async function listen(subject = 'ask') {
    const heard: Msg[] = []
    const waiting: (() => void)[] = []
    other.subscribe(subject, {
      callback: (_, question) => {
        heard.push(question)
        for (const wake of waiting.splice(0)) wake()
      },
    })
    await other.flush()
    const count = async (n: number) => {
      while (heard.length < n) await new Promise<void>((wake) => waiting.push(wake))
      return heard
    }
    return { count }
  }

  test('gives every question its own answer, in whatever order they come', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const answers = Array.from({ length: 100 }, (_, i) => outcome(asking.publish(message({ body: String(i) }))))
    for (const question of (await count(100)).toReversed()) question.respond(`answer ${question.string()}`)
    assert.deepEqual(
      await Promise.all(answers),
      Array.from({ length: 100 }, (_, i) => `answer ${i}`),
    )
  })

  test('takes the first answer and no second', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const first = outcome(asking.publish(message()))
    const [question] = await count(1)
    question?.respond('first')
    question?.respond('second')
    assert.equal(await first, 'first')
    const next = outcome(asking.publish(message()))
    ;(await count(2))[1]?.respond('of the next')
    assert.equal(await next, 'of the next')
  })

  test('shows where an answer goes only with the question', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const answers = Array.from({ length: 50 }, () => outcome(asking.publish(message())))
    const replies = (await count(50)).map(({ reply = '' }) => reply)
    assert.equal(new Set(replies).size, 50)
    // 122 random bits each.
    for (const reply of replies) assert.match(reply, /^_INBOX_mine\.[A-Z0-9]{22}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    for (const question of await count(50)) question.respond('x')
    await Promise.all(answers)
  })

  test('is not taken in by answers to questions that nobody asked', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const asked = outcome(asking.publish(message()))
    const [question] = await count(1)
    const inbox = (question?.reply ?? '').replace(/[^.]*$/, '')
    for (const token of ['0', '1', 'constructor', '__proto__', crypto.randomUUID()]) other.publish(inbox + token, 'forged')
    question?.respond('real')
    assert.equal(await asked, 'real')
  })

  test('passes over what is no answer, and takes the one that is, each to its own question', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const isAnswer = (heard: Msg) => heard.string().startsWith('real')
    const one = outcome(asking.publish(message({ body: 'one', isAnswer })))
    const two = outcome(asking.publish(message({ body: 'two', isAnswer })))
    const any = outcome(asking.publish(message({ body: 'any' })))
    for (const question of await count(3)) {
      question.respond('something else')
      question.respond(`real ${question.string()}`)
      question.respond('real, but late')
    }
    assert.deepEqual(await Promise.all([one, two, any]), ['real one', 'real two', 'something else'])
  })

  test('passes over a status that says something else than that nobody listens', async () => {
    const { count } = await listen()
    const asked = outcome(publisherOf(asker).publish(message({ isAnswer: (heard) => heard.string() === 'real' })))
    const [question] = await count(1)
    for (const code of [100, 404, 408, 409]) question?.respond('', { headers: headers(code, 'No Messages') })
    question?.respond('')
    question?.respond('real')
    assert.equal(await asked, 'real')
  })

  test('waits for an answer no longer because of what is none', async () => {
    const { count } = await listen()
    const asked = outcome(publisherOf(asker).publish(message({ msMax: 50, isAnswer: () => false })))
    ;(await count(1))[0]?.respond('something else')
    assert.equal(await asked, 'asking ask: no answer in time')
  })

  test('says at once when nobody listens, whatever would be an answer', async () => {
    const asked = publisherOf(asker).publish(message({ subject: 'nobody', msMax: 600_000, isAnswer: () => false }))
    assert.equal(await outcome(asked), 'asking nobody: nobody answers')
  })

  test('says at once when nobody listens', async () => {
    assert.equal(await outcome(publisherOf(asker).publish(message({ subject: 'nobody', msMax: 600_000 }))), 'asking nobody: nobody answers')
  })

  test('gives up on what is not answered in time, and on nothing else', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const late = outcome(asking.publish(message({ msMax: 1 })))
    const patient = outcome(asking.publish(message({ msMax: 600_000 })))
    assert.equal(await late, 'asking ask: no answer in time')
    const [lateQuestion, question] = await count(2)
    lateQuestion?.respond('too late')
    question?.respond('in time')
    assert.equal(await patient, 'in time')
  })

  test('publishes nothing while it is not connected', async () => {
    const { count } = await listen()
    let connected = false
    const asking = publisherOf(asker, { isConnected: () => connected })
    assert.equal(await outcome(asking.publish(message({ body: 'lost' }))), 'asking ask: not connected')
    connected = true
    const asked = outcome(asking.publish(message({ body: 'sent' })))
    const heard = await count(1)
    assert.deepEqual(
      heard.map((question) => question.string()),
      ['sent'],
    )
    heard[0]?.respond('yes')
    assert.equal(await asked, 'yes')
  })

  test('fails all questions at once when the connection is closed', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const asked = [1, 2, 3].map(() => outcome(asking.publish(message({ msMax: 600_000 }))))
    await count(3)
    await asker.close()
    assert.deepEqual(await Promise.all(asked), Array(3).fill('asking: the connection was closed'))
  })

  test('fails at once where answers may not be heard, and asks again when asked', async () => {
    await listen()
    const asking = publisherOf(asker, { inboxPrefix: '_INBOX_other' })
    for (let i = 0; i < 2; i++) assert.match(await outcome(asking.publish(message({ msMax: 600_000 }))), /Permissions Violation/)
  })

  test('has a limit on questions at once', async () => {
    const { count } = await listen()
    const asking = publisherOf(asker)
    const asked = Array.from({ length: 20_001 }, () => outcome(asking.publish(message({ body: '', msMax: 600_000 }))))
    assert.equal(await asked.at(-1), 'asking ask: too many questions at once')
    for (const question of await count(20_000)) question.respond('y')
    assert.deepEqual(new Set(await Promise.all(asked.slice(0, -1))), new Set(['y']))
  })
})
