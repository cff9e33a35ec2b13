import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import { parseCredentialId, parseHandle } from '../../src/core/identifiers.ts'
import type { CredentialPort } from '../../src/core/ports.ts'
import type { CredentialRecord, Stored } from '../../src/core/records.ts'
import { watchQuarantine } from '../../src/quarantine.ts'

const id = parseCredentialId('AAAA')
const handle = parseHandle('orders')
assert.ok(id !== null && handle !== null)
const active: CredentialRecord = {
  v: 1,
  id,
  publicKey: '',
  signCount: 7,
  signCountAt: 0,
  backupEligible: false,
  backupState: false,
  transports: [],
  aaguid: '',
  attestation: { format: 'none', trust: 'none' },
  rpId: 'x',
  class: 'machine',
  handle,
  userHandle: '',
  name: '',
  state: 'active',
  createdAt: 0,
  expiresAt: null,
  endedAt: null,
  enrolledBy: 'admin',
  approvedBy: null,
}
const stored: Stored<CredentialRecord> = { record: active, revision: 1 }

function watched({
  other = null,
  recorded = async () => {},
}: {
  other?: Stored<CredentialRecord> | null
  recorded?: () => Promise<void>
} = {}) {
  const events: LifecycleEvent[] = []
  const failures: unknown[] = []
  const evicted: unknown[] = []
  const credentials: CredentialPort = { find: async () => null, findByKey: async () => null, replace: async () => other }
  const quarantine = watchQuarantine({
    credentials,
    evictions: {
      evict: async (ended, whose) => {
        evicted.push([ended, whose])
        return { kicked: 1, failed: 0 }
      },
    },
    lifecycle: {
      record: async (event) => {
        events.push(event)
        await recorded()
      },
    },
    actor: 'verifier',
    policyHash: () => 'hash',
    onFailure: (cause) => failures.push(cause),
  })
  return { quarantine, events, failures, evicted }
}

describe('a quarantine', () => {
  test('is recorded, and ends the live connections of the credential', async () => {
    const { quarantine, events, evicted } = watched()
    assert.equal(await quarantine.watched.replace(stored, { ...active, state: 'quarantined' }), null)
    await quarantine.settled()
    assert.deepEqual(
      events.map(({ area, outcome, reason }) => `${area}.${outcome}.${reason}`),
      ['credential.succeeded.quarantined'],
    )
    assert.deepEqual(evicted, [[{ credential: id }, handle]])
    assert.equal(events[0]?.target.id, id)
  })

  test('that another verifier was first with has no second consequences', async () => {
    const { quarantine, events, evicted } = watched({ other: { record: { ...active, state: 'quarantined' }, revision: 2 } })
    await quarantine.watched.replace(stored, { ...active, state: 'quarantined' })
    await quarantine.settled()
    assert.deepEqual([events.length, evicted.length], [0, 0])
  })

  test('is not what other writes are', async () => {
    const { quarantine, events, evicted } = watched()
    await quarantine.watched.replace(stored, { ...active, signCount: 8 })
    await quarantine.settled()
    assert.deepEqual([events.length, evicted.length], [0, 0])
  })

  test('ends connections although its record cannot be made, and keeps no verdict waiting', async () => {
    const { quarantine, failures, evicted } = watched({ recorded: () => Promise.reject(new Error('publishing')) })
    await quarantine.watched.replace(stored, { ...active, state: 'quarantined' })
    await quarantine.settled()
    assert.equal(evicted.length, 1)
    assert.ok(failures.length > 0)
  })
})
