/** Grants against the plainest reading of docs/policy.md: allows of the roles that are met, denies of all that are held. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Policy, Role } from '../../src/core/policy/policy.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { type GrantSubject, resolveGrant } from '../../src/core/policy/resolve.ts'
import { personRole } from '../support/people-world.ts'
import { grantSubject, heldRole, testNow } from '../support/policy-subject.ts'
import { roleOf } from '../support/records.ts'

const NAMES = ['a', 'b', 'c', 'd']
const subject = fc.constantFrom('x', 'x.>', 'y.{{user}}', 'z.one', 'z.two')
const subjects = fc.record({ allow: fc.array(subject, { maxLength: 3 }), deny: fc.array(subject, { maxLength: 3 }) })
const requirements = fc.record({
  class: fc.constantFrom(null, 'person' as const, 'machine' as const),
  userVerification: fc.boolean(),
  deviceBound: fc.boolean(),
  approval: fc.boolean(),
  clientTypes: fc.constantFrom(null, ['nats' as const], ['websocket' as const]),
})
const policyOf = fc
  .tuple(
    ...NAMES.map((name) =>
      fc.record({ publish: subjects, subscribe: subjects, require: requirements }).map((change) => personRole(name, change)),
    ),
  )
  .map((roles): Policy => ({ roles: new Map(roles.map((role) => [role.name, role])), personEnrolment: DEFAULT_PERSON_ENROLMENT, hash: '' }))
const maxAgeSeconds = 3600
const held = fc
  .subarray(NAMES)
  .chain((names) =>
    fc.tuple(
      ...names.map((name) => fc.record({ name: fc.constant(name), assigned: fc.boolean(), ageSeconds: fc.integer({ min: 0, max: 7200 }) })),
    ),
  )
const someone = fc.record({
  held,
  class: fc.constantFrom('person' as const, 'machine' as const),
  backupEligible: fc.boolean(),
  approvedBy: fc.constantFrom(null, 'root'),
  userVerified: fc.boolean(),
  clientType: fc.constantFrom('nats' as const, 'websocket' as const),
})

function subjectOf(one: typeof someone extends fc.Arbitrary<infer T> ? T : never): GrantSubject {
  const { userVerified, clientType, backupEligible, approvedBy } = one
  return grantSubject({
    class: one.class,
    roles: one.held.map(({ name, assigned, ageSeconds }) =>
      heldRole(name, { source: assigned ? 'assigned' : 'idp', asOf: testNow.getTime() - ageSeconds * 1000 }),
    ),
    credential: { backupEligible, approvedBy },
    connection: { userVerified, clientType, rolesMaxAgeSeconds: maxAgeSeconds },
  })
}

function isMet({ require }: Role, { credential, userVerified, clientType }: GrantSubject): boolean {
  return (
    (require.class === null || require.class === credential.class) &&
    (!require.userVerification || userVerified) &&
    (!require.deviceBound || !credential.backupEligible) &&
    (!require.approval || credential.approvedBy !== null) &&
    (require.clientTypes === null || require.clientTypes.includes(clientType))
  )
}

const filled = (lists: readonly (readonly string[])[]) => new Set(lists.flat().map((text) => text.replace('{{user}}', 'alice')))

test('a role that is unmet or stale gives no allow and keeps its denies, and nothing else decides what is granted', () => {
  fc.assert(
    fc.property(policyOf, someone, (policy, one) => {
      const about = subjectOf(one)
      const roles = one.held.map(({ name }) => policy.roles.get(roleOf(name)) as Role)
      const giving = roles.filter((role, i) => {
        const { assigned, ageSeconds } = one.held[i] as (typeof one.held)[number]
        return (assigned || ageSeconds <= maxAgeSeconds) && isMet(role, about)
      })
      const resolved = resolveGrant(policy, about)
      assert.equal(resolved.ok, giving.length > 0)
      if (!resolved.ok) return
      const { permissions } = resolved.value
      assert.deepEqual(new Set(permissions.publish.allow), filled(giving.map(({ publish }) => publish.allow)))
      assert.deepEqual(new Set(permissions.publish.deny), filled(roles.map(({ publish }) => publish.deny)))
      assert.deepEqual(
        new Set(permissions.subscribe.allow),
        filled([...giving.map(({ subscribe }) => subscribe.allow), ['_INBOX_alice.>']]),
      )
      assert.deepEqual(new Set(permissions.subscribe.deny), filled(roles.map(({ subscribe }) => subscribe.deny)))
      assert.deepEqual(resolved.value.roles, giving.map(({ name }) => name).sort())
    }),
    { numRuns: 2_000 },
  )
})

test('one more role never gives fewer denies, and one that is unmet never an allow', () => {
  fc.assert(
    fc.property(policyOf, someone, fc.constantFrom(...NAMES), (policy, one, extra) => {
      const [before, after] = [
        one,
        { ...one, held: [...one.held.filter(({ name }) => name !== extra), { name: extra, assigned: true, ageSeconds: 0 }] },
      ]
      const [less, more] = [resolveGrant(policy, subjectOf(before)), resolveGrant(policy, subjectOf(after))]
      if (!less.ok || !more.ok) return
      for (const side of ['publish', 'subscribe'] as const) {
        for (const deny of less.value.permissions[side].deny) assert.ok(more.value.permissions[side].deny.includes(deny))
        if (isMet(policy.roles.get(roleOf(extra)) as Role, subjectOf(after))) continue
        assert.deepEqual(
          more.value.permissions[side].allow.filter((allow) => !less.value.permissions[side].allow.includes(allow)),
          [],
        )
      }
    }),
    { numRuns: 2_000 },
  )
})
