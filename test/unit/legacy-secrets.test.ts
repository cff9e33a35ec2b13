import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hashSync } from 'bcryptjs'
import { NO_LEGACY_USERS } from '../../src/core/legacy/legacy-users.ts'
import { bcryptThread } from '../../src/policy/bcrypt-thread.ts'
import { dummyHashOf, LEGACY_LIMITS, legacySecrets } from '../../src/policy/legacy-secrets.ts'
import { DUMMY, secretsByHand, settle } from '../support/legacy-secrets.ts'

describe('secrets of legacy users', () => {
  test('are compared by bcrypt on a thread, right ones and wrong ones', async () => {
    const secrets = legacySecrets({ thread: bcryptThread(), dummyHash: () => hashSync('nobody', 4), askedMax: 10 })
    const hash = hashSync('correct horse', 4)
    const ask = (secret: string, of: string | null = hash) =>
      secrets.compare({ name: 'billing', secret, hash: of, source: 'a', msLeft: 60_000 })
    assert.equal(await ask('correct horse'), 'right')
    assert.equal(await ask('correct horsE'), 'wrong')
    assert.equal(await ask('correct horse', null), 'wrong')
    assert.equal(await ask(hash), 'wrong')
    // bcrypt would not see what comes after 72 bytes.
    const long = 'x'.repeat(72)
    assert.equal(await ask(`${long}y`, hashSync(long, 4)), 'wrong')
    await secrets.stop()
  })

  test('that were compared once are not compared again, right or wrong', async () => {
    const { ask, answer, compared } = secretsByHand()
    for (const hash of ['hash of a', 'hash of b']) {
      const first = ask('a', { hash })
      answer()
      const expected = hash === 'hash of a' ? 'right' : 'wrong'
      assert.equal(await first, expected)
      assert.equal(await ask('a', { hash }), expected)
    }
    assert.equal(compared.length, 2)
  })

  test('are compared anew with a new hash: who was taken out and put back has another password', async () => {
    const { ask, answer } = secretsByHand()
    const before = ask('a')
    answer()
    assert.equal(await before, 'right')
    const afterwards = ask('a', { hash: 'hash of b' })
    answer()
    assert.equal(await afterwards, 'wrong')
  })

  test('of one client that comes back often are compared once for all its connections', async () => {
    const { ask, answer, compared } = secretsByHand()
    const all = Array.from({ length: 500 }, () => ask('a'))
    answer()
    assert.deepEqual(new Set(await Promise.all(all)), new Set(['right']))
    assert.equal(compared.length, 1)
  })

  test('of a name that nobody has cost a comparison too', async () => {
    const { ask, answer, compared } = secretsByHand()
    const asked = ask('a', { hash: null })
    answer()
    assert.equal(await asked, 'wrong')
    assert.deepEqual(compared, [{ secret: 'a', hash: DUMMY }])
  })

  test('of another name that nobody has cost one again, under way or remembered: a quick answer would tell that nobody has it', async () => {
    const { ask, answer, compared } = secretsByHand()
    const both = [ask('a', { hash: null, name: 'nobody' }), ask('a', { hash: null, name: 'no one' })]
    for (const _ of both) {
      answer()
      await settle()
    }
    assert.deepEqual(await Promise.all(both), ['wrong', 'wrong'])
    const third = ask('a', { hash: null, name: 'nobody either' })
    answer()
    assert.equal(await third, 'wrong')
    assert.equal(compared.length, 3)
    // The same name again is remembered, as it is of somebody.
    assert.equal(await ask('a', { hash: null, name: 'nobody' }), 'wrong')
    assert.equal(compared.length, 3)
  })

  test('from a source that guesses wait in its own queue, and the others take turns with it', async () => {
    const { ask, answer, compared } = secretsByHand()
    const guesses = Array.from({ length: 100 }, (_, i) => ask(`guess ${i}`, { hash: 'hash of a', source: 'attacker' }))
    const good = ask('good', { source: 'somebody else' })
    for (let i = 0; i < 3; i++) {
      answer()
      await settle()
    }
    // One of the attacker's was running and one was next; then it was the other's turn, before all the rest.
    assert.equal(await good, 'right')
    assert.deepEqual(compared.map(({ secret }) => secret).slice(0, 3), ['guess 0', 'guess 1', 'good'])
    while (compared.length < 1 + LEGACY_LIMITS.waitingPerSourceMax + 1) {
      answer()
      await settle()
    }
    answer()
    const answers = await Promise.all(guesses)
    assert.equal(answers.filter((each) => each === 'wrong').length, 1 + LEGACY_LIMITS.waitingPerSourceMax)
    assert.equal(answers.filter((each) => each === 'busy').length, 99 - LEGACY_LIMITS.waitingPerSourceMax)
  })

  test('from ever more sources are turned away at the bound', async () => {
    const { ask, compared } = secretsByHand()
    const asked = Array.from({ length: 1_000 }, (_, i) => ask(`guess ${i}`, { hash: 'hash of a', source: `source ${i}` }))
    const answers: string[] = []
    for (const each of asked) void each.then((answer) => answers.push(answer))
    await settle()
    assert.equal(answers.filter((each) => each === 'busy').length, 1_000 - 1 - LEGACY_LIMITS.waitingMax)
    assert.equal(compared.length, 1)
  })

  test('that many connections bring at once do not keep all of what is decided at once waiting', async () => {
    const { ask, answer, compared } = secretsByHand({ askedMax: 3 })
    const all = Array.from({ length: 10 }, () => ask('a'))
    await settle()
    answer()
    const answers = await Promise.all(all)
    assert.deepEqual([answers.filter((each) => each === 'right').length, answers.filter((each) => each === 'busy').length], [3, 7])
    // What is remembered waits for nothing.
    const other = Array.from({ length: 3 }, (_, i) => ask(`guess ${i}`))
    assert.equal(await ask('a'), 'right')
    for (const _ of other) {
      answer()
      await settle()
    }
    await Promise.all(other)
    const next = ask('b')
    answer()
    assert.equal(await next, 'right')
    assert.equal(compared.length, 5)
  })

  test('that waited too long are not compared: the server has given up', async () => {
    const { ask, answer, compared, nowMs } = secretsByHand()
    const first = ask('a')
    const late = ask('b', { msLeft: 1_000 })
    nowMs.value = 1_000
    answer()
    assert.deepEqual(await Promise.all([first, late]), ['right', 'busy'])
    assert.equal(compared.length, 1)
  })

  test('fail with the thread, and go on after it', async () => {
    const { ask, answer, fail } = secretsByHand()
    const broken = ask('a')
    const next = ask('b')
    fail()
    await assert.rejects(broken, /breaking on purpose/)
    answer()
    assert.equal(await next, 'right')
    const again = ask('a')
    await settle()
    answer()
    assert.equal(await again, 'right')
  })

  test('that were wrong are forgotten before those that were right', async () => {
    const { ask, answer, compared } = secretsByHand()
    const right = ask('a')
    answer()
    await right
    for (let i = 0; i <= LEGACY_LIMITS.wrongMax; i++) {
      const wrong = ask(`guess ${i}`, { hash: 'hash of a' })
      answer()
      assert.equal(await wrong, 'wrong')
      await settle()
    }
    const before = compared.length
    assert.equal(await ask('a'), 'right')
    assert.equal(compared.length, before)
  })
})

