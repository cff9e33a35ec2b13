/** How far an attestation is trusted: WebAuthn L3 §7.1 steps 24 and 25, against FIDO's metadata and nothing else. */
import { equalBytes } from '../encoding.ts'
import type { MetadataEntry } from '../people/people.ts'
import type { CredentialRecord } from '../records.ts'
import { EXTENSION, readCertificate } from './certificate.ts'
import { leadsToRoot } from './certificate-chain.ts'

export type AttestationTrust = CredentialRecord['attestation']['trust']

/** A statement that was verified by the rules of its format. */
export interface AttestationStatement {
  format: string
  /** Whether the credential's own key signed it, and no certificate. */
  isSelf: boolean
  /** DER, the attestation certificate first. Empty without one. */
  certificates: readonly Uint8Array[]
}

/** Statuses that end the trust in a model, whatever else is said of it (FIDO MDS 3 §3.1.4). */
export const REFUSED_STATUSES = [
  'REVOKED',
  'USER_KEY_PHYSICAL_COMPROMISE',
  'USER_KEY_REMOTE_COMPROMISE',
  'USER_VERIFICATION_BYPASS',
  'ATTESTATION_KEY_COMPROMISE',
] as const
export type RefusedStatus = (typeof REFUSED_STATUSES)[number]

/** The first status of the model that ends the trust in it, or null. */
export function refusedStatusOf(entry: MetadataEntry | null): RefusedStatus | null {
  return REFUSED_STATUSES.find((status) => entry?.statuses.includes(status)) ?? null
}

/**
 * none: nothing was shown. self: the key signed. attested: a certificate signed, and nobody vouches for it. mds: it leads
 * to a root that FIDO's metadata names for this very model, of which nothing bad is known. `entry`: that of `aaguid`.
 */
export function gradeTrust(
  { statement, aaguid }: { statement: AttestationStatement; aaguid: string },
  entry: MetadataEntry | null,
  now: Date,
): AttestationTrust {
  const [leaf] = statement.certificates
  if (leaf === undefined) return statement.isSelf ? 'self' : 'none'
  if (entry === null || refusedStatusOf(entry) !== null || !isForModel(leaf, aaguid)) return 'attested'
  const roots = entry.roots.map((root) => Buffer.from(root, 'base64'))
  return leadsToRoot(statement.certificates, roots, now) ? 'mds' : 'attested'
}

const OCTET_STRING_OF_16 = [0x04, 0x10] as const

/** WebAuthn L3 §8.2.1: a certificate that names a model names this one, and does not mark that critical. */
function isForModel(der: Uint8Array, aaguid: string): boolean {
  const named = readCertificate(der)?.extensions.get(EXTENSION.aaguid)
  if (named === undefined) return true
  return !named.critical && equalBytes(named.value, Buffer.from([...OCTET_STRING_OF_16, ...Buffer.from(aaguid.replaceAll('-', ''), 'hex')]))
}
