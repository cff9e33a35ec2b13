/** Why the SDK refused or failed: the closed set of codes that a program may act on. */
export const CLIENT_ERROR_CODES = {
  url_invalid: 'The address is not one of a NATS server with a single canonical spelling.',
  url_ambiguous: 'Several servers were given where the SDK cannot know which one is dialled.',
  option_refused: 'A connection option would change whom the client dials, or what it signs.',
  tls_unverified: 'An option or the environment would accept certificates that nobody verified.',
  nonce_missing: 'The server sent no nonce, so there is nothing to prove.',
  nonce_refused: 'The server sent a nonce that is not 1 to 64 printable ASCII characters.',
  sign_failed: 'The key did not sign.',
  session_missing: 'There is no plain session to export.',
  server_unreachable: 'No server accepted the connection.',
  key_file_exists: 'A file is there already; it is never overwritten.',
  key_file_unsafe: 'Others may read the file, or it is not a regular file of this user.',
  key_file_invalid: 'The file is not a key file.',
  key_file_pending: 'The key was made, but not enrolled.',
  key_file_io: 'The file could not be read or written.',
  enrolment_refused: 'The verifier refused the enrolment.',
  enrolment_failed: 'The enrolment did not come to an end.',
  session_refused: 'The verifier, or the person, refused to endorse or to end the session.',
  session_failed: 'Asking for a session, or ending one, did not come to an end.',
} as const

/** What went wrong, for programs. */
export type ClientErrorCode = keyof typeof CLIENT_ERROR_CODES

/** Every error that the SDK itself throws. Messages name what failed and never hold keys, nonces or signatures. */
export class WebAuthnClientError extends Error {
  override readonly name = 'WebAuthnClientError'
  readonly code: ClientErrorCode
  /** The verifier's own code for a refusal over HTTP (docs/refusals.md), or null. */
  readonly refusal: string | null

  constructor(code: ClientErrorCode, message: string, options: { cause?: unknown; refusal?: string | null } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.refusal = options.refusal ?? null
  }
}
