import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  admits,
  covers,
  isDenyAvoidable,
  isInbox,
  isLiteral,
  isReservedReach,
  overlaps,
  reachBelow,
  subjectProblem,
  subscribeEntryProblem,
} from '../../src/core/policy/subjects.ts'

const names = ['a', 'b'] as const
const literals = everySubject(5, names)
const pattern = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 0, maxLength: 3 }), fc.constantFrom('a', 'b', '*', '>'))
  .map(([tokens, last]) => [...tokens, last].join('.'))

function everySubject(depth: number, tokens: readonly string[]): string[] {
  let level: string[] = ['']
  const all: string[] = []
  for (let i = 0; i < depth; i++) {
    level = level.flatMap((head) => tokens.map((token) => (head === '' ? token : `${head}.${token}`)))
    all.push(...level)
  }
  return all
}

/** Matching by regular expression: another way than the code under test. */
function matchesByRegExp(entry: string, subject: string): boolean {
  const source = entry
    .split('.')
    .map((token) => (token === '>' ? '[^.]+(\\.[^.]+)*' : token === '*' ? '[^.]+' : token))
    .join('\\.')
  return new RegExp(`^${source}$`).test(subject)
}

describe('which subjects are well-formed', () => {
  for (const subject of [
    'a',
    'a.b',
    '*',
    '>',
    'a.*.b',
    'a.>',
    '$SYS.x',
    '{{user}}',
    'a.{{claim.dept}}.b',
    '{{claim.a-b_C}}.>',
    'A-b_9:/~',
  ]) {
    test(`accepts ${subject}`, () => assert.equal(subjectProblem(subject), null))
  }
  const bad = [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '>.a',
    'a.>.b',
    'a*',
    '*a',
    'a.b>',
    '>>',
    '**',
    'a b',
    'a\tb',
    'a\n',
    ' a',
    'ä',
    'a.\u0000',
    'a.\u007f',
    '{{user}}x',
    'x{{user}}',
    '{{ user }}',
    '{{USER}}',
    '{{user',
    'user}}',
    '{user}',
    '{{}}',
    '{{claim}}',
    '{{claim.}}',
    '{{claim.a.b}}',
    '{{claim.*}}',
    '{{user}}{{device}}',
    '{{{user}}}',
    '{{role}}-x',
    '{{unknown}}',
    `a.${'x'.repeat(256)}`,
    Array.from({ length: 33 }, () => 'a').join('.'),
  ]
  for (const subject of bad) test(`refuses ${JSON.stringify(subject).slice(0, 40)}`, () => assert.notEqual(subjectProblem(subject), null))

  test('accepts a queue name after one space, in subscribe entries alone', () => {
    assert.equal(subscribeEntryProblem('work.* workers'), null)
    assert.equal(subscribeEntryProblem('work.* v1.*'), null)
    assert.notEqual(subjectProblem('work.* workers'), null)
  })
  for (const entry of ['work ', ' work', 'work  q', 'work q r', 'work a..b', 'wor k*', 'work {{user}}', 'work\tq', 'a. q', 'work q*']) {
    test(`refuses the subscribe entry ${JSON.stringify(entry)}`, () => assert.notEqual(subscribeEntryProblem(entry), null))
  }
})

describe('what subjects match', () => {
  test('covers a literal exactly when a regular expression matches it', () => {
    fc.assert(
      fc.property(pattern, fc.constantFrom(...literals), (entry, subject) => covers(entry, subject) === matchesByRegExp(entry, subject)),
      { numRuns: 2000 },
    )
  })

  test('covers says yes only if everything the inner pattern matches is matched by the outer', () => {
    fc.assert(
      fc.property(pattern, pattern, (outer, inner) => {
        const escaped = literals.some((subject) => covers(inner, subject) && !covers(outer, subject))
        return covers(outer, inner) ? !escaped : escaped
      }),
      { numRuns: 2000 },
    )
  })

  test('overlaps says yes exactly if some subject is matched by both, whichever comes first', () => {
    fc.assert(
      fc.property(pattern, pattern, (one, other) => {
        const common = literals.some((subject) => covers(one, subject) && covers(other, subject))
        return overlaps(one, other) === common && overlaps(other, one) === common
      }),
      { numRuns: 2000 },
    )
  })

  test('a pattern covers and overlaps itself', () => {
    fc.assert(fc.property(pattern, (entry) => covers(entry, entry) && overlaps(entry, entry)))
  })

  test('takes a template for any one token, and for itself', () => {
    assert.equal(overlaps('a.{{user}}.b', 'a.x.b'), true)
    assert.equal(overlaps('a.{{claim.x}}', 'a.b.c'), false)
    assert.equal(covers('a.{{user}}', 'a.{{user}}'), true)
    assert.equal(covers('a.{{user}}', 'a.x'), false)
    assert.equal(covers('a.*', 'a.{{claim.x}}'), true)
    assert.equal(covers('a.x', 'a.{{user}}'), false)
  })

  test('knows what can be published to', () => {
    assert.equal(isLiteral('a.b'), true)
    for (const subject of ['a.*', '>', 'a.{{user}}']) assert.equal(isLiteral(subject), false)
  })
})

