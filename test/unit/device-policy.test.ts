/** What a device must be to be enrolled: the demands of the class, of the roles, and what FIDO's metadata knows. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import { DEVICE_CHECKS } from '../../src/core/people/device-policy.ts'
import { beginDevice } from '../../src/core/people/device-steps.ts'
import { viewDevice } from '../../src/core/people/device-view.ts'
import type { MetadataEntry } from '../../src/core/people/people.ts'
import { DEFAULT_PERSON_ENROLMENT, type PersonEnrolment, type Requirements, type Role } from '../../src/core/policy/policy.ts'
import { REFUSED_STATUSES } from '../../src/core/webauthn/attestation-trust.ts'
import { attestationRoot, attested, PACKED_SUBJECT, packedStatement, type TestIssuer } from '../support/attestation.ts'
import { enrol, signIn } from '../support/device-enrolment.ts'
import { peopleWorld, personPolicy, personRole, putPerson, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'
import { roleOf } from '../support/records.ts'

const AAGUID = '0102030a-0000-4000-8000-00000000abcd'
const OTHER = 'ffffffff-0000-4000-8000-00000000abcd'
const seen = new Set<string>()

let root: TestIssuer
before(async () => {
  root = await attestationRoot()
})

interface Setting {
  enrolment?: Partial<PersonEnrolment>
  roles?: Role[]
  metadata?: Map<string, MetadataEntry>
}

/** Alice holds every role of the policy. */
function worldOf({ enrolment = {}, roles = [personRole('reader')], metadata }: Setting): TestPeopleWorld {
  const made = peopleWorld({
    policy: personPolicy(roles, { personEnrolment: { ...DEFAULT_PERSON_ENROLMENT, ...enrolment } }),
    // Certificates of tests are valid around the present.
    now: Date.now(),
  })
  if (metadata !== undefined) made.models.entries = metadata
  putPerson(made, 'alice', { roles: roles.map(({ name }) => ({ name, source: 'assigned' as const, asOf: 1 })) })
  return made
}

const requiring = (name: string, require: Partial<Requirements>) => personRole(name, { require })

const SYNCED = { aaguid: AAGUID, backupEligible: true, backupState: true }
const BOUND = { aaguid: AAGUID, backupEligible: false, backupState: false }

/** With an attestation by a certificate under `root`. */
async function byCertificate(response: RegistrationResponseJSON): Promise<RegistrationResponseJSON> {
  const leaf = await root.issue({ subject: PACKED_SUBJECT })
  return attested(response, 'packed', (signed) => packedStatement(signed, leaf))
}

const certified = (...statuses: string[]): MetadataEntry => ({
  description: 'Test Key 5',
  statuses: ['FIDO_CERTIFIED', ...statuses],
  roots: [Buffer.from(root.der).toString('base64')],
})

async function outcomeOf(setting: Setting, device: typeof SYNCED, certificate = false): Promise<string> {
  const made = worldOf(setting)
  const trial = { options: device, ...(certificate ? { prepare: byCertificate } : {}) }
  const outcome = refusalOf(await enrol(made, await signIn(made, 'alice'), trial))
  const [, check] = outcome.split('device_refused/')
  if (check !== undefined) seen.add(check)
  if (outcome !== 'accepted') assert.equal(made.credentials.all().size, 0, 'nothing is stored of what is refused')
  return outcome
}

const refusedBy = (check: string) => `enrolment.device_refused/${check}`

describe('what every device of a person must be', () => {
  test('anything, by default', async () => {
    assert.equal(await outcomeOf({}, SYNCED), 'accepted')
    assert.equal(await outcomeOf({}, BOUND, true), 'accepted')
  })
  test('attested, where that is demanded: none and self are refused', async () => {
    const setting: Setting = { enrolment: { attestation: 'direct' } }
    assert.equal(await outcomeOf(setting, BOUND), refusedBy('attestation'))
    const made = worldOf(setting)
    const self = await enrol(made, await signIn(made, 'alice'), { options: { attestation: 'self' } })
    assert.equal(refusalOf(self), refusedBy('attestation'))
    assert.equal(await outcomeOf(setting, BOUND, true), 'accepted')
  })
  test('known to FIDO, where that is demanded', async () => {
    const enrolment = { attestation: 'mds' } as const
    assert.equal(await outcomeOf({ enrolment }, BOUND, true), refusedBy('attestation'), 'without metadata')
    assert.equal(await outcomeOf({ enrolment, metadata: new Map() }, BOUND, true), refusedBy('attestation'), 'an unknown model')
    assert.equal(await outcomeOf({ enrolment, metadata: new Map([[OTHER, certified()]]) }, BOUND, true), refusedBy('attestation'))
    const rootless = { ...certified(), roots: [] }
    assert.equal(await outcomeOf({ enrolment, metadata: new Map([[AAGUID, rootless]]) }, BOUND, true), refusedBy('attestation'))
    const metadata = new Map([[AAGUID, certified()]])
    assert.equal(await outcomeOf({ enrolment, metadata }, BOUND), refusedBy('attestation'), 'a claim without a certificate')
    assert.equal(await outcomeOf({ enrolment, metadata }, BOUND, true), 'accepted')
  })
  test('of a listed model', async () => {
    assert.equal(await outcomeOf({ enrolment: { aaguids: [AAGUID] } }, BOUND), 'accepted')
    assert.equal(await outcomeOf({ enrolment: { aaguids: [OTHER] } }, BOUND), refusedBy('aaguids'))
    assert.equal(await outcomeOf({ enrolment: { aaguids: [] } }, BOUND), refusedBy('aaguids'))
  })
  test('bound to the device', async () => {
    assert.equal(await outcomeOf({ enrolment: { deviceBound: true } }, SYNCED), refusedBy('device_bound'))
    assert.equal(await outcomeOf({ enrolment: { deviceBound: true } }, BOUND), 'accepted')
  })
})

