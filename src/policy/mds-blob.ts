/** FIDO's metadata blob (MDS 3 §3.1): a JWS whose certificates lead to a trusted root. What is not used of it is not judged. */
import { X509Certificate } from 'node:crypto'
import { compactVerify, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import { fromUtf8 } from '../core/encoding.ts'
import type { MetadataEntry } from '../core/people/people.ts'
import { chainCertificatesMax, leadsToRoot } from '../core/webauthn/certificate-chain.ts'

/** The name that the signing certificate bears: the roots of FIDO's service sign the certificates of half the web as well. */
const SERVICE_HOST = 'mds.fidoalliance.org'
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
const ZERO_AAGUID = '00000000-0000-0000-0000-000000000000'
const entriesMax = 20_000
const rootsMax = 64
const reportsMax = 256

export interface MetadataBlob {
  /** Serial number: each blob's is higher than the one before. */
  no: number
  /** `YYYY-MM-DD`: by then there is a newer one. */
  nextUpdate: string
  /** By AAGUID, a lower-case UUID. Models without one, such as those of U2F, are left out. */
  entries: ReadonlyMap<string, MetadataEntry>
}

const headerSchema = z.looseObject({ x5c: z.array(z.base64()).min(1).max(chainCertificatesMax) })
const entrySchema = z.looseObject({
  aaguid: z.string().max(64).optional(),
  statusReports: z.array(z.looseObject({ status: z.string().max(64) })).max(reportsMax),
  metadataStatement: z
    .looseObject({
      description: z.string().max(1024).optional(),
      attestationRootCertificates: z.array(z.string().max(16_384)).max(rootsMax).optional(),
    })
    .optional(),
})
const payloadSchema = z.looseObject({
  no: z.int().nonnegative(),
  nextUpdate: z.iso.date(),
  entries: z.array(entrySchema).max(entriesMax),
})

/** The blob in `text`, signed by FIDO's service under one of `roots` (DER). Throws an Error that says what is wrong. */
export async function readBlob(text: string, roots: readonly Uint8Array[], now: Date): Promise<MetadataBlob> {
  const key = readSigner(text, roots, now)
  const { payload } = await compactVerify(text, key, { algorithms: ALGORITHMS }).catch((cause: unknown) => {
    throw new Error('reading the metadata: its signature is not that of its certificate', { cause })
  })
  const parsed = payloadSchema.safeParse(parseJson(payload))
  if (!parsed.success) throw new Error('reading the metadata: not the payload of a blob', { cause: parsed.error })
  const { no, nextUpdate, entries } = parsed.data
  const byModel = new Map<string, MetadataEntry>()
  for (const { aaguid, statusReports, metadataStatement } of entries) {
    const model = aaguid?.toLowerCase()
    if (model === undefined || model === ZERO_AAGUID) continue
    const other = byModel.get(model)
    byModel.set(model, {
      description: metadataStatement?.description ?? other?.description ?? '',
      statuses: [...(other?.statuses ?? []), ...statusReports.map(({ status }) => status)],
      roots: [...(other?.roots ?? []), ...(metadataStatement?.attestationRootCertificates ?? []).map((root) => root.replaceAll(/\s/g, ''))],
    })
  }
  return { no, nextUpdate, entries: byModel }
}

function readSigner(text: string, roots: readonly Uint8Array[], now: Date) {
  const header = headerSchema.safeParse(protectedHeader(text))
  if (!header.success) throw new Error('reading the metadata: not a JWS with its certificates')
  const chain = header.data.x5c.map((der) => new Uint8Array(Buffer.from(der, 'base64')))
  if (!leadsToRoot(chain, roots, now))
    throw new Error('reading the metadata: its certificates lead to no trusted root, or are not valid now')
  const leaf = new X509Certificate(chain[0] as Uint8Array)
  if (leaf.checkHost(SERVICE_HOST, { subject: 'never' }) === undefined) {
    throw new Error(`reading the metadata: its certificate is not for ${SERVICE_HOST}`)
  }
  return leaf.publicKey
}

function protectedHeader(text: string): unknown {
  try {
    return decodeProtectedHeader(text)
  } catch {
    return null
  }
}

function parseJson(bytes: Uint8Array): unknown {
  const text = fromUtf8(bytes)
  try {
    return text === null ? null : JSON.parse(text)
  } catch {
    return null
  }
}
