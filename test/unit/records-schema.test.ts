import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { z } from 'zod'
import type { CeremonyRecord, TicketRecord } from '../../src/core/records.ts'
import {
  ceremonySchema,
  credentialSchema,
  decodeRecord,
  encodeRecord,
  guardSchema,
  identitySchema,
  sessionSchema,
  subjectIndexSchema,
  ticketSchema,
} from '../../src/nats/records-schema.ts'
import {
  credentialRecord,
  guardEntry,
  handleOf,
  identityRecord,
  legacyGuardEntry,
  newGuardKey,
  roleOf,
  sessionRecord,
} from '../support/records.ts'

const ticket: TicketRecord = {
  v: 1,
  id: newGuardKey(),
  class: 'machine',
  handle: handleOf('orders'),
  displayName: 'orders',
  roles: [roleOf('orders-writer')],
  invitedBy: 'admin',
  createdAt: 1,
  expiresAt: 2,
  state: 'issued',
  usedAt: null,
}
const ceremony: CeremonyRecord = {
  v: 1,
  id: newGuardKey(),
  purpose: 'enrol',
  issued: newGuardKey(),
  subject: ticket.id,
  ticket: ticket.id,
  login: null,
  expiresAt: 3,
  state: 'issued',
}
const kinds: { name: string; schema: z.ZodType<object>; record: object }[] = [
  { name: 'a credential', schema: credentialSchema, record: credentialRecord() },
  { name: 'a session', schema: sessionSchema, record: sessionRecord() },
  { name: 'an identity', schema: identitySchema, record: identityRecord('orders') },
  { name: 'a guard entry', schema: guardSchema, record: guardEntry() },
  { name: "a legacy user's guard entry", schema: guardSchema, record: legacyGuardEntry() },
  { name: 'a ticket', schema: ticketSchema, record: ticket },
  { name: 'a ceremony', schema: ceremonySchema, record: ceremony },
  { name: 'an index entry', schema: subjectIndexSchema, record: { v: 1, handle: 'orders' } },
]

describe('records in KV values', () => {
  for (const { name, schema, record } of kinds) {
    test(`${name} is read as it was written`, () => {
      assert.deepEqual(decodeRecord(encodeRecord(record), schema), record)
    })
    test(`${name} with an unknown member is none`, () => {
      assert.throws(() => decodeRecord(encodeRecord({ ...record, extra: 1 }), schema), /^Error: decoding a record/)
    })
    test(`${name} of another version is none`, () => {
      assert.throws(() => decodeRecord(encodeRecord({ ...record, v: 2 }), schema))
    })
    for (const member of Object.keys(record)) {
      test(`${name} without ${member} is none`, () => {
        const { [member]: _, ...rest } = record as Record<string, unknown>
        assert.throws(() => decodeRecord(encodeRecord(rest), schema))
      })
      test(`${name} whose ${member} is of another type is none`, () => {
        assert.throws(() => decodeRecord(encodeRecord({ ...record, [member]: [[]] }), schema))
      })
    }
  }

  const credential = credentialRecord()
  for (const [what, changes] of [
    ['a state there is not', { state: 'admin' }],
    ['a class there is not', { class: 'root' }],
    ['a handle with a dot', { handle: 'a.b' }],
    ['a handle of capitals', { handle: 'Orders' }],
    ['a negative counter', { signCount: -1 }],
    ['a counter over 32 bits', { signCount: 2 ** 32 }],
    ['a counter that is no integer', { signCount: 1.5 }],
    ['an id with padding', { id: 'AA==' }],
    ['an AAGUID of capitals', { aaguid: 'A0000000-0000-0000-0000-000000000000' }],
    ['a flag that is a word', { backupEligible: 'true' }],
    ['a key without bytes', { publicKey: '' }],
  ] as const) {
    test(`a credential with ${what} is none`, () => {
      assert.throws(() => decodeRecord(encodeRecord({ ...credential, ...changes }), credentialSchema))
    })
  }

  for (const [what, record] of [
    ['of a legacy user who has a handle too', { ...guardEntry(), legacy: 'legacy:billing' }],
    ['of a legacy user whose name is a handle', { ...legacyGuardEntry(), legacy: 'orders' }],
    ['of a legacy user without a name', { ...legacyGuardEntry(), legacy: 'legacy:' }],
    ['whose handle is a legacy name', { ...guardEntry(), handle: 'legacy:billing' }],
  ] as const) {
    test(`a guard entry ${what} is none`, () => {
      assert.throws(() => decodeRecord(encodeRecord(record), guardSchema))
    })
  }

  test('what cannot be read is said by member, never by value', () => {
    const secret = 'very-secret-value'
    for (const record of [
      { ...credential, state: secret },
      { ...credential, handle: `${secret}.` },
    ]) {
      assert.throws(
        () => decodeRecord(encodeRecord(record), credentialSchema),
        (error: Error) => !String(error.message).includes(secret) && error.cause === undefined,
      )
    }
  })

  for (const [what, bytes] of [
    ['nothing', new Uint8Array(0)],
    ['null', new TextEncoder().encode('null')],
    ['cut off', encodeRecord(credential).subarray(0, 50)],
    ['no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['ambiguous', new TextEncoder().encode(`{"v":1,${new TextDecoder().decode(encodeRecord(credential)).slice(1)}`)],
    ['deeply nested', new TextEncoder().encode(`${'['.repeat(10_000)}${']'.repeat(10_000)}`)],
  ] as const) {
    test(`a value that is ${what} is no record`, () => {
      assert.throws(() => decodeRecord(bytes, credentialSchema), /^Error: decoding a record/)
    })
  }
})
