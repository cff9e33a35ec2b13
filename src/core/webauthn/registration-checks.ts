/** Every way in which a registration can fail: one closed set for machines and people (docs/enrolment.md). */

/** Which check of a registration failed: what records and clients are told. In the order of WebAuthn L3 §7.1. */
export const REGISTRATION_CHECKS = {
  response_malformed: 'The response is no RegistrationResponseJSON, or a part of it is too large.',
  client_data_malformed: 'The client data is not an unambiguous JSON object.',
  type_mismatch: 'The client data is not of type webauthn.create.',
  challenge_mismatch: "The challenge is another ceremony's, or another service's.",
  origin_mismatch: "The origin is not nats-webauthn://machine, or not the verifier's own page where a person enrols.",
  cross_origin: 'The client data says that it was made in a page of another origin.',
  attestation_malformed: 'The attestation object is not canonical CBOR of exactly fmt, attStmt and authData.',
  authenticator_data_malformed: 'The authenticator data has no attested credential data, or more than that and what its flags announce.',
  rp_id_mismatch: 'The registration is for another relying party.',
  flags_mismatch: 'The flags are not exactly those of a machine key: UP=0 UV=0 BE=1 BS=0 AT=1 ED=0. Machines only.',
  user_not_present: 'The flags say that nobody was present. People only.',
  user_not_verified: 'The flags say that the person was not verified, and that is required. People only.',
  backup_flags_invalid: 'The flags say backed up but not eligible for it, which cannot be. People only.',
  credential_id_mismatch: 'The response names another credential id than the authenticator data.',
  algorithm_refused: "The key's algorithm is not allowed, or does not fit its type, curve or size.",
  attestation_refused: 'The attestation is not one that is accepted: from machines packed self attestation alone.',
  signature_invalid: "The attestation signature is not the key's.",
} as const
export type RegistrationCheck = keyof typeof REGISTRATION_CHECKS

/** Like Checked, but with the name of a check: a registration is refused under one reason, and the check says why. */
export type Examined<T> = { ok: true; value: T } | { ok: false; check: RegistrationCheck }

export function failed(check: RegistrationCheck): { ok: false; check: RegistrationCheck } {
  return { ok: false, check }
}

export function passed<T>(value: T): { ok: true; value: T } {
  return { ok: true, value }
}
