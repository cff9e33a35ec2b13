/** Backup files: written whole or not at all, and read only as this deployment wrote them. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createAccount } from 'nkeys.js'
import { readBackup } from '../../src/cli/backup-reader.ts'
import { createBackup } from '../../src/cli/backup-writer.ts'
import type { BackupEntry, BackupHeader } from '../../src/core/backup/backup-format.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { credentialRecord, identityRecord, newUserNkey } from '../support/records.ts'

const account = createAccount()
const issuer = account.getPublicKey()
const seed = new TextDecoder().decode(account.getSeed())
const AT = '2026-01-05T12:00:00.123456789Z'
const HEADER: BackupHeader = {
  backup: 'nats-webauthn',
  v: 1,
  createdAt: 1,
  product: '0.1.0',
  issuer,
  audit: { stream: 'WEBAUTHN_AUDIT', sequence: 7, storedAt: AT },
  buckets: [{ bucket: 'webauthn_credentials', createdAt: AT, sequence: 3, records: 1, included: true }],
}
const credential = credentialRecord()
const nkey = newUserNkey()
const entry = (bucket: BackupEntry['bucket'], key: string, record: object, revision = 1): BackupEntry => ({
  bucket,
  key,
  revision,
  record: { ...record },
})
const ENTRIES = [
  entry('webauthn_credentials', credentialKey(credential.id), credential),
  entry('webauthn_identities', 'orders', identityRecord('orders')),
  entry('webauthn_revoked_nkeys', nkey, { v: 1, nkey, revokedAt: 5 }),
]

describe('a backup file', () => {
  let dir: string
  let path: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-backup-'))
    path = join(dir, 'a.backup')
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  const write = (entries: readonly BackupEntry[] = ENTRIES, header = HEADER, by = seed): string => {
    const writer = createBackup(path, header, by)
    for (const each of entries) writer.add(each)
    writer.finish()
    return readFileSync(path, 'utf8')
  }
  const verdict = async (text?: string | Uint8Array, issuers = [issuer]): Promise<string> => {
    if (text !== undefined) writeFileSync(path, text, { mode: 0o600 })
    const read = await readBackup(path, issuers)
    return read.ok ? 'read' : read.reason
  }

  test('is read as it was written', async () => {
    write()
    const read = await readBackup(path, [issuer])
    assert.ok(read.ok)
    assert.deepEqual(read.backup.header, HEADER)
    const { credentials, identities, tombstones } = read.backup.state
    assert.deepEqual([credentials.size, identities.size, tombstones.size], [1, 1, 1])
    assert.deepEqual(credentials.get(credentialKey(credential.id))?.record, credential)
  })

  test('is its owner’s alone, takes no other’s place, and is not there before it is whole', () => {
    const writer = createBackup(path, HEADER, seed)
    assert.equal(existsSync(path), false)
    assert.equal(statSync(`${path}.part`).mode & 0o777, 0o600)
    assert.throws(() => createBackup(path, HEADER, seed))
    writer.finish()
    assert.equal(existsSync(`${path}.part`), false)
    assert.throws(() => createBackup(path, HEADER, seed))
    rmSync(path)
    createBackup(path, HEADER, seed).abandon()
    assert.deepEqual([existsSync(path), existsSync(`${path}.part`)], [false, false])
  })

  test('of a running system holds a key that moved twice, and its last value counts', async () => {
    const moved = { ...credential, signCount: 9 }
    const key = credentialKey(credential.id)
    write([entry('webauthn_credentials', key, moved, 8), entry('webauthn_credentials', key, credential, 3)])
    const read = await readBackup(path, [issuer])
    assert.equal(read.ok && read.backup.state.credentials.get(key)?.record.signCount, 9)
  })

  test('is refused when any byte of it changed', async () => {
    const bytes = Buffer.from(write())
    for (let at = 0; at < bytes.length; at += 13) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 0x01
      assert.notEqual(await verdict(changed), 'read', `byte ${at}`)
    }
  })

  test('is refused wherever it was cut', async () => {
    const bytes = Buffer.from(write())
    for (let at = 0; at < bytes.length; at += 17) assert.notEqual(await verdict(bytes.subarray(0, at)), 'read', `cut at ${at}`)
    assert.equal(await verdict(bytes.subarray(0, bytes.length - 1)), 'truncated')
    assert.equal(await verdict(''), 'truncated')
  })

  test('is refused with a record left out, put in, or in another order', async () => {
    const [header = '', first = '', second = '', third = '', end = ''] = write().split('\n')
    const joined = (...lines: string[]) => `${lines.join('\n')}\n`
    assert.equal(await verdict(joined(header, first, second, end)), 'digest_mismatch')
    assert.equal(await verdict(joined(header, first, first, second, third, end)), 'digest_mismatch')
    assert.equal(await verdict(joined(header, second, first, third, end)), 'digest_mismatch')
    assert.equal(await verdict(joined(header, first, second, third, end, end)), 'format_unknown')
    assert.equal(await verdict(joined(header, first, second, third, end, third)), 'format_unknown')
    assert.equal(await verdict(joined(first, second, third, end)), 'format_unknown')
  })

  test('is refused with an end that somebody else signed, whoever its header names', async () => {
    const thief = createAccount()
    const theirs = write(ENTRIES, HEADER, new TextDecoder().decode(thief.getSeed()))
    assert.equal(await verdict(theirs), 'signature_invalid')
    rmSync(path)
    const honest = write(ENTRIES, { ...HEADER, issuer: thief.getPublicKey() }, new TextDecoder().decode(thief.getSeed()))
    assert.equal(await verdict(honest), 'other_deployment')
    assert.equal(await verdict(honest, [issuer, thief.getPublicKey()]), 'read', 'an issuer that this deployment had before')
  })

  test('is refused with the end of another backup of the same deployment', async () => {
    const end = write([]).trimEnd().split('\n').at(-1) ?? ''
    rmSync(path)
    const lines = write().trimEnd().split('\n')
    assert.equal(await verdict(`${[...lines.slice(0, -1), end].join('\n')}\n`), 'digest_mismatch')
  })

  test('of another version says so', async () => {
    assert.equal(await verdict(write().replace('"v":1', '"v":2')), 'version_unknown')
    assert.equal(await verdict(anew(path, write).replace('"backup":"nats-webauthn"', '"backup":"other"')), 'format_unknown')
  })

  test('with a line that never ends is left before it fills the memory', async () => {
    assert.equal(await verdict(`${write().split('\n')[0]}\n${'x'.repeat(300_000)}`), 'line_too_long')
    assert.equal(await verdict('{'.repeat(10_000_000)), 'line_too_long')
  })

  for (const [name, bad] of Object.entries({
    'under another key': entry('webauthn_credentials', credentialKey(credentialRecord().id), credential),
    'of another bucket': entry('webauthn_identities', credentialKey(credential.id), credential),
    'with a member that no record has': entry('webauthn_credentials', credentialKey(credential.id), { ...credential, admin: true }),
    'in a state that no record has': entry('webauthn_credentials', credentialKey(credential.id), { ...credential, state: 'trusted' }),
    'of a bucket that is not restored': entry('webauthn_sessions' as never, nkey, { v: 1, nkey }),
  })) {
    test(`with a record ${name} is refused, although it is signed`, async () => {
      write([bad])
      assert.equal(await verdict(), 'record_invalid')
    })
  }
})

/** The text of a file that is written anew. */
function anew(path: string, write: () => string): string {
  rmSync(path, { force: true })
  return write()
}
