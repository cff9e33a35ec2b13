import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { LINT_RULES, lintPolicy } from '../../src/core/policy/policy-lint.ts'
import { accountName } from '../support/policy-subject.ts'

function findings(roles: string): string[] {
  const parsed = parsePolicy(`version: 1\nroles:\n${roles}`, {
    targetAccounts: [accountName('APP'), accountName('OTHER')],
    reservedAccounts: [],
  })
  assert.ok(parsed.ok, JSON.stringify(parsed.ok ? null : parsed.issues))
  return lintPolicy(parsed).map(({ rule, line }) => `${rule}:${line}`)
}
const only = (rule: string, roles: string) => findings(roles).filter((found) => found.startsWith(`${rule}:`))
const reserved = 'dangerously_allow_reserved_subjects: true'

describe('the linter', () => {
  test('has nothing to say about a role that scopes by user', () => {
    assert.deepEqual(
      findings('  writers: { account: APP, publish: { allow: ["orders.{{user}}.>"] }, subscribe: { allow: ["replies.{{user}}"] } }'),
      [],
    )
  })
  const cases: [string, string, string[]][] = [
    ['reserved-reach', `  r: { account: APP, publish: { allow: ["$JS.API.INFO"] }, ${reserved} }`, ['reserved-reach:3']],
    ['reads-inboxes', `  r: { account: APP, subscribe: { allow: ["*.x"] }, ${reserved} }`, ['reads-inboxes:3']],
    ['forges-replies', '  r: { account: APP, publish: { allow: ["_INBOX.>"] } }', ['forges-replies:3']],
    ['shadowed-allow', '  r: { account: APP, publish: { allow: [a.b, c], deny: ["a.>"] } }', ['shadowed-allow:3']],
    ['redundant-allow', '  r: { account: APP, publish: { allow: ["a.>", a.b, c, c] } }', ['redundant-allow:3', 'redundant-allow:3']],
    [
      'useless-deny',
      '  r: { account: APP, publish: { allow: [a], deny: [b] } }\n  s: { account: APP, publish: { allow: [c] } }',
      ['useless-deny:3'],
    ],
    [
      'no-denies-needed',
      '  r: { account: APP, publish: { allow: [a], deny: [b] } }\n  s: { account: APP, publish: { allow: [b] } }',
      ['no-denies-needed:3'],
    ],
    [
      'deny-everything',
      '  r: { account: APP, publish: { deny: [">"] } }\n  s: { account: APP, publish: { allow: [b] } }',
      ['deny-everything:3'],
    ],
    [
      'star-cuts-below',
      '  r: { account: APP, subscribe: { allow: ["a.*"] } }\n  s: { account: APP, subscribe: { allow: [a.b.c] } }',
      ['star-cuts-below:4'],
    ],
    [
      'queue-narrows-allow',
      '  r: { account: APP, subscribe: { allow: ["a.* q"] } }\n  s: { account: APP, subscribe: { allow: [a.b] } }',
      ['queue-narrows-allow:4'],
    ],
    [
      'responses-bypass-deny',
      '  r: { account: APP, publish: { allow: [a], deny: [a] }, allow_responses: true }',
      ['responses-bypass-deny:3'],
    ],
    ['long-ttl', '  r: { account: APP, publish: { allow: [a] }, ttl: 2h }', ['long-ttl:3']],
    ['long-session', '  r: { account: APP, publish: { allow: [a] }, session: 8d }', ['long-session:3']],
    [
      'long-person-session',
      '  r: { account: APP, publish: { allow: [a] }, session: 25h, require: { class: person } }',
      ['long-person-session:3'],
    ],
    [
      'long-code-session',
      '  r: { account: APP, publish: { allow: [a] }, plain_sessions: true, login_by_code: true }\n  s: { account: APP, publish: { allow: [b] }, session: 61m, plain_sessions: true, login_by_code: true }',
      ['long-code-session:3', 'long-code-session:4'],
    ],
    ['code-without-plain', '  r: { account: APP, publish: { allow: [a] }, session: 1h, login_by_code: true }', ['code-without-plain:3']],
    [
      'privileged-unguarded',
      '  r: { account: APP, publish: { allow: [a] }, privileged: true, require: { class: person, user_verification: true } }',
      ['privileged-unguarded:3'],
    ],
    [
      'unmeetable-attestation',
      '  r: { account: APP, publish: { allow: [a] }, require: { class: machine, attestation: direct } }',
      ['unmeetable-attestation:3'],
    ],
    ['plain-sessions', '  r: { account: APP, publish: { allow: [a] }, plain_sessions: true }', ['plain-sessions:3']],
    [
      'aaguid-claimed',
      '  r: { account: APP, publish: { allow: [a] }, require: { aaguids: [00000000-0000-0000-0000-000000000001] } }',
      ['aaguid-claimed:3'],
    ],
    ['unprovable-publisher', '  r: { account: APP, publish: { allow: [a.b, "a.{{user}}", "a.{{device}}"] } }', ['unprovable-publisher:3']],
    ['empty-role', '  r: { account: APP }', ['empty-role:3']],
    ['empty-policy', '  {}', ['empty-policy:2']],
  ]
  for (const [rule, roles, expected] of cases) test(`finds ${rule}`, () => assert.deepEqual(only(rule, roles), expected))

  describe('person-role', () => {
    test('finds a role named for a user', () =>
      assert.deepEqual(only('person-role', '  user-alice: { account: APP, publish: { allow: [x] } }'), ['person-role:3']))
    test('finds twins that differ by a name alone', () => {
      const roles =
        '  orders-alice: { account: APP, publish: { allow: ["orders.alice.>"] } }\n  orders-bob: { account: APP, publish: { allow: ["orders.bob.>"] } }'
      assert.deepEqual(only('person-role', roles), ['person-role:3', 'person-role:4'])
    })
    test('leaves teams and services alone', () => {
      const roles =
        '  orders-writer: { account: APP, publish: { allow: ["orders.>"] } }\n  orders-reader: { account: APP, subscribe: { allow: ["orders.>"] } }\n  users: { account: APP, publish: { allow: [u] } }'
      assert.deepEqual(only('person-role', roles), [])
    })
  })
  test('has nothing to say about roles of people that are guarded and short', () => {
    for (const guard of ['approval: true', 'device_bound: true', 'attestation: direct', 'attestation: mds']) {
      assert.deepEqual(
        only('privileged-unguarded', `  r: { account: APP, publish: { allow: [a] }, privileged: true, require: { ${guard} } }`),
        [],
      )
    }
    const short =
      '  r: { account: APP, publish: { allow: ["{{user}}"] }, session: 1h, plain_sessions: true, login_by_code: true, require: { class: person } }'
    assert.deepEqual(findings(short), ['plain-sessions:3'])
    assert.deepEqual(
      only('long-person-session', '  r: { account: APP, publish: { allow: [a] }, session: 24h, require: { class: person } }'),
      [],
    )
    // A machine may hold such a role as well, and this one is long for nobody's finger.
    assert.deepEqual(
      only('long-person-session', '  r: { account: APP, publish: { allow: [a] }, session: 25h, require: { class: machine } }'),
      [],
    )
  })
  test('takes an AAGUID for a claim unless the device had to show a certificate, at enrolment too', () => {
    const aaguids = 'aaguids: [aaaaaaaa-0000-0000-0000-000000000001]'
    assert.deepEqual(
      only('aaguid-claimed', `  r: { account: APP, publish: { allow: [a] }, require: { ${aaguids}, attestation: mds } }`),
      [],
    )
    const enrolment = (more: string) =>
      only('aaguid-claimed', `  r: { account: APP, publish: { allow: [a] } }\nenrolment:\n  person: { ${aaguids}${more} }`)
    assert.deepEqual(enrolment(''), ['aaguid-claimed:5'])
    assert.deepEqual(enrolment(', attestation: direct'), [])
  })
  test('does not mind roles of accounts that cannot be held together', () => {
    assert.deepEqual(
      only(
        'star-cuts-below',
        '  r: { account: APP, subscribe: { allow: ["a.*"] } }\n  s: { account: OTHER, subscribe: { allow: [a.b.c] } }',
      ),
      [],
    )
  })
  test('every rule has a case here and a row in the documentation', () => {
    const docs = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8')
    const documented = [...docs.matchAll(/^\| `([a-z-]+)` \| (?:warning|notice) \|/gm)].map((match) => match[1])
    assert.deepEqual(documented.sort(), Object.keys(LINT_RULES).sort())
    assert.deepEqual([...cases.map(([rule]) => rule), 'person-role'].sort(), Object.keys(LINT_RULES).sort())
  })
})
