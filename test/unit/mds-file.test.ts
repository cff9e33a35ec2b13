/** FIDO's metadata from a file: what is taken over, what is refused, and that what was read stays. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, before, beforeEach, describe, test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { SettingsService } from '@simplewebauthn/server'
import { CompactSign } from 'jose'
import { readBlob } from '../../src/policy/mds-blob.ts'
import { type MetadataFile, type MetadataOptions, openMetadata } from '../../src/policy/mds-file.ts'
import { attestationRoot, type CertificateChange, hostExtension, type TestIssuer } from '../support/attestation.ts'

const AAGUID = '0102030a-0000-4000-8000-00000000abcd'
const now = new Date()
const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10)

let root: TestIssuer
let intermediate: TestIssuer
before(async () => {
  root = await attestationRoot('Metadata Root')
  intermediate = await root.issue({ ca: true })
})

const signer = (host = 'mds.fidoalliance.org', change: CertificateChange = {}) =>
  intermediate.issue({ subject: 'CN=MDS', ...change, extensions: [hostExtension(host)] })

const entry = (more: object = {}) => ({
  aaguid: AAGUID,
  statusReports: [{ status: 'FIDO_CERTIFIED', effectiveDate: '2020-01-01' }],
  timeOfLastStatusChange: '2020-01-01',
  metadataStatement: { description: 'Test Key', attestationRootCertificates: ['AA\nAA'], icon: 'data:,' },
  ...more,
})
const payloadOf = (more: object = {}) => ({ legalHeader: 'x', no: 7, nextUpdate: day(30), entries: [entry()], ...more })

async function blobOf(payload: unknown, { leaf, chain }: { leaf?: TestIssuer; chain?: TestIssuer[] } = {}): Promise<string> {
  const by = leaf ?? (await signer())
  const x5c = (chain ?? [by, intermediate]).map(({ der }) => Buffer.from(der).toString('base64'))
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  return new CompactSign(bytes).setProtectedHeader({ alg: 'ES256', typ: 'JWT', x5c }).sign(by.privateKey)
}

const pem = ({ der }: TestIssuer) => new X509Certificate(der).toString()

describe('a metadata blob', () => {
  const read = (text: string, at = now) => readBlob(text, [root.der], at)
  const refuses = async (text: string, why: RegExp, at = now) => assert.rejects(read(text, at), why)

  test('gives number, date and models', async () => {
    const blob = await read(await blobOf(payloadOf()))
    assert.deepEqual([blob.no, blob.nextUpdate], [7, day(30)])
    assert.deepEqual([...blob.entries], [[AAGUID, { description: 'Test Key', statuses: ['FIDO_CERTIFIED'], roots: ['AAAA'] }]])
  })
  test('leaves out models without AAGUID, and forgives what it does not use', async () => {
    const entries = [
      entry({ aaguid: AAGUID.toUpperCase() }),
      entry({ aaguid: undefined, attestationCertificateKeyIdentifiers: ['x'] }),
      entry({ aaguid: '00000000-0000-0000-0000-000000000000' }),
      entry({ aaguid: 'bbbbbbbb-0000-4000-8000-00000000abcd', metadataStatement: undefined, newThing: {} }),
    ]
    const blob = await read(await blobOf(payloadOf({ entries, newThing: 1 })))
    assert.deepEqual([...blob.entries.keys()], [AAGUID, 'bbbbbbbb-0000-4000-8000-00000000abcd'])
  })
  test('forgets no status of a model that it lists twice', async () => {
    const blob = await read(await blobOf(payloadOf({ entries: [entry({ statusReports: [{ status: 'REVOKED' }] }), entry()] })))
    assert.deepEqual(blob.entries.get(AAGUID)?.statuses, ['REVOKED', 'FIDO_CERTIFIED'])
  })
  test('is refused when it is no JWS with certificates', async () => {
    for (const text of ['', 'x', '{}', 'a.b.c', `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`]) {
      await refuses(text, /not a JWS with its certificates/)
    }
    await refuses(await blobOf(payloadOf(), { chain: [] }), /not a JWS with its certificates/)
  })
  test('is refused when a byte of it was changed', async () => {
    const [header, payload, signature] = (await blobOf(payloadOf())).split('.')
    const changed = Buffer.from(JSON.stringify(payloadOf({ no: 8 }))).toString('base64url')
    await refuses(`${header}.${changed}.${signature}`, /not that of its certificate/)
    const cut = `${header}.${payload}.${signature?.slice(0, -4)}`
    await refuses(cut, /not that of its certificate/)
    const unsigned = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(header ?? '', 'base64url').toString()), alg: 'none' }))
    await refuses(`${unsigned.toString('base64url')}.${payload}.`, /not that of its certificate/)
  })
  test('is refused when its certificates lead to no root that is trusted, or are over', async () => {
    const other = await attestationRoot('Metadata Root')
    const foreign = await (await other.issue({ ca: true })).issue({ extensions: [] })
    await refuses(await blobOf(payloadOf(), { leaf: foreign, chain: [foreign] }), /lead to no trusted root/)
    await refuses(await blobOf(payloadOf(), { chain: [await signer()] }), /lead to no trusted root/)
    await refuses(await blobOf(payloadOf()), /lead to no trusted root/, new Date(Date.now() + 10 * 86_400_000))
    const old = await signer('mds.fidoalliance.org', { notAfter: new Date(Date.now() - 1000) })
    await refuses(await blobOf(payloadOf(), { leaf: old }), /lead to no trusted root/)
  })
  test('is refused when its certificate is for another name: roots of the web sign those of anybody', async () => {
    const leaf = await signer('mds.fidoalliance.org.evil.example')
    await refuses(await blobOf(payloadOf(), { leaf }), /not for mds\.fidoalliance\.org/)
    const named = await intermediate.issue({ subject: 'CN=mds.fidoalliance.org' })
    await refuses(await blobOf(payloadOf(), { leaf: named }), /not for mds\.fidoalliance\.org/)
  })
  test('is refused when its payload is not one', async () => {
    const bad: unknown[] = [
      'not json',
      '[]',
      payloadOf({ no: '7' }),
      payloadOf({ no: -1 }),
      payloadOf({ nextUpdate: 'soon' }),
      payloadOf({ entries: {} }),
      payloadOf({ entries: [entry({ statusReports: undefined })] }),
      payloadOf({ entries: [entry({ statusReports: [{ state: 'REVOKED' }] })] }),
      payloadOf({ entries: [entry({ aaguid: 7 })] }),
    ]
    for (const payload of bad) await refuses(await blobOf(payload), /not the payload of a blob/)
  })
})

describe('the metadata file', () => {
  let dir: string
  let blobFile: string
  let rootFile: string
  let opened: MetadataFile[]
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-mds-'))
    blobFile = join(dir, 'blob.jwt')
    rootFile = join(dir, 'roots.pem')
    writeFileSync(rootFile, `# Roots of metadata\n${pem(root)}\n`)
    opened = []
  })
  afterEach(() => {
    for (const file of opened) file.close()
    rmSync(dir, { recursive: true })
  })

  async function open(change: Partial<MetadataOptions> = {}) {
    const refusals: string[] = []
    const overdue: string[] = []
    let told: () => void = () => undefined
    const file = await openMetadata({
      blobFile,
      rootFile,
      now: () => now,
      onRefused: ({ message }) => {
        refusals.push(message)
        told()
      },
      onOverdue: (nextUpdate) => overdue.push(nextUpdate),
      ...change,
    })
    opened.push(file)
    const nextRefusal = () =>
      new Promise<void>((resolve) => {
        told = resolve
      })
    return { file, refusals, overdue, nextRefusal }
  }
  const write = async (more: object = {}, about: Parameters<typeof blobOf>[1] = {}) => {
    // As whole: what is half written is a blob that was changed.
    writeFileSync(`${blobFile}.new`, `${await blobOf(payloadOf(more), about)}\n`)
    renameSync(`${blobFile}.new`, blobFile)
  }
  const revoked = { entries: [entry({ statusReports: [{ status: 'REVOKED' }] })] }

  test('answers by AAGUID', async () => {
    await write()
    const { file, refusals, overdue } = await open()
    assert.ok(file.isLoaded())
    assert.equal(file.entryOf(AAGUID)?.description, 'Test Key')
    assert.equal(file.entryOf('ffffffff-0000-4000-8000-00000000abcd'), null)
    assert.deepEqual([refusals, overdue], [[], []])
  })
  test('is nothing at all where none is configured', async () => {
    const none = await openMetadata(null)
    assert.deepEqual([none.isLoaded(), none.entryOf(AAGUID), await none.reload()], [false, null, 'unchanged'])
    none.close()
  })
  test('must be good at the start, and so must be the roots', async () => {
    await assert.rejects(open(), /loading the metadata/)
    await write()
    writeFileSync(rootFile, 'no certificate')
    await assert.rejects(open(), (error: Error) => error.cause instanceof Error && /no certificate in PEM/.test(error.cause.message))
    rmSync(rootFile)
    await assert.rejects(open(), /loading the metadata/)
    await assert.rejects(
      open({ rootFile: null }),
      (error: Error) => error.cause instanceof Error && /trusted root/.test(error.cause.message),
    )
    await assert.rejects(
      open({ rootFile: null, blobFile: dir }),
      (error: Error) => error.cause instanceof Error && /regular file/.test(error.cause.message),
    )
    truncateSync(blobFile, 64 * 2 ** 20 + 1)
    await assert.rejects(
      open({ rootFile: null }),
      (error: Error) => error.cause instanceof Error && /larger than/.test(error.cause.message),
    )
  })
  test('is taken over on reload when it is newer', async () => {
    await write()
    const { file } = await open()
    assert.equal(await file.reload(), 'unchanged')
    await write({ no: 8, ...revoked })
    assert.equal(await file.reload(), 'loaded')
    assert.deepEqual(file.entryOf(AAGUID)?.statuses, ['REVOKED'])
  })
  test('is kept when the new one is older, the same number, or bad, and that is said once', async () => {
    await write({ no: 8, ...revoked })
    const { file, refusals } = await open()
    for (const no of [7, 8]) {
      await write({ no })
      assert.equal(await file.reload(), 'refused')
    }
    writeFileSync(blobFile, 'broken')
    assert.equal(await file.reload(), 'refused')
    assert.equal(await file.reload(), 'refused')
    rmSync(blobFile)
    assert.equal(await file.reload(), 'refused')
    assert.deepEqual(
      refusals.map((text) => text.replace(dir, '')).map((text) => text.slice(0, 45)),
      [
        'loading the metadata: no 7 comes after no 8',
        'loading the metadata: no 8 comes after no 8',
        'reading the metadata: not a JWS with its cert',
        refusals[3]?.replace(dir, '').slice(0, 45),
      ],
    )
    assert.match(refusals[3] ?? '', /ENOENT/)
    assert.deepEqual(file.entryOf(AAGUID)?.statuses, ['REVOKED'])
  })
  test('is noticed when it changes', async () => {
    await write()
    const { file, nextRefusal } = await open()
    const refusal = nextRefusal()
    writeFileSync(blobFile, 'broken')
    await refusal
    assert.equal(file.entryOf(AAGUID)?.description, 'Test Key')
  })
  test('is kept past its nextUpdate, and that is said', async () => {
    await write({ nextUpdate: day(-2) })
    const { file, overdue } = await open()
    assert.deepEqual(overdue, [day(-2)])
    assert.ok(file.isLoaded())
    assert.notEqual(file.entryOf(AAGUID), null)
    await write({ no: 8, nextUpdate: day(-2) })
    assert.equal(await file.reload(), 'loaded')
    assert.deepEqual(overdue, [day(-2), day(-2)])
  })
  test('is closed for good', async () => {
    await write()
    const { file } = await open()
    file.close()
    await write({ no: 8, ...revoked })
    assert.equal(await file.reload(), 'unchanged')
    assert.deepEqual(file.entryOf(AAGUID)?.statuses, ['FIDO_CERTIFIED'])
  })
})

describe("the roots of FIDO's own service", () => {
  test('are those of GlobalSign that Node knows too', () => {
    const fingerprints = SettingsService.getRootCertificates({ identifier: 'mds' }).map((text) => new X509Certificate(text).fingerprint256)
    // R3, by which the service is signed, and R46, its successor.
    assert.deepEqual(fingerprints, [
      'CB:B5:22:D7:B7:F1:27:AD:6A:01:13:86:5B:DF:1C:D4:10:2E:7D:07:59:AF:63:5A:7C:F4:72:0D:C9:63:C5:3B',
      '4F:A3:12:6D:8D:3A:11:D1:C4:85:5A:4F:80:7C:BA:D6:CF:91:9D:3A:5A:88:B0:3B:EA:2C:63:72:D9:3C:40:C9',
    ])
    const known = rootCertificates.map((text) => new X509Certificate(text).fingerprint256)
    assert.ok(fingerprints.every((fingerprint) => known.includes(fingerprint)))
  })
})
