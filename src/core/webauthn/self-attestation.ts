/** Self attestation (WebAuthn L3 §8.2, packed without certificates): the new key signs its own registration. */
import { concat } from '../encoding.ts'
import { sha256 } from '../sha256.ts'
import { type CoseKey, verifyCoseSignature } from './cose-key.ts'
import type { RegistrationCheck } from './registration-checks.ts'
import type { AttestationObject } from './registration-parts.ts'

/** The check that it fails, or null: exactly the key's own `alg`, and a `sig` by it. */
export function checkSelfAttestation(
  { fmt, attStmt, authData }: AttestationObject,
  key: CoseKey,
  clientDataJSON: Uint8Array,
): RegistrationCheck | null {
  const signature = attStmt.get('sig')
  if (fmt !== 'packed' || attStmt.size !== 2 || attStmt.get('alg') !== key.alg || !(signature instanceof Uint8Array)) {
    return 'attestation_refused'
  }
  // Stricter than §8.2: one encoding of a signature only, as at every assertion that follows.
  return verifyCoseSignature(key, concat(authData, sha256(clientDataJSON)), signature) ? null : 'signature_invalid'
}
