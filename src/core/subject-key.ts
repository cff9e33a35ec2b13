/** The key in `webauthn_identities` under which stands whose an (issuer, subject) is. */
import { base64url, lengthPrefixed } from './encoding.ts'
import type { IdentityRecord } from './records.ts'
import { sha256 } from './sha256.ts'

/** `subject.` and the SHA-256 of issuer and subject, unpadded base64url. */
export function subjectKey({ issuer, subject }: Pick<IdentityRecord, 'issuer' | 'subject'>): string {
  return `subject.${base64url(sha256(lengthPrefixed(issuer, subject)))}`
}
