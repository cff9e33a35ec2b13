/** How roles become a grant: longer than 300 lines because each requirement is met and unmet here, and its denies stay. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Grant, Policy } from '../../src/core/policy/policy.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { resolveGrant } from '../../src/core/policy/resolve.ts'
import type { CredentialRecord } from '../../src/core/records.ts'
import { accountName, grantSubject, heldRole, type SubjectSpec, testNow } from '../support/policy-subject.ts'
import { roleOf } from '../support/records.ts'

function policy(roles: string): Policy {
  const parsed = parsePolicy(`version: 1\nroles:\n${roles}`, {
    targetAccounts: [accountName('APP'), accountName('OTHER')],
    reservedAccounts: [],
  })
  assert.ok(parsed.ok, JSON.stringify(parsed.ok ? null : parsed.issues))
  return parsed.policy
}
function grant(of: Policy, spec: SubjectSpec): Grant {
  const resolved = resolveGrant(of, grantSubject(spec))
  assert.ok(resolved.ok, resolved.ok ? '' : resolved.denial)
  return resolved.value
}
function denial(of: Policy, spec: SubjectSpec): string | null {
  const resolved = resolveGrant(of, grantSubject(spec))
  return resolved.ok ? null : resolved.denial
}

const plain = policy(`
  a: { account: APP, publish: { allow: [b.x, a.x, a.x], deny: [a.x.no] }, subscribe: { allow: [in.a] }, ttl: 10m, session: 2h, plain_sessions: true, limits: { connections: 5 }, allow_responses: { max: 3, ttl: 30s } }
  b: { account: APP, publish: { allow: [a.x, c.x] }, subscribe: { allow: [in.b], deny: [in.a] }, ttl: 5m, session: 3h, limits: { connections: 2 }, allow_responses: { max: 7, ttl: 10s } }
  c: { account: APP, subscribe: { allow: [in.c] }, plain_sessions: true }
  other: { account: OTHER, publish: { allow: [o] } }
  proofs: { account: APP, publish: { allow: [p] }, session: 0 }
`)

describe('how roles become a grant', () => {
  test('unites allows and denies, each once and sorted, with the own inbox', () => {
    const { permissions, roles, account } = grant(plain, { roles: ['b', 'a'] })
    assert.deepEqual(permissions, {
      publish: { allow: ['a.x', 'b.x', 'c.x'], deny: ['a.x.no'] },
      subscribe: { allow: ['_INBOX_alice.>', 'in.a', 'in.b'], deny: ['in.a'] },
      responses: { max: 3, ttlSeconds: 10 },
    })
    assert.deepEqual(roles, ['a', 'b'])
    assert.equal(account, 'APP')
  })
  test('takes the least of ttl, session, connections', () => {
    const { ttlSeconds, sessionSeconds, connectionsMax, notAfter } = grant(plain, { roles: ['a', 'b', 'c'] })
    assert.deepEqual(
      { ttlSeconds, sessionSeconds, connectionsMax, notAfter },
      { ttlSeconds: 300, sessionSeconds: 7200, connectionsMax: 2, notAfter: null },
    )
  })
  test('a session of 0 wins over every other', () => assert.equal(grant(plain, { roles: ['a', 'proofs'] }).sessionSeconds, 0))
  test('the default session is that of the class', () => {
    assert.equal(grant(plain, { roles: ['c'] }).sessionSeconds, 24 * 3600)
    assert.equal(grant(plain, { roles: ['c'], class: 'person' }).sessionSeconds, 8 * 3600)
    assert.equal(grant(plain, { roles: ['b', 'c'] }).sessionSeconds, 3 * 3600)
  })
  test('allows plain sessions only if every role does', () => {
    assert.equal(grant(plain, { roles: ['a', 'c'] }).plainSessions, true)
    assert.equal(grant(plain, { roles: ['a', 'b'] }).plainSessions, false)
  })
  test("a role without allow_responses does not take away another role's", () => {
    assert.deepEqual(grant(plain, { roles: ['a', 'c'] }).permissions.responses, { max: 3, ttlSeconds: 30 })
    assert.equal(grant(plain, { roles: ['c'] }).permissions.responses, null)
  })
  test('gives no publish allow where no role has one', () =>
    assert.deepEqual(grant(plain, { roles: ['c'] }).permissions.publish, { allow: [], deny: [] }))

  test('denies who holds no role', () => assert.equal(denial(plain, { roles: [] }), 'roles_none'))
  test('denies who holds only roles that the policy does not know', () =>
    assert.equal(denial(plain, { roles: ['ghost', 'constructor'] }), 'roles_none'))
  test('ignores an unknown role beside a known one', () => assert.deepEqual(grant(plain, { roles: ['ghost', 'c'] }).roles, ['c']))
  test('denies roles of different accounts', () => assert.equal(denial(plain, { roles: ['a', 'other'] }), 'account_ambiguous'))

  test('roles in any order, held once or twice, make the same grant', () => {
    const names = ['a', 'b', 'c', 'proofs']
    fc.assert(
      fc.property(fc.subarray(names, { minLength: 1 }), fc.array(fc.nat(), { maxLength: 6 }), (held, more) => {
        const shuffled = [...more.map((i) => held[i % held.length] as string), ...[...held].reverse()]
        assert.deepEqual(grant(plain, { roles: shuffled }), grant(plain, { roles: held }))
      }),
    )
  })
  test('another role never takes an allow away, never lifts a deny, never prolongs anything', () => {
    const names = ['a', 'b', 'c', 'proofs']
    fc.assert(
      fc.property(fc.subarray(names, { minLength: 1 }), fc.constantFrom(...names), (held, extra) => {
        const before = grant(plain, { roles: held })
        const after = grant(plain, { roles: [...held, extra] })
        for (const side of ['publish', 'subscribe'] as const) {
          for (const list of ['allow', 'deny'] as const)
            for (const entry of before.permissions[side][list]) assert.ok(after.permissions[side][list].includes(entry))
        }
        assert.ok(after.ttlSeconds <= before.ttlSeconds && after.sessionSeconds <= before.sessionSeconds)
      }),
    )
  })
})

describe('requirements', () => {
  const strict = policy(`
  base: { account: APP, publish: { allow: [base] } }
  machine: { account: OTHER, publish: { allow: [m], deny: [m.no] }, subscribe: { deny: ["in.{{user}}"] }, ttl: 1s, require: { class: machine } }
  person: { account: APP, publish: { allow: [p] }, require: { class: person } }
  verified: { account: APP, publish: { allow: [v] }, require: { user_verification: true } }
  bound: { account: APP, publish: { allow: [d] }, require: { device_bound: true } }
  model: { account: APP, publish: { allow: [g] }, require: { aaguids: [AAAAAAAA-0000-0000-0000-000000000001] } }
  web: { account: APP, publish: { allow: [w] }, require: { client_types: [websocket] } }
  inside: { account: APP, publish: { allow: [i] }, require: { source_cidrs: [10.0.0.0/8] } }
  office: { account: APP, publish: { allow: [o] }, require: { time_windows: [{ days: [wed], from: "08:00", to: "18:00", timezone: Europe/Berlin }] } }
  early: { account: APP, publish: { allow: [e] }, require: { time_windows: [{ days: [wed], from: "00:00", to: "14:00", timezone: UTC }] } }
  `)
  const met: [string, SubjectSpec][] = [
    ['machine', { roles: ['machine'] }],
    ['person', { roles: ['person'], class: 'person' }],
    ['verified', { roles: ['verified'], connection: { userVerified: true } }],
    ['bound', { roles: ['bound'], credential: { backupEligible: false } }],
    ['model', { roles: ['model'], credential: { aaguid: 'aaaaaaaa-0000-0000-0000-000000000001' } }],
    ['web', { roles: ['web'], connection: { clientType: 'websocket' } }],
    ['inside', { roles: ['inside'], connection: { sourceAddress: '10.9.8.7' } }],
    ['office', { roles: ['office'] }],
  ]
  for (const [role, spec] of met) test(`${role}: met`, () => assert.deepEqual(grant(strict, spec).roles, [role]))
  const unmet: [string, SubjectSpec][] = [
    ['machine', { roles: ['machine'], class: 'person' }],
    ['person', { roles: ['person'] }],
    ['verified', { roles: ['verified'] }],
    ['bound', { roles: ['bound'], credential: { backupEligible: true } }],
    ['model', { roles: ['model'] }],
    ['web', { roles: ['web'] }],
    ['inside', { roles: ['inside'] }],
    ['inside behind a proxy', { roles: ['inside'], connection: { sourceAddress: null } }],
    ['inside with a name for an address', { roles: ['inside'], connection: { sourceAddress: 'localhost' } }],
    ['office on a Thursday', { roles: ['office'], connection: { now: new Date('2026-03-05T12:00:00Z') } }],
    ['office at night', { roles: ['office'], connection: { now: new Date('2026-03-04T18:00:00Z') } }],
  ]
  for (const [name, spec] of unmet) test(`${name}: unmet alone admits nobody`, () => assert.equal(denial(strict, spec), 'roles_none'))

  test('an unmet role gives no allow, no account, no ttl, but keeps its denies', () => {
    const { permissions, roles, account, ttlSeconds } = grant(strict, { roles: ['base', 'machine'], class: 'person' })
    assert.deepEqual({ roles, account, ttlSeconds }, { roles: ['base'], account: 'APP', ttlSeconds: 900 })
    assert.deepEqual(permissions.publish, { allow: ['base'], deny: ['m.no'] })
    assert.deepEqual(permissions.subscribe.deny, ['in.alice'])
  })
  test("the class is the credential's, whatever the identity says", () => {
    assert.equal(denial(strict, { roles: ['machine'], class: 'machine', credential: { class: 'person' } }), 'roles_none')
  })
  test('ends when the earliest window of a contributing role closes', () => {
    const at = (text: string) => Date.parse(text) / 1000
    assert.equal(grant(strict, { roles: ['office', 'base'] }).notAfter, at('2026-03-04T17:00:00Z'))
    assert.equal(grant(strict, { roles: ['office', 'early'] }).notAfter, at('2026-03-04T14:00:00Z'))
    assert.equal(
      grant(strict, { roles: ['office', 'early'], connection: { now: new Date('2026-03-04T15:00:00Z') } }).notAfter,
      at('2026-03-04T17:00:00Z'),
    )
  })
})

describe('what is required of the devices of people', () => {
  const people = policy(`
  base: { account: APP, publish: { allow: [base] }, plain_sessions: true, login_by_code: true }
  direct: { account: APP, publish: { allow: [d], deny: [base.d] }, require: { attestation: direct } }
  mds: { account: APP, publish: { allow: [m], deny: [base.m] }, require: { attestation: mds } }
  approved: { account: APP, publish: { allow: [a], deny: [base.a] }, require: { approval: true } }
  browser: { account: APP, publish: { allow: [b], deny: [base.b] }, plain_sessions: true }
  crown: { account: APP, publish: { allow: [c], deny: [base.c] }, plain_sessions: true, privileged: true }
  `)
  const person = (roles: string[], spec: Partial<SubjectSpec> = {}): SubjectSpec => ({ roles, class: 'person', ...spec })
  const graded = (trust: CredentialRecord['attestation']['trust'], format = 'packed') => ({
    credential: { attestation: { format, trust } },
  })

  for (const [role, admitted] of [
    ['direct', ['attested', 'mds']],
    ['mds', ['mds']],
  ] as const) {
    for (const trust of ['none', 'self', 'attested', 'mds'] as const) {
      const meets = (admitted as readonly string[]).includes(trust)
      test(`${role}: ${meets ? 'met' : 'unmet'} by a device whose attestation was ${trust}`, () =>
        assert.equal(denial(people, person([role], graded(trust))), meets ? null : 'roles_none'))
    }
  }
  test('the format of an attestation is not its grade', () =>
    assert.equal(denial(people, person(['mds'], graded('self', 'mds'))), 'roles_none'))
  test('approval: met once an administrator approved that very device', () => {
    assert.equal(denial(people, person(['approved'])), 'roles_none')
    assert.deepEqual(grant(people, person(['approved'], { credential: { approvedBy: 'admin' } })).roles, ['approved'])
  })
  test('approval is asked of machines too', () => {
    assert.equal(denial(people, { roles: ['approved'] }), 'roles_none')
    assert.deepEqual(grant(people, { roles: ['approved'], credential: { approvedBy: 'admin' } }).roles, ['approved'])
  })
  test('a session by code gives only the roles that opted in, and the denies of all', () => {
    const { roles, permissions } = grant(people, person(['base', 'browser', 'crown'], { connection: { byCode: true } }))
    assert.deepEqual(roles, ['base'])
    assert.deepEqual(permissions.publish, { allow: ['base'], deny: ['base.b', 'base.c'] })
  })
  test('a session by code gives nothing where no role opted in', () => {
    for (const role of ['browser', 'crown']) assert.equal(denial(people, person([role], { connection: { byCode: true } })), 'roles_none')
    for (const role of ['browser', 'crown']) assert.equal(denial(people, person([role])), null)
  })
  test('a privileged role is never given by code, even if its policy were made to say so', () => {
    const crown = people.roles.get(roleOf('crown')) ?? assert.fail()
    const forged: Policy = { ...people, roles: new Map([[crown.name, { ...crown, loginByCode: true }]]) }
    assert.equal(denial(forged, person(['crown'], { connection: { byCode: true } })), 'roles_none')
    assert.deepEqual(grant(forged, person(['crown'])).roles, ['crown'])
  })
  test('what a device lacks takes no deny away', () => {
    const held = ['base', 'direct', 'mds', 'approved']
    assert.deepEqual(grant(people, person(held)).permissions.publish, { allow: ['base'], deny: ['base.a', 'base.d', 'base.m'] })
    const all = grant(people, person(held, { credential: { attestation: { format: 'packed', trust: 'mds' }, approvedBy: 'admin' } }))
    assert.deepEqual(all.permissions.publish, { allow: ['a', 'base', 'd', 'm'], deny: ['base.a', 'base.d', 'base.m'] })
  })
  test('whatever the device and the session, more of either never gives less', () => {
    const trusts = ['none', 'attested', 'mds'] as const
    const names = ['base', 'direct', 'mds', 'approved', 'browser', 'crown']
    fc.assert(
      fc.property(fc.subarray(names, { minLength: 1 }), fc.nat(1), fc.boolean(), fc.boolean(), (held, grade, approved, byCode) => {
        const given = (better: boolean) => {
          const resolved = resolveGrant(
            people,
            grantSubject(
              person(held, {
                credential: {
                  attestation: { format: 'packed', trust: trusts[grade + Number(better)] ?? 'mds' },
                  approvedBy: approved || better ? 'admin' : null,
                },
                connection: { byCode: byCode && !better },
              }),
            ),
          )
          return resolved.ok ? resolved.value.roles : []
        }
        for (const role of given(false)) assert.ok(given(true).includes(role))
      }),
    )
  })
})

describe('the age of roles', () => {
  const ages = policy(`
  a: { account: APP, publish: { allow: [a], deny: [x.a] } }
  b: { account: APP, publish: { allow: [b] } }
  c: { account: APP, publish: { allow: [c] }, require: { class: person } }
  `)
  const claimed = (name: string, seconds: number) => heldRole(name, { source: 'idp', asOf: testNow.getTime() - seconds * 1000 })
  test('a claim counts up to its greatest age', () => assert.deepEqual(grant(ages, { roles: [claimed('a', 86_400)] }).roles, ['a']))
  test('an older claim alone is stale', () => assert.equal(denial(ages, { roles: [claimed('a', 86_401)] }), 'roles_stale'))
  test('an assigned role does not age', () => assert.deepEqual(grant(ages, { roles: [heldRole('a', { asOf: 0 })] }).roles, ['a']))
  test('a stale role gives no allow, but its denies stay', () => {
    const { roles, permissions } = grant(ages, { roles: [claimed('a', 90_000), claimed('b', 10)] })
    assert.deepEqual(roles, ['b'])
    assert.deepEqual(permissions.publish, { allow: ['b'], deny: ['x.a'] })
  })
  test('of two sources of a role the better one counts', () => {
    assert.deepEqual(grant(ages, { roles: [claimed('a', 90_000), heldRole('a')] }).roles, ['a'])
    assert.deepEqual(grant(ages, { roles: [heldRole('a'), claimed('a', 90_000)] }).roles, ['a'])
  })
  test('a person whose provider has not spoken for a day has nothing left, whatever the device', () => {
    const held = [claimed('a', 86_401), claimed('b', 90_000), claimed('c', 200_000)]
    const credential = { attestation: { format: 'packed', trust: 'mds' as const }, approvedBy: 'admin' }
    assert.equal(denial(ages, { roles: held, class: 'person', credential }), 'roles_stale')
    assert.equal(denial(ages, { roles: held, class: 'person', connection: { byCode: true } }), 'roles_stale')
  })
  test('a shorter roles_max_age is the one that counts', () => {
    const spec = { roles: [claimed('a', 61)], connection: { rolesMaxAgeSeconds: 60 } }
    assert.equal(denial(ages, spec), 'roles_stale')
    assert.deepEqual(grant(ages, { ...spec, connection: { rolesMaxAgeSeconds: 61 } }).roles, ['a'])
  })
  test('roles that the provider took away are gone at once, not when they are old', () => {
    assert.equal(denial(ages, { roles: [], class: 'person' }), 'roles_none')
    assert.deepEqual(grant(ages, { roles: [heldRole('b')], class: 'person' }).roles, ['b'])
  })
  test('a connection ends when the first claim that it rests on is too old', () => {
    const now = testNow.getTime() / 1000
    assert.equal(grant(ages, { roles: [claimed('a', 86_390)] }).notAfter, now + 10)
    assert.equal(grant(ages, { roles: [claimed('a', 86_390), claimed('b', 86_395)] }).notAfter, now + 5)
    // What gives nothing, what is stale already, and what an administrator assigned as well, ends nothing.
    assert.equal(grant(ages, { roles: [claimed('a', 10), claimed('c', 86_399), claimed('b', 86_500)] }).notAfter, now + 86_390)
    assert.equal(grant(ages, { roles: [claimed('a', 86_390), heldRole('a')] }).notAfter, null)
  })
  test('a stale role that the policy does not know is no role at all', () =>
    assert.equal(denial(ages, { roles: [claimed('ghost', 90_000)] }), 'roles_none'))
  test('a stale role beside a fresh unmet one is not what was missing', () =>
    assert.equal(denial(ages, { roles: [claimed('a', 90_000), claimed('c', 1)] }), 'roles_none'))
})

describe('templates in a grant', () => {
  const templated = policy(`
  t: { account: APP, publish: { allow: ["{{user}}.{{device}}.{{role}}.{{claim.dept}}"] } }
  d: { account: APP, publish: { allow: [ok], deny: ["no.{{claim.dept}}"] } }
  u: { account: APP, publish: { allow: ["u.{{claim.nope}}"] }, require: { class: person } }
  `)
  test('are filled in', () => {
    const subject = grantSubject({ roles: ['t'], claims: { dept: 'sales' } })
    const resolved = resolveGrant(templated, subject)
    assert.deepEqual(resolved.ok && resolved.value.permissions.publish.allow, [`alice.${subject.deviceToken}.t.sales`])
  })
  for (const value of ['a.b', '*', '>', '', 'a b', '$SYS', '_INBOX_bob']) {
    test(`refuse the whole connection for the value ${JSON.stringify(value)}`, () => {
      assert.equal(denial(templated, { roles: ['t'], claims: { dept: value } }), 'template_value_refused')
      assert.equal(denial(templated, { roles: ['d'], claims: { dept: value } }), 'template_value_refused')
    })
  }
  test('refuse a missing value in a deny too', () => assert.equal(denial(templated, { roles: ['d'] }), 'template_value_refused'))
  test('of allows that are not given are not filled in', () =>
    assert.deepEqual(grant(templated, { roles: ['d', 'u'], claims: { dept: 'x' } }).roles, ['d']))
})

describe('what nats-server would let through', () => {
  const stars = policy(`
  heads: { account: APP, subscribe: { allow: ["heads.*", "work.* q"] } }
  all: { account: APP, subscribe: { allow: ["heads.>"] } }
  queued: { account: APP, subscribe: { allow: ["heads.> q"] } }
  work: { account: APP, subscribe: { allow: ["work.>"] } }
  queue: { account: APP, subscribe: { allow: ["work.> q"] } }
  some: { account: APP, subscribe: { allow: ["heads.eu.new"] } }
  pub: { account: APP, publish: { allow: ["pub.*"] } }
  `)
  const denies = (...roles: string[]) => grant(stars, { roles }).permissions.subscribe.deny
  test('an allow ending in "*" is closed below', () => assert.deepEqual(denies('heads'), ['heads.*.>', 'work.*.>']))
  test('unless another role allows all of that', () => assert.deepEqual(denies('heads', 'all'), ['work.*.>']))
  test('but not if that one names a queue', () => assert.deepEqual(denies('heads', 'queued'), ['heads.*.>', 'work.*.>']))
  test('a queue is closed below unless all of that is allowed, to it or to everybody', () => {
    for (const role of ['work', 'queue']) assert.deepEqual(denies('heads', role), ['heads.*.>'])
  })
  test('or allows only some of it: deny wins', () => assert.deepEqual(denies('heads', 'some'), ['heads.*.>', 'work.*.>']))
  test('publishing needs no such care', () =>
    assert.deepEqual(grant(stars, { roles: ['pub'] }).permissions.publish, { allow: ['pub.*'], deny: [] }))
})
