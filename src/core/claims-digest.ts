/** A stand-in for somebody's claims in the audit trail, where their values have no business. */
import { base64url, lengthPrefixed } from './encoding.ts'
import { sha256 } from './sha256.ts'

/** SHA-256 of the claims in the order of their names, unpadded base64url: the same exactly for the same claims. */
export function claimsDigest(claims: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1))
  return base64url(sha256(lengthPrefixed('nats-webauthn/claims/v1', ...sorted.flat())))
}