describe('the hash that a name is compared with which nobody has', () => {
  const user = (name: string, cost: string) => [name, { secret: { kind: 'password', hash: `$2b$${cost}$${'a'.repeat(53)}` } }] as const
  const users = (...each: ReturnType<typeof user>[]) => ({ ...NO_LEGACY_USERS, byPassword: new Map(each) as never, hash: 'f00d' })

  test('costs what some of the others cost, for each name always the same', () => {
    const file = users(user('one', '04'), user('two', '10'), user('three', '04'))
    const names = Array.from({ length: 64 }, (_, i) => `nobody ${i}`)
    const costs = names.map((name) => dummyHashOf(file, name).slice(4, 6))
    assert.deepEqual([...new Set(costs)].sort(), ['04', '10'])
    assert.deepEqual(
      names.map((name) => dummyHashOf(file, name).slice(4, 6)),
      costs,
    )
  })

  test('is one that bcrypt reads to the end, also where nobody has a password', () => {
    for (const file of [users(), users(user('one', '12'))]) {
      assert.match(dummyHashOf(file, 'nobody'), /^\$2b\$1[02]\$[./A-Za-z0-9]{53}$/)
    }
  })
})

describe('the thread', () => {
  test('is started again after it failed', async () => {
    const thread = bcryptThread()
    const hash = hashSync('a', 4)
    assert.equal(await thread.compare({ secret: 'a', hash }), true)
    await thread.stop()
    assert.equal(await thread.compare({ secret: 'b', hash }), false)
    await thread.stop()
  })

  test('rejects what bcrypt cannot read, and goes on', async () => {
    const thread = bcryptThread()
    await assert.rejects(thread.compare({ secret: 'a', hash: 7 as unknown as string }), /comparing a secret/)
    assert.equal(await thread.compare({ secret: 'a', hash: hashSync('a', 4) }), true)
    await thread.stop()
  })
})
