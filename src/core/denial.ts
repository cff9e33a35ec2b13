/**
 * Every way to refuse a connection, and only those ways. A test proves that these rows, docs/denials.md, the metric
 * labels, the audit codes and the vectors are the same set.
 */

/** The stages of the journey, in order (docs/architecture.md). `legacy` is entered in report-only mode alone, after a refusal. */
export const STAGES = ['open', 'read', 'lookup', 'verify', 'resolve', 'store', 'record', 'answer', 'legacy'] as const
export type Stage = (typeof STAGES)[number]

export interface DenialRow {
  stage: Stage
  /** `notice`: happens to honest clients; `warning`: look at it; `alert`: somebody is attacking or a key was copied. */
  severity: 'notice' | 'warning' | 'alert'
  /** One sentence for docs, logs and `assertion check`: what was refused. */
  doc: string
  /** One sentence: what to do about it. */
  remedy: string
}

// biome-ignore format: the registry is read as a table.
export const DENIALS = {
  // 1. open: is this a genuine authorization request from our nats-server?
  request_oversized: { stage: 'open', severity: 'alert', doc: 'The authorization request is larger than the verifier reads.', remedy: 'Look for who else can publish on the callout subject; raise nothing.' },
  request_unsealed: { stage: 'open', severity: 'alert', doc: 'The request came in plain text, or from a foreign xkey, although the verifier has an xkey.', remedy: 'Put the same xkey into auth_callout of every nats-server.' },
  request_unopenable: { stage: 'open', severity: 'alert', doc: 'The sealed request does not open with the verifier\'s xkey.', remedy: 'Compare auth_callout.xkey with the public key of the verifier\'s xkey seed.' },
  request_malformed: { stage: 'open', severity: 'alert', doc: 'The request is not an authorization request JWT.', remedy: 'Look for who else can publish on the callout subject.' },
  request_readdressed: { stage: 'open', severity: 'alert', doc: 'The request is for another audience, or its issuer is not the server it names.', remedy: 'Look for who else can publish on the callout subject.' },
  request_signature_invalid: { stage: 'open', severity: 'alert', doc: 'The request is not signed by the server it names.', remedy: 'Look for who else can publish on the callout subject.' },
  request_server_unknown: { stage: 'open', severity: 'alert', doc: 'The server that signed the request is not in server_ids.', remedy: 'Add the server\'s id to server_ids, or remove that list.' },
  request_expired: { stage: 'open', severity: 'warning', doc: 'The request is expired or from the future.', remedy: 'Compare the clocks of nats-server and verifier.' },
  client_kind_refused: { stage: 'open', severity: 'warning', doc: 'The connection is a leafnode or another kind that is not a client.', remedy: 'Let leafnodes use their own users outside the auth callout.' },
  client_type_refused: { stage: 'open', severity: 'warning', doc: 'The client speaks neither NATS nor WebSocket (MQTT cannot be bound to a nonce).', remedy: 'Use a NATS or WebSocket client.' },
  overloaded: { stage: 'open', severity: 'warning', doc: 'The verifier has more requests waiting than it can answer in time.', remedy: 'Start more verifiers; see the overload metrics.' },

  // 2. read: does `sig` hold one of the four forms, for a server we serve?
  sig_missing: { stage: 'read', severity: 'notice', doc: 'CONNECT carries no sig, so the connection proves nothing.', remedy: 'Connect with the SDK, or with an endorsed nkey.' },
  nonce_missing: { stage: 'read', severity: 'alert', doc: 'The server sent no nonce for this connection.', remedy: 'Keep at least one nkey user in the server\'s configuration; that is what makes it send nonces.' },
  sig_oversized: { stage: 'read', severity: 'warning', doc: 'sig, or a part of it, is larger than the protocol allows.', remedy: 'Use a key whose proofs fit (docs/protocol.md, limits).' },
  sig_malformed: { stage: 'read', severity: 'warning', doc: 'sig is none of the four forms.', remedy: 'Compare the client with docs/protocol.md.' },
  nkey_malformed: { stage: 'read', severity: 'warning', doc: 'The form needs a public user nkey in CONNECT and there is none, or what is there is not one, or a key of small order, under which a signature proves nothing.', remedy: 'Send the session\'s public user nkey in the nkey field.' },
  url_not_allowed: { stage: 'read', severity: 'alert', doc: 'The client signed for a server address that this deployment does not list.', remedy: 'If the address is yours, add it to urls, spelled exactly so; if not, someone relays.' },
  url_wrong_server: { stage: 'read', severity: 'alert', doc: 'The address is listed for another server or cluster than the one that asked.', remedy: 'Compare server_name and cluster in urls with the server\'s configuration.' },
  url_plaintext: { stage: 'read', severity: 'warning', doc: 'The address is without TLS and the connection is not on loopback.', remedy: 'Use tls:// or wss://.' },

  // 3. look up: who would this be?
  credential_unknown: { stage: 'lookup', severity: 'warning', doc: 'No such credential is enrolled.', remedy: 'Enrol the device, or look for a spray of made-up ids.' },
  credential_pending: { stage: 'lookup', severity: 'notice', doc: 'The credential\'s enrolment is not finished.', remedy: 'Finish the enrolment.' },
  credential_revoked: { stage: 'lookup', severity: 'warning', doc: 'The credential is revoked.', remedy: 'Enrol a new credential if its owner is still welcome.' },
  credential_quarantined: { stage: 'lookup', severity: 'alert', doc: 'The credential is quarantined: its key seems to have been copied.', remedy: 'Ask its owner; revoke it and enrol a new one.' },
  credential_expired: { stage: 'lookup', severity: 'notice', doc: 'The credential is past its expiry.', remedy: 'Enrol a new credential.' },
  identity_unknown: { stage: 'lookup', severity: 'alert', doc: 'The credential belongs to no known identity.', remedy: 'Check the identities bucket; restore it from backup if it was damaged.' },
  identity_disabled: { stage: 'lookup', severity: 'warning', doc: 'The identity is disabled.', remedy: 'Enable the identity if it should be let in.' },
  session_unknown: { stage: 'lookup', severity: 'notice', doc: 'The nkey is not endorsed.', remedy: 'Connect with a proof.' },
  session_pending: { stage: 'lookup', severity: 'notice', doc: 'The nkey\'s endorsement was not completed.', remedy: 'Connect with a proof.' },
  session_revoked: { stage: 'lookup', severity: 'warning', doc: 'The session is revoked.', remedy: 'Connect with a proof and a new session nkey.' },
  session_expired: { stage: 'lookup', severity: 'notice', doc: 'The session is over.', remedy: 'Connect with a proof.' },
  session_not_plain: { stage: 'lookup', severity: 'warning', doc: 'The nkey was endorsed for bound use only and signed the bare nonce.', remedy: 'Use the SDK, or endorse the nkey for plain use.' },
  plain_session_without_tls: { stage: 'lookup', severity: 'warning', doc: 'A plain session on a connection that is neither TLS nor loopback.', remedy: 'Use TLS.' },
  connection_already_proven: { stage: 'lookup', severity: 'alert', doc: 'This connection was already admitted with another proof, or as a legacy user\'s.', remedy: 'Look at what the client does: one socket, two identities.' },

  // 4. verify: WebAuthn L3 §7.2 in the spec's order, or the session key's signature
  source_limited: { stage: 'verify', severity: 'warning', doc: 'Too many signatures from this source failed within a minute; this one was not checked.', remedy: 'Look at the failures before it, `signature_invalid` from the same address (docs/overload.md).' },
  credential_limited: { stage: 'verify', severity: 'warning', doc: 'Too many signatures for this credential failed within a minute, from this source or from others; this one was not checked.', remedy: 'Look at the failures before it: a client with the wrong key, or someone guesses (docs/overload.md).' },
  assertion_malformed: { stage: 'verify', severity: 'warning', doc: 'The assertion\'s client data or authenticator data cannot be read.', remedy: 'Compare the client with docs/protocol.md.' },
  user_handle_mismatch: { stage: 'verify', severity: 'alert', doc: 'The assertion names another user than the credential\'s owner.', remedy: 'Look at the client: it mixes up credentials.' },
  type_mismatch: { stage: 'verify', severity: 'alert', doc: 'The client data is not of type webauthn.get.', remedy: 'Look at the client: it sends a registration as a proof.' },
  challenge_mismatch: { stage: 'verify', severity: 'alert', doc: 'The assertion was made for another connection, address, nkey or ceremony.', remedy: 'A replay or a relay, unless the client computes the challenge wrongly (docs/protocol.md has worked bytes).' },
  origin_mismatch: { stage: 'verify', severity: 'alert', doc: 'The assertion was made on an origin that is not allowed for this class.', remedy: 'If the origin is yours, add it to the relying party\'s origins.' },
  cross_origin: { stage: 'verify', severity: 'alert', doc: 'The assertion was made inside a page of another origin.', remedy: 'Do not embed the sign-in page.' },
  rp_id_mismatch: { stage: 'verify', severity: 'alert', doc: 'The assertion is for another relying party.', remedy: 'Compare rp_id with the one the credential was enrolled for.' },
  user_not_present: { stage: 'verify', severity: 'warning', doc: 'A person\'s assertion without user presence.', remedy: 'Tap the authenticator.' },
  user_not_verified: { stage: 'verify', severity: 'warning', doc: 'User verification is required and did not take place.', remedy: 'Use an authenticator with a PIN or biometry.' },
  machine_flags_mismatch: { stage: 'verify', severity: 'alert', doc: 'A machine\'s assertion claims that a user was present or verified.', remedy: 'Machines never set UP or UV.' },
  backup_flags_invalid: { stage: 'verify', severity: 'warning', doc: 'The assertion says backed up but not backup eligible.', remedy: 'Look at the authenticator: the specification forbids it.' },
  backup_eligibility_changed: { stage: 'verify', severity: 'alert', doc: 'Backup eligibility differs from enrolment; it may never change.', remedy: 'Enrol the device again if it really changed.' },
  algorithm_refused: { stage: 'verify', severity: 'alert', doc: 'The credential\'s algorithm is not allowed, or does not fit its key.', remedy: 'Enrol a credential with an allowed algorithm.' },
  signature_invalid: { stage: 'verify', severity: 'alert', doc: 'The assertion\'s signature is not the credential\'s.', remedy: 'The client holds another key, or someone guesses.' },
  sign_count_regression: { stage: 'verify', severity: 'alert', doc: 'The signature counter went back: the key may have been copied.', remedy: 'Ask its owner; revoke it and enrol a new one.' },
  sign_count_race: { stage: 'verify', severity: 'notice', doc: 'The signature counter was overtaken by another connection moments ago.', remedy: 'None: the client retries.' },
  session_signature_invalid: { stage: 'verify', severity: 'alert', doc: 'The nkey\'s signature is not valid for this connection\'s nonce and address.', remedy: 'A replay or a relay, unless the client signs wrongly (docs/protocol.md has worked bytes).' },

  // 5. resolve: what may this identity do, here and now?
  roles_none: { stage: 'resolve', severity: 'notice', doc: 'The identity holds no role of the policy whose requirements this connection meets.', remedy: 'Give the identity a role, or see `policy explain`.' },
  roles_stale: { stage: 'resolve', severity: 'notice', doc: 'The identity\'s roles were confirmed too long ago.', remedy: 'Sign in at the identity provider again.' },
  account_ambiguous: { stage: 'resolve', severity: 'warning', doc: 'The identity\'s roles name different accounts.', remedy: 'Give the identity roles of one account.' },
  template_value_refused: { stage: 'resolve', severity: 'alert', doc: 'A value for a subject template is missing or is not a single safe token.', remedy: 'Correct the claim, or do not use it in subjects.' },
  connection_limit: { stage: 'resolve', severity: 'warning', doc: 'The identity has as many connections as its roles allow.', remedy: 'Close connections, or raise limits.connections.' },
  plain_session_refused: { stage: 'resolve', severity: 'warning', doc: 'A role of the identity does not allow sessions for stock clients.', remedy: 'Allow plain_sessions in the role, or use the SDK.' },

  // 6. store: compare-and-set
  endorsement_refused: { stage: 'store', severity: 'alert', doc: 'The nkey serves another credential, or was revoked, and can never be endorsed.', remedy: 'Make a new session nkey.' },

  // legacy: report-only mode, after one of the refusals above
  legacy_credentials_invalid: { stage: 'legacy', severity: 'warning', doc: 'The password, token or signature is not that of a legacy user.', remedy: 'If the user is yours, compare its entry in the file of legacy users; many of these from one source are somebody who guesses.' },
  legacy_users_ended: { stage: 'legacy', severity: 'warning', doc: 'The connection brings credentials of the kind that legacy users had, and the migration has ended.', remedy: 'Enrol the client, or move `migration.until` and say why.' },
  legacy_check_busy: { stage: 'legacy', severity: 'warning', doc: 'Too many passwords or tokens are waiting to be compared, or waited too long.', remedy: 'None for a restart: clients retry. If it goes on, look at `legacy_credentials_invalid`.' },
} as const satisfies Record<string, DenialRow>

