import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseAccountName } from '../../src/core/identifiers.ts'
import { atMost, type Endorsement, judgeEndorsement } from '../../src/core/people/session-endorsement.ts'
import type { Policy, Role } from '../../src/core/policy/policy.ts'
import type { CredentialRecord, IdentityRecord } from '../../src/core/records.ts'
import { run, userJwt, worldOf } from '../support/decision.ts'
import { personPolicy, personRole, personRules, refusalOf } from '../support/people-world.ts'
import { credentialRecord, identityRecord, roleOf } from '../support/records.ts'
import { endorsedSession, plainSig, scenario } from '../support/scenario.ts'
import { value } from '../support/terminal.ts'

const now = new Date('2026-01-05T12:00:00Z')
const OTHER = parseAccountName('OTHER') ?? assert.fail()
const NIGHT = [{ days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 0, toMinute: 60, timeZone: 'UTC' }]

interface Case {
  policy: Policy
  roles?: string[]
  byCode?: boolean
  identity?: Partial<IdentityRecord>
  credential?: Partial<CredentialRecord>
  rules?: Parameters<typeof personRules>[0]
}

function judge({ policy, byCode = false, ...it }: Case) {
  const names = it.roles ?? [...policy.roles.keys()]
  const roles = names.map((name) => ({ name: roleOf(name), source: 'assigned' as const, asOf: 0 }))
  const identity = identityRecord('alice', { class: 'person', roles, ...it.identity })
  const credential = credentialRecord({ class: 'person', handle: identity.handle, ...it.credential })
  return judgeEndorsement(policy, { identity, credential, byCode, rules: personRules(it.rules), now })
}

const policyOf = (...roles: Role[]) => personPolicy(roles)
const gives = (it: Case): Pick<Endorsement, 'roles' | 'seconds'> => {
  const { roles, seconds } = value(judge(it))
  return { roles, seconds }
}

describe('what a session would give', () => {
  test('is what the roles that always contribute give together', () => {
    const policy = policyOf(personRole('a', { sessionSeconds: 3600 }), personRole('b', { sessionSeconds: 600 }))
    assert.deepEqual(value(judge({ policy })), { accounts: ['APP'], roles: ['a', 'b'], seconds: 600, requireUserVerification: true })
  })

  test('is the default lifetime of people where a role says none', () => {
    assert.deepEqual(gives({ policy: policyOf(personRole('a')) }), { roles: ['a'], seconds: 8 * 3600 })
  })

  const refusals: Record<string, [Case, string]> = {
    'a role with session time 0': [
      { policy: policyOf(personRole('a'), personRole('b', { sessionSeconds: 0 })) },
      'session.session_time_zero',
    ],
    'a role without plain sessions': [
      { policy: policyOf(personRole('a'), personRole('b', { plainSessions: false })) },
      'session.plain_session_refused',
    ],
    'no role': [{ policy: policyOf(personRole('a')), roles: [] }, 'session.roles_insufficient/roles_none'],
    'a role that the policy does not know': [{ policy: policyOf(personRole('a')), roles: ['b'] }, 'session.roles_insufficient/roles_none'],
    'roles in two accounts': [
      { policy: policyOf(personRole('a'), personRole('b', { account: OTHER })) },
      'session.roles_insufficient/account_ambiguous',
    ],
    'stale roles': [
      { policy: policyOf(personRole('a')), identity: { roles: [{ name: roleOf('a'), source: 'idp', asOf: now.getTime() - 86_400_001 }] } },
      'session.roles_insufficient/roles_stale',
    ],
    'a device that its role does not admit': [
      { policy: policyOf(personRole('a', { require: { deviceBound: true } })) },
      'session.roles_insufficient/roles_none',
    ],
    'a device that nobody approved': [
      { policy: policyOf(personRole('a', { require: { approval: true } })) },
      'session.roles_insufficient/roles_none',
    ],
    'a claim that its subjects cannot take': [
      { policy: policyOf(personRole('a', { publish: { allow: ['x.{{claim.team}}'], deny: [] } })), identity: { claims: { team: '>' } } },
      'session.roles_insufficient/template_value_refused',
    ],
    'a code, with no role that allows it': [{ policy: policyOf(personRole('a')), byCode: true }, 'session.code_refused'],
    'a code, with a privileged role that says it allows it': [
      { policy: policyOf(personRole('a', { loginByCode: true, privileged: true })), byCode: true },
      'session.code_refused',
    ],
    'a code, with no role at all': [
      { policy: policyOf(personRole('a')), roles: [], byCode: true },
      'session.roles_insufficient/roles_none',
    ],
  }
  for (const [name, [it, refusal]] of Object.entries(refusals)) {
    test(`is nothing for ${name}`, () => assert.equal(refusalOf(judge(it)), refusal))
  }

  test('is by code what the roles that allow it give, whatever the others ask', () => {
    const policy = policyOf(
      personRole('reader', { loginByCode: true }),
      personRole('vault', { sessionSeconds: 0 }),
      personRole('admin', { privileged: true, loginByCode: true, plainSessions: false }),
    )
    assert.deepEqual(gives({ policy, byCode: true }), { roles: ['reader'], seconds: 8 * 3600 })
  })

  test('asks for user verification where a role does, or the deployment', () => {
    const lax = { person: { rpId: 'nats.example.com', origins: [], requireUserVerification: false } }
    const policy = policyOf(personRole('a'), personRole('b', { require: { userVerification: true } }))
    assert.equal(value(judge({ policy, rules: lax })).requireUserVerification, true)
    assert.equal(value(judge({ policy, rules: lax, roles: ['a'] })).requireUserVerification, false)
    assert.equal(value(judge({ policy, roles: ['a'] })).requireUserVerification, true)
  })
})

