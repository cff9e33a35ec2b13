/** Hostile sources that ask for as many comparisons as they may, and a legacy user who wants one. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LEGACY_LIMITS } from '../../src/policy/legacy-secrets.ts'
import { secretsByHand, settle } from '../support/legacy-secrets.ts'

const good = { source: 'good' }

/** Each of `sources` asks for more than its share, all with different secrets. */
function flood({ ask }: ReturnType<typeof secretsByHand>, sources: number): Promise<string>[] {
  const each = LEGACY_LIMITS.waitingPerSourceMax * 2
  return Array.from({ length: sources * each }, (_, i) => ask(`guess ${i}`, { hash: 'hash of another', source: `hostile ${i % sources}` }))
}

/** Answers comparisons until nobody waits, and returns what was compared. */
async function drain({ answer, compared }: ReturnType<typeof secretsByHand>): Promise<string[]> {
  for (let answered = -1; answered < compared.length; ) {
    answered = compared.length
    answer()
    await settle()
  }
  return compared.map(({ secret }) => secret)
}

describe('when hostile sources ask for as many comparisons as they may', () => {
  for (const sources of [1, 4, 20, 60]) {
    test(`a user from elsewhere waits for one of each of ${sources}, and for the one that runs`, async () => {
      const hand = secretsByHand()
      const guesses = flood(hand, sources)
      await settle()
      const asked = hand.ask('good', good)
      const compared = await drain(hand)
      assert.equal(await asked, 'right')
      assert.ok(compared.indexOf('good') <= sources + 1, `${compared.indexOf('good')}`)
      const answers = await Promise.all(guesses)
      assert.ok(!answers.includes('right'))
      // One more than wait: the first ran at once. The good one took one of the places of a line that was full.
      const most = Math.min(LEGACY_LIMITS.waitingMax, sources * LEGACY_LIMITS.waitingPerSourceMax)
      assert.equal(compared.length, Math.min(most + 1, LEGACY_LIMITS.waitingMax) + 1)
      assert.equal(answers.filter((each) => each === 'busy').length, guesses.length - (compared.length - 1))
    })
  }

  test('the users of many addresses are all answered while a few hold the places', async () => {
    const hand = secretsByHand()
    void flood(hand, 4)
    await settle()
    const users = Array.from({ length: 40 }, (_, i) => hand.ask(`user ${i}`, { source: `user ${i}` }))
    const compared = await drain(hand)
    assert.deepEqual(new Set(await Promise.all(users)), new Set(['right']))
    assert.ok(users.every((_, i) => compared.indexOf(`user ${i}`) <= i + 5))
  })

  test('from more addresses than there are places, one that had a right secret lately is still answered soon', async () => {
    const hand = secretsByHand()
    const before = hand.ask('yesterday', good)
    hand.answer()
    assert.equal(await before, 'right')
    void flood(hand, 1_000)
    await settle()
    const [asked, stranger] = [hand.ask('today', good), hand.ask('a stranger', { source: 'stranger' })]
    const compared = await drain(hand)
    assert.deepEqual(await Promise.all([asked, stranger]), ['right', 'busy'])
    assert.ok(compared.indexOf('today') - compared.indexOf('yesterday') <= 2)
  })

  test('a right secret that is remembered keeps its source among them', async () => {
    const dayMs = 24 * 3_600_000
    const nowMs = { value: 0 }
    const hand = secretsByHand({ nowMs })
    const before = hand.ask('kept', good)
    hand.answer()
    await before
    nowMs.value = dayMs - 1
    assert.equal(await hand.ask('kept', good), 'right')
    nowMs.value = 2 * dayMs - 2
    void flood(hand, 1_000)
    const asked = hand.ask('new', good)
    await drain(hand)
    assert.equal(await asked, 'right')
  })

  test('and all wait for the same few answers, they do not keep another from asking', async () => {
    const hand = secretsByHand({ askedMax: 128 })
    const waiting = Array.from({ length: 4_000 }, (_, i) =>
      hand.ask(`guess ${i % 4}`, { hash: 'hash of another', source: `hostile ${i % 4}` }),
    )
    await settle()
    const asked = hand.ask('good', good)
    const compared = await drain(hand)
    assert.equal(await asked, 'right')
    assert.equal(compared.length, 5)
    const answers = await Promise.all(waiting)
    assert.deepEqual([answers.filter((each) => each === 'wrong').length, answers.filter((each) => each === 'busy').length], [127, 3_873])
  })

  for (const sources of [1_000, 8]) {
    test(`and ${sources} of them all wait for the same few answers, one that had a right secret lately is still answered`, async () => {
      const hand = secretsByHand({ askedMax: 8 })
      const before = hand.ask('yesterday', good)
      hand.answer()
      assert.equal(await before, 'right')
      const waiting = Array.from({ length: 1_000 }, (_, i) =>
        hand.ask(`guess ${i % 4}`, { hash: 'hash of another', source: `hostile ${i % sources}` }),
      )
      await settle()
      const asked = Array.from({ length: 7 }, (_, i) => hand.ask(`today ${i}`, good))
      await drain(hand)
      const answers = await Promise.all(asked)
      // Three of four places.
      assert.deepEqual([answers.filter((each) => each === 'right').length, answers.filter((each) => each === 'busy').length], [6, 1])
      assert.equal((await Promise.all(waiting)).filter((each) => each === 'wrong').length, 2)
    })
  }

  test('who gives way hears that it is busy, however right its secret is, and may ask again', async () => {
    const hand = secretsByHand()
    const many = Array.from({ length: 1 + LEGACY_LIMITS.waitingPerSourceMax }, (_, i) => hand.ask(`mine ${i}`, { source: 'mine' }))
    const others = Array.from({ length: 63 }, (_, i) => hand.ask(`other ${i}`, { source: `other ${i}` }))
    await drain(hand)
    const answers = await Promise.all(many)
    // Of the places it has one left, beside what was compared at once.
    assert.deepEqual([answers.filter((each) => each === 'right').length, answers.filter((each) => each === 'busy').length], [2, 15])
    assert.deepEqual(new Set(await Promise.all(others)), new Set(['right']))
    const again = hand.ask(`mine ${LEGACY_LIMITS.waitingPerSourceMax}`, { source: 'mine' })
    hand.answer()
    assert.equal(await again, 'right')
  })
})
