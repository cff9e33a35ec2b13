import assert from 'node:assert/strict'
import type { z } from 'zod'
import * as schemas from '../../src/nats/records-schema.ts'
import { credentialRecord, guardEntry, identityRecord, sessionRecord } from '../support/records.ts'
import { bytesOf, type FuzzTarget } from './fuzz-target.ts'

const { decodeRecord, encodeRecord } = schemas
const SCHEMAS = Object.entries(schemas).flatMap(([name, schema]) => (name.endsWith('Schema') ? [schema as z.ZodType<object>] : []))
const key = 'A'.repeat(43)
const SOUND: readonly object[] = [
  credentialRecord(),
  sessionRecord(),
  identityRecord('orders'),
  guardEntry(),
  { v: 1, nkey: sessionRecord().nkey, revokedAt: 1 },
  {
    v: 1,
    id: key,
    class: 'person',
    handle: 'bob',
    displayName: 'Bob',
    roles: ['a'],
    invitedBy: 'x',
    createdAt: 1,
    expiresAt: 2,
    state: 'issued',
    usedAt: null,
  },
  { v: 1, id: key, purpose: 'enrol', issued: key, subject: 's', ticket: null, login: null, expiresAt: 1, state: 'issued' },
]

/** A value of a bucket is one kind of record at most, or an error that says nothing of the value. Written and read it stays the same. */
export const records: FuzzTarget = {
  name: 'records',
  seeds: () => SOUND.map((record) => bytesOf(JSON.stringify(record))),
  dictionary: ['"state":"active"', '"state":"revoked"', '"v":1', '"v":2', 'null', '"handle":', '__proto__'],
  shape: 'json',
  run(input) {
    let kinds = 0
    for (const schema of SCHEMAS) {
      const record = decoded(input, schema)
      if (record === null) continue
      kinds++
      // As text, because JSON has no minus zero.
      const written = encodeRecord(record)
      assert.deepEqual(encodeRecord(decodeRecord(written, schema)), written)
    }
    assert.ok(kinds <= 1)
  },
}

function decoded(input: Uint8Array, schema: z.ZodType<object>): object | null {
  try {
    return decodeRecord(input, schema)
  } catch (error) {
    assert.ok(error instanceof Error && error.constructor === Error)
    assert.match(error.message, /^decoding a record: /)
    return null
  }
}
