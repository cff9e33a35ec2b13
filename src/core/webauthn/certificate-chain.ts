/** Whether a certificate leads to a root that is trusted, by what is at hand: nothing is ever fetched, no CRL and no OCSP. */
import { equalBytes } from '../encoding.ts'
import { type Certificate, readCertificate } from './certificate.ts'

/** Certificates that a chain may bring along. */
export const chainCertificatesMax = 8
const rootsMax = 64

/**
 * Whether the first of `chain` leads to one of `roots` at `now`. `chain`: DER, each issued by the next, as in x5c. A
 * root may itself be any certificate of the chain: metadata lists leaves of some authenticators (FIDO MDS 3 §3.1.1).
 */
export function leadsToRoot(chain: readonly Uint8Array[], roots: readonly Uint8Array[], now: Date): boolean {
  if (chain.length === 0 || chain.length > chainCertificatesMax || roots.length > rootsMax) return false
  let below: Certificate | null = null
  for (const [depth, der] of chain.entries()) {
    const certificate = readCertificate(der)
    if (certificate === null || !isValidAt(certificate, now)) return false
    if (below !== null && !isIssuedBy(below, certificate, depth - 1)) return false
    if (roots.some((root) => equalBytes(root, der))) return true
    below = certificate
  }
  const last = below
  return last !== null && roots.some((root) => isIssuedByRoot(last, { root, depth: chain.length - 1, now }))
}

function isIssuedByRoot(last: Certificate, { root, depth, now }: { root: Uint8Array; depth: number; now: Date }): boolean {
  const issuer = readCertificate(root)
  return issuer !== null && isValidAt(issuer, now) && isIssuedBy(last, issuer, depth)
}

/** `depth`: how many CA certificates are below the issuer already (RFC 5280 §4.2.1.9). */
function isIssuedBy(subject: Certificate, issuer: Certificate, depth: number): boolean {
  const { x509, pathLengthMax } = issuer
  if (!x509.ca || (pathLengthMax !== null && depth > pathLengthMax)) return false
  try {
    // Names, key identifiers and key usage first, then the signature.
    return subject.x509.checkIssued(x509) && subject.x509.verify(x509.publicKey)
  } catch {
    // A key that OpenSSL cannot use.
    return false
  }
}

function isValidAt({ validFrom, validTo }: Certificate, now: Date): boolean {
  return validFrom <= now.getTime() && now.getTime() <= validTo
}