export type DenialReason = keyof typeof DENIALS

/** Failures of our own machinery. They fail closed, are answered, and count as `error`, not as `denied`. */
export const ERRORS = {
  internal: 'The verifier failed; its log has the cause.',
  store_unavailable: 'The KV buckets could not be read or written in time.',
  audit_unavailable: 'The audit record was not durable in time, so nothing was granted.',
  deadline_exceeded: 'The verdict came too late for the server that asked.',
} as const

export type ErrorReason = keyof typeof ERRORS

/** How a connection was admitted: the reasons of outcome `granted`. */
export const GRANTS = {
  proof: 'A WebAuthn assertion.',
  proof_endorsing: 'A WebAuthn assertion that also endorsed a session nkey.',
  session_bound: 'A session nkey that signed nonce and address.',
  session_plain: 'A session nkey that signed the bare nonce, as stock clients do.',
  reasked: 'The same proof on the same connection again: the first grant, with its expiry.',
} as const

export type GrantReason = keyof typeof GRANTS
export type Outcome = 'granted' | 'denied' | 'error' | 'reported'

/**
 * Refusals that report-only mode only reports where a legacy user's own credentials are right. Nothing is reported of what
 * is not a genuine request about a client, or of one socket that wants to be two.
 */
export const REPORTABLE: readonly DenialReason[] = (Object.keys(DENIALS) as DenialReason[]).filter(
  (reason) => !['open', 'legacy'].includes(DENIALS[reason].stage) && reason !== 'connection_already_proven',
)

/** Every (outcome, reason) there is: metric labels and audit codes are exactly these. */
export const VERDICTS: readonly { outcome: Outcome; reason: GrantReason | DenialReason | ErrorReason }[] = [
  ...(Object.keys(GRANTS) as GrantReason[]).map((reason) => ({ outcome: 'granted' as const, reason })),
  ...(Object.keys(DENIALS) as DenialReason[]).map((reason) => ({ outcome: 'denied' as const, reason })),
  ...(Object.keys(ERRORS) as ErrorReason[]).map((reason) => ({ outcome: 'error' as const, reason })),
  ...REPORTABLE.map((reason) => ({ outcome: 'reported' as const, reason })),
]
