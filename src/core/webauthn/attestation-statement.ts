/** WebAuthn L3 §7.1 steps 22 and 23: the attestation statement, by the rules of its format. SimpleWebAuthn is the judge. */
import { type AttestationFormat, SettingsService } from '@simplewebauthn/server'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import type { AttestationStatement } from './attestation-trust.ts'
import { type Certificate, EXTENSION, readCertificate } from './certificate.ts'
import { chainCertificatesMax } from './certificate-chain.ts'
import { type Examined, failed, passed } from './registration-checks.ts'
import { isAcceptedByLibrary } from './registration-opinion.ts'
import type { AttestationObject, AttestedData, ExpectedRegistration } from './registration-parts.ts'
import type { RegistrationResponse } from './registration-response.ts'
import { checkSelfAttestation } from './self-attestation.ts'

/** Formats whose statement is a signature by a certificate. SafetyNet is not among them: it was switched off. */
const CERTIFIED_FORMATS = ['packed', 'fido-u2f', 'tpm', 'android-key', 'apple'] as const satisfies AttestationFormat[]
type CertifiedFormat = (typeof CERTIFIED_FORMATS)[number]

// With roots, the library walks the chain itself, by the clock of the machine, and asks the addresses that certificates
// name for CRLs. The chain is attestation-trust.ts's to judge. Set once, before any call, and the same for all.
for (const identifier of CERTIFIED_FORMATS) SettingsService.setRootCertificates({ identifier, certificates: [] })

export interface StatementContext {
  response: RegistrationResponse
  attestation: AttestationObject
  data: AttestedData
  expected: ExpectedRegistration & { origin: string; requireUserVerification: boolean }
}

/** The statement, or the check that it fails. */
export async function verifyStatement(context: StatementContext): Promise<Examined<AttestationStatement>> {
  const { fmt, attStmt } = context.attestation
  if (fmt === 'none') {
    // §8.7: nothing is in it. The library reads the rest once more.
    if (attStmt.size !== 0 || !(await isAcceptedWith(context, attStmt))) return failed('attestation_refused')
    return passed({ format: 'none', isSelf: false, certificates: [] })
  }
  const format = CERTIFIED_FORMATS.find((it) => it === fmt)
  if (format === undefined) return failed('attestation_refused')
  if (format === 'packed' && !attStmt.has('x5c')) return verifySelf(context)
  const certificates = readCertificates(attStmt.get('x5c'))
  if (certificates === null || isAddressToAsk(format, certificates)) return failed('attestation_refused')
  const der = certificates.map(({ x509 }) => new Uint8Array(x509.raw))
  const judged = new Map([...attStmt, ['x5c', der.slice(0, judgedCertificates(format))]])
  if (!(await isAcceptedWith(context, judged))) return failed('attestation_refused')
  return passed({ format, isSelf: false, certificates: der })
}

async function verifySelf(context: StatementContext): Promise<Examined<AttestationStatement>> {
  const { response, attestation, data } = context
  const refused = checkSelfAttestation(attestation, data.key, response.clientDataJSON)
  if (refused !== null) return failed(refused)
  if (!(await isAcceptedWith(context, attestation.attStmt))) return failed('signature_invalid')
  return passed({ format: 'packed', isSelf: true, certificates: [] })
}

function readCertificates(x5c: unknown): Certificate[] | null {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > chainCertificatesMax) return null
  const read = x5c.map((der: unknown) => (der instanceof Uint8Array ? readCertificate(der) : null))
  return read.every((certificate) => certificate !== null) ? read : null
}

// The library looks at the attestation certificate alone; of android-key it also wants to see who issued it.
function judgedCertificates(format: CertifiedFormat): number {
  return format === 'android-key' ? 2 : 1
}

/**
 * Whether the library would ask a network address about these certificates: of android-key it walks from the certificate
 * to its issuer, and fetches the CRLs that the first names, and the second where it issued itself. Android's
 * certificates are made on the device and name none, so one that does is refused instead.
 */
function isAddressToAsk(format: CertifiedFormat, [leaf, issuer]: readonly Certificate[]): boolean {
  if (format !== 'android-key') return false
  const names = (certificate: Certificate | undefined) => certificate?.extensions.has(EXTENSION.crlDistributionPoints) === true
  return names(leaf) || (names(issuer) && issuer?.x509.subject === issuer?.x509.issuer)
}

/** The library's reading of the registration, with `attStmt` for its statement. */
async function isAcceptedWith({ response, attestation, expected }: StatementContext, attStmt: Map<unknown, unknown>): Promise<boolean> {
  const { fmt, authData } = attestation
  const members: [string, unknown][] = [
    ['fmt', fmt],
    ['attStmt', attStmt],
    ['authData', authData],
  ]
  try {
    const attestationObject = isoCBOR.encode(new Map(members) as Parameters<typeof isoCBOR.encode>[0])
    return await isAcceptedByLibrary({ ...response, attestationObject }, { ...expected, requireUserPresence: true })
  } catch {
    // The encoder throws for a value that it would not have read.
    return false
  }
}
