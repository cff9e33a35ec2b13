/** Why the browser SDK refused or failed: the closed set of codes that a page may act on. */
export const PASSKEY_ERROR_CODES = {
  unsupported: 'The browser has no passkeys or no Ed25519 here, or the page is not a secure context.',
  option_refused: 'An option is missing, malformed, or would change whom the SDK dials or what it signs.',
  url_refused: 'The address is not ws:// or wss:// of a host and port, or is not one that this connection was given.',
  plaintext_refused: 'The address is ws:// and not on this machine: use wss://.',
  server_unreachable: 'The server could not be reached, or closed the connection too early.',
  info_timeout: 'The server did not introduce itself in time.',
  info_refused: 'What the server introduced itself with is oversized, or not the INFO of a NATS server.',
  nonce_missing: 'The server sent no nonce, so there is nothing to prove.',
  nonce_refused: 'The server sent a nonce that is not 1 to 64 printable ASCII characters.',
  cancelled: 'Nobody tapped: the person dismissed the question, let it run out, or has no passkey here. Browsers do not say which.',
  not_allowed: 'The browser does not let this page use that relying party.',
  ceremony_failed: 'The browser or the authenticator failed in the ceremony.',
  interrupted: 'The server closed the connection before the tap was done: its time for authentication may be shorter than tapSeconds.',
  session_over: 'The session is over, and nobody may be asked for a tap.',
  server_refused: 'The tap was refused. The reason is in the audit trail.',
  no_answer: 'The tap was neither accepted nor refused: nobody seems to answer for the server.',
  closed: 'The program ended it.',
} as const

/** What went wrong, for programs. */
export type PasskeyErrorCode = keyof typeof PASSKEY_ERROR_CODES

/** Every error that the SDK itself makes. Messages name what failed and never hold keys, nonces or signatures. */
export class PasskeyError extends Error {
  override readonly name = 'PasskeyError'
  readonly code: PasskeyErrorCode

  constructor(code: PasskeyErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options)
    this.code = code
  }
}