describe('roles that wait for a connection of their own kind', () => {
  const waits = {
    'a source': { sourceCidrs: ['10.0.0.0/8'] },
    'a client type': { clientTypes: ['websocket'] },
    'a time': { timeWindows: NIGHT },
  } as const
  for (const [name, require] of Object.entries(waits)) {
    test(`are worth a session alone: ${name}`, () => {
      assert.deepEqual(gives({ policy: policyOf(personRole('a', { require })) }), { roles: ['a'], seconds: 8 * 3600 })
    })

    test(`do not take one from the others: ${name}`, () => {
      const strict = [personRole('b', { require, sessionSeconds: 0 }), personRole('c', { require, plainSessions: false })]
      const elsewhere = personRole('d', { require, account: OTHER })
      const policy = policyOf(personRole('a', { sessionSeconds: 60 }), ...strict, elsewhere)
      assert.deepEqual(value(judge({ policy })), { accounts: ['APP'], roles: ['a'], seconds: 60, requireUserVerification: true })
    })

    test(`are named when they could add to it: ${name}`, () => {
      const policy = policyOf(personRole('a', { sessionSeconds: 60 }), personRole('b', { require, sessionSeconds: 6000 }))
      assert.deepEqual(gives({ policy }), { roles: ['a', 'b'], seconds: 60 })
    })
  }

  test('may be in different accounts, as long as each waits', () => {
    const policy = policyOf(
      personRole('a', { require: waits['a source'], sessionSeconds: 60 }),
      personRole('b', { require: waits['a time'], account: OTHER }),
    )
    const endorsement = value(judge({ policy }))
    assert.deepEqual([endorsement.accounts, endorsement.roles, endorsement.seconds], [['APP', 'OTHER'], ['a', 'b'], 8 * 3600])
  })

  test('give nothing when each of them refuses', () => {
    const require = waits['a time']
    assert.equal(refusalOf(judge({ policy: policyOf(personRole('a', { require, sessionSeconds: 0 })) })), 'session.session_time_zero')
    assert.equal(
      refusalOf(judge({ policy: policyOf(personRole('a', { require, plainSessions: false })) })),
      'session.plain_session_refused',
    )
    assert.equal(refusalOf(judge({ policy: policyOf(personRole('a', { require })), byCode: true })), 'session.code_refused')
  })

  test('do not rescue roles that always contribute and refuse', () => {
    const waiting = personRole('b', { require: waits['a time'] })
    assert.equal(refusalOf(judge({ policy: policyOf(personRole('a', { sessionSeconds: 0 }), waiting) })), 'session.session_time_zero')
  })

  test('still have their demands on the device', () => {
    const policy = policyOf(personRole('a', { require: { ...waits['a time'], deviceBound: true } }))
    assert.equal(refusalOf(judge({ policy })), 'session.roles_insufficient/roles_none')
  })
})

test('several devices are shown as what they could give at most', () => {
  const one: Endorsement = {
    accounts: ['APP' as Endorsement['accounts'][number]],
    roles: [roleOf('a')],
    seconds: 60,
    requireUserVerification: false,
  }
  const two: Endorsement = { ...one, roles: [roleOf('b'), roleOf('a')], seconds: 600, requireUserVerification: true }
  assert.deepEqual(atMost([one, two]), { accounts: ['APP'], roles: ['a', 'b'], seconds: 600, requireUserVerification: true })
  assert.equal(atMost([]), null)
})

describe('a session that was endorsed by code, at each connection', () => {
  const POLICY = `version: 1
roles:
  reader: { account: APP, publish: { allow: [read] }, plain_sessions: true, login_by_code: true }
  writer: { account: APP, publish: { allow: [write] }, plain_sessions: true }
  admin: { account: APP, publish: { allow: [admin] }, plain_sessions: true, privileged: true }
`
  async function resume(roles: string[], byCode: boolean) {
    const s = scenario('person')
    s.policy = POLICY
    s.identity.roles = roles.map((name) => ({ name: roleOf(name), source: 'assigned', asOf: 0 }))
    s.sessions.push(endorsedSession(s, { byCode }))
    const decision = await run(s, worldOf(s), { sig: plainSig(s) })
    return userJwt(decision)?.nats.pub.allow ?? decision.event?.verdict.reason
  }

  test('gives what the roles that allow codes give, and nothing of the others', async () => {
    assert.deepEqual(await resume(['reader', 'writer', 'admin'], true), ['read'])
    assert.deepEqual(await resume(['reader', 'writer', 'admin'], false), ['admin', 'read', 'write'])
  })

  test('gives nothing once no role allows codes any more', async () => {
    assert.equal(await resume(['writer', 'admin'], true), 'roles_none')
  })
})
