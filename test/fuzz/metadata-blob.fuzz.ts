import assert from 'node:assert/strict'
import { CompactSign } from 'jose'
import { readBlob } from '../../src/policy/mds-blob.ts'
import { attestationRoot, hostExtension, type TestIssuer } from '../support/attestation.ts'
import { bytesOf, type FuzzTarget, jwsParts, textOf } from './fuzz-target.ts'

const now = new Date()
const payload = {
  legalHeader: 'x',
  no: 7,
  nextUpdate: '2030-01-01',
  entries: [
    {
      aaguid: '0102030a-0000-4000-8000-00000000abcd',
      statusReports: [{ status: 'FIDO_CERTIFIED' }],
      metadataStatement: { description: 'Test Key', attestationRootCertificates: ['AA\nAA'] },
    },
    { statusReports: [{ status: 'REVOKED', effectiveDate: '2020-01-01' }] },
  ],
}
let service: { leaf: TestIssuer; root: TestIssuer } | null = null
let genuine = ''

/** A payload that the service signs, or a whole blob: read, or refused with an Error that says what is wrong. */
export const metadataBlob: FuzzTarget = {
  name: 'metadata-blob',
  async seeds() {
    const root = await attestationRoot('Metadata Root')
    service = { root, leaf: await root.issue({ subject: 'CN=MDS', extensions: [hostExtension('mds.fidoalliance.org')] }) }
    genuine = await blobOf(bytesOf(JSON.stringify(payload)))
    return [bytesOf(JSON.stringify(payload)), bytesOf(genuine)]
  },
  dictionary: ['"x5c":', '"alg":"none"', '"no":', '"entries":[', '"aaguid":', '"statusReports":[]', '"attestationRootCertificates":', '.'],
  shape: 'json',
  async run(input) {
    const whole = await read(textOf(input))
    if (whole !== null) assert.deepEqual(jwsParts(textOf(input)), jwsParts(genuine))
    const signed = await read(await blobOf(input))
    if (signed === null) return
    const said = JSON.parse(textOf(input)) as typeof payload
    assert.equal(signed.no, said.no)
    assert.ok(signed.entries.size <= said.entries.length)
    for (const { statuses, roots } of signed.entries.values()) assert.ok([...statuses, ...roots].every((text) => typeof text === 'string'))
  },
}

async function blobOf(bytes: Uint8Array): Promise<string> {
  if (service === null) throw new Error('running a target without its seeds')
  const x5c = [service.leaf, service.root].map(({ der }) => Buffer.from(der).toString('base64'))
  return new CompactSign(bytes).setProtectedHeader({ alg: 'ES256', typ: 'JWT', x5c }).sign(service.leaf.privateKey)
}

async function read(text: string) {
  try {
    return await readBlob(text, service === null ? [] : [service.root.der], now)
  } catch (error) {
    assert.ok(error instanceof Error && error.message.startsWith('reading the metadata: '), String(error))
    return null
  }
}
