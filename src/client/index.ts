/** The client SDK: `nats-webauthn/client` (docs/client.md). */
export {
  type Credentials,
  type NatsConnectionLike,
  type SessionMode,
  type SignerOptions,
  type WebAuthnAuthenticator,
  webauthnAuthenticator,
} from './authenticator.ts'
export { CLIENT_ERROR_CODES, type ClientErrorCode, WebAuthnClientError } from './client-error.ts'
export { type Connect, connections, connectWithWebAuthn } from './connect.ts'
export { type ConnectionOptions, type ConnectionRequest, connectionOptions, type NatsOptions } from './connection-options.ts'
export { type EnrolOptions, enrolMachine } from './enrol.ts'
export {
  completeKeyFile,
  createKeyFile,
  type Enrolled,
  type EnrolledKeyFile,
  loadKeyFile,
  loadPendingKey,
  type MachineKey,
  parseKeyFile,
} from './key-file.ts'
export { createSessionKey, type SessionKey, sessionKeyFromSeed } from './session-key.ts'
export {
  endSession,
  type OpenSessionRequest,
  requestSession,
  type SessionRequestOptions,
  type TerminalSession,
} from './session-request.ts'
export {
  type AuthenticationResponseJSON,
  type CeremonyOptions,
  createAssertion,
  createRegistration,
  type FileKey,
  fileKeyFromPkcs8,
  generateFileKey,
  type RegistrationResponseJSON,
  type SigningAlgorithm,
  type SigningKey,
} from './software-authenticator.ts'
export type { TlsTrust, VerifiedTls } from './verified-tls.ts'