describe('subjects with an owner', () => {
  for (const subject of ['_R_.>', '_GR_.>', '$SYS.>', '$SYS', '$JS.API.>', '$KV.b.k', '$O.x', '$MQTT.>', '>', '*', '*.a', '$SYSTEM.x']) {
    test(`takes ${subject} for reserved`, () => assert.equal(isReservedReach(subject), true))
  }
  for (const subject of ['a', 'a.$SYS', 'SYS.>', '{{user}}.>', '$SRV.PING', '_INBOX.x']) {
    test(`leaves ${subject} to applications`, () => assert.equal(isReservedReach(subject), false))
  }
  for (const subject of ['_INBOX', '_INBOX.>', '_INBOX_bob.>', '_INBOX_.x'])
    test(`takes ${subject} for an inbox`, () => assert.equal(isInbox(subject), true))
  for (const subject of ['_INBOXES.x', 'a._INBOX.x', 'INBOX.x', '_inbox_bob.>'])
    test(`takes ${subject} for no inbox`, () => assert.equal(isInbox(subject), false))
})

describe('what nats-server lets through beyond an entry', () => {
  test('admits "orders.>" by "orders.*", and nothing else beyond it', () => {
    assert.equal(admits('orders.*', 'orders.>'), true)
    assert.equal(reachBelow('orders.*'), 'orders.*.>')
    assert.equal(reachBelow('*'), '*.>')
    for (const subject of ['orders.>', 'orders.x', 'a.*.b', '>']) assert.equal(reachBelow(subject), null)
    fc.assert(
      fc.property(
        pattern,
        pattern,
        (entry, subscription) => !admits(entry, subscription) || covers(entry, subscription) || reachBelow(entry) !== null,
      ),
      { numRuns: 2000 },
    )
  })

  // The model of nats-server 2.10: a wildcard subscription is filtered only by denies that lie wholly within it.
  const subscriptions = everySubject(4, ['a', 'b', '*', '>']).filter((subject) => subjectProblem(subject) === null)
  function leaks(deny: string, allow: string): boolean {
    return subscriptions.some(
      (subscription) =>
        admits(allow, subscription) &&
        !admits(deny, subscription) &&
        !covers(subscription, deny) &&
        literals.some((subject) => covers(subscription, subject) && covers(deny, subject)),
    )
  }
  test('finds every deny that a subscription gets around on nats-server 2.10', () => {
    fc.assert(
      fc.property(pattern, pattern, (deny, allow) => !leaks(deny, allow) || isDenyAvoidable(deny, allow)),
      { numRuns: 1500 },
    )
  })
  test('finds no others, as far as four tokens can show', () => {
    const short = fc.tuple(fc.constantFrom('a', '*'), fc.constantFrom('a', 'b', '*', '>')).map((tokens) => tokens.join('.'))
    fc.assert(fc.property(short, short, (deny, allow) => leaks(deny, allow) === isDenyAvoidable(deny, allow)))
  })
  test('never suspects a literal deny, or one that covers the allow', () => {
    for (const [deny, allow] of [
      ['a.b', '>'],
      ['a.>', 'a.*'],
      ['>', 'a.>'],
      ['a.>', 'b.>'],
      ['heads.*.>', 'heads.*'],
    ] as const) {
      assert.equal(isDenyAvoidable(deny, allow), false, `${deny} under ${allow}`)
    }
  })
})