describe('a model of which FIDO knows something bad', () => {
  for (const status of REFUSED_STATUSES) {
    test(`is refused whatever the policy says: ${status}`, async () => {
      const metadata = new Map([[AAGUID, certified(status)]])
      const check = refusedBy(`mds_${status.toLowerCase()}`)
      assert.equal(await outcomeOf({ metadata }, SYNCED), check)
      assert.equal(await outcomeOf({ metadata, enrolment: { attestation: 'mds' } }, BOUND, true), check)
    })
  }
  test('is not refused for what is not bad, nor without metadata', async () => {
    assert.equal(await outcomeOf({ metadata: new Map([[AAGUID, certified('UPDATE_AVAILABLE')]]) }, SYNCED), 'accepted')
    assert.equal(await outcomeOf({ metadata: new Map([[OTHER, certified('REVOKED')]]) }, SYNCED), 'accepted')
    assert.equal(await outcomeOf({}, SYNCED), 'accepted')
  })
})

describe('the roles of a person', () => {
  test('refuse a device that none of them admits, by the demand of the first', async () => {
    assert.equal(await outcomeOf({ roles: [requiring('a', { deviceBound: true })] }, SYNCED), refusedBy('device_bound'))
    const both = [requiring('b', { attestation: 'direct' }), requiring('a', { aaguids: [OTHER] })]
    assert.equal(await outcomeOf({ roles: both }, SYNCED), refusedBy('aaguids'))
    assert.equal(await outcomeOf({ roles: [requiring('a', { class: 'machine' })] }, SYNCED), refusedBy('class'))
  })
  test('take a device that one of them admits', async () => {
    const roles = [requiring('a', { deviceBound: true }), personRole('b')]
    assert.equal(await outcomeOf({ roles }, SYNCED), 'accepted')
  })
  test('must be in the policy', async () => {
    const made = worldOf({})
    putPerson(made, 'alice', { roles: [{ name: roleOf('gone'), source: 'idp', asOf: 1 }] })
    const outcome = refusalOf(await enrol(made, await signIn(made, 'alice')))
    assert.equal(outcome, refusedBy('roles'))
    seen.add('roles')
  })
  test('that demand approval take the device, and give nothing until it is approved', async () => {
    const made = worldOf({
      roles: [requiring('admin', { approval: true }), requiring('vault', { deviceBound: true }), personRole('reader')],
    })
    const who = await signIn(made, 'alice')
    const done = await enrol(made, who)
    assert.ok(done.ok)
    const about = {
      identity: who.identity.record,
      policy: made.policy(),
      metadata: made.metadata,
      login: who.login.record,
      now: new Date(made.clock.now),
    }
    assert.deepEqual(viewDevice(done.value.credential, about).roles, [
      { name: 'admin', unmet: ['approval'] },
      { name: 'reader', unmet: [] },
      { name: 'vault', unmet: ['device_bound'] },
    ])
    const approved = { ...done.value.credential, approvedBy: 'root' }
    assert.deepEqual(viewDevice(approved, about).roles[0], { name: 'admin', unmet: [] })
  })
})

describe('what the browser is asked for', () => {
  const conveyance = async (setting: Setting) => {
    const made = worldOf(setting)
    const begun = await beginDevice(await signIn(made, 'alice'), made.occasion(), made)
    return begun.ok ? begun.value.options.attestation : refusalOf(begun)
  }
  test('is no attestation where nobody looks at one', async () => {
    assert.equal(await conveyance({}), 'none')
    assert.equal(await conveyance({ enrolment: { deviceBound: true } }), 'none')
    assert.equal(await conveyance({ roles: [requiring('a', { deviceBound: true, userVerification: true })] }), 'none')
  })
  test('is the attestation where the class or a role demands to know the device', async () => {
    assert.equal(await conveyance({ enrolment: { attestation: 'direct' } }), 'direct')
    assert.equal(await conveyance({ enrolment: { attestation: 'mds' } }), 'direct')
    assert.equal(await conveyance({ enrolment: { aaguids: [AAGUID] } }), 'direct')
    assert.equal(await conveyance({ roles: [personRole('a'), requiring('b', { attestation: 'mds' })] }), 'direct')
    assert.equal(await conveyance({ roles: [requiring('b', { aaguids: [AAGUID] })] }), 'direct')
  })
})

describe('the view of a device', () => {
  test('names the model only where FIDO vouches for it', async () => {
    const metadata = new Map([[AAGUID, certified()]])
    for (const [certificate, model] of [
      [true, 'Test Key 5'],
      [false, null],
    ] as const) {
      const made = worldOf({ metadata })
      const who = await signIn(made, 'alice')
      const done = await enrol(made, who, { options: BOUND, ...(certificate ? { prepare: byCertificate } : {}) })
      assert.ok(done.ok)
      const login = made.logins.get(who.login.record.id)
      assert.ok(login)
      const about = { identity: who.identity.record, policy: made.policy(), metadata: made.metadata, login, now: new Date() }
      const { id, name, createdAt, ...view } = viewDevice(done.value.credential, about)
      assert.equal(id, done.value.credential.id)
      assert.deepEqual(view, {
        aaguid: AAGUID,
        model,
        trust: certificate ? 'mds' : 'none',
        synced: false,
        backedUp: false,
        transports: ['internal'],
        state: 'active',
        roles: [{ name: 'reader', unmet: [] }],
        current: true,
      })
    }
  })
})

test('every check of the registry was seen to refuse something', () => {
  assert.deepEqual([...seen].sort(), Object.keys(DEVICE_CHECKS).sort())
})
