/** The browser SDK: `nats-webauthn/browser` (docs/browser.md). */
export type { TapReason } from './attempts.ts'
export { connectWithPasskey, type NatsOptions, type PasskeyRequest } from './connect.ts'
export type { OnTapNeeded } from './dialler.ts'
export { PASSKEY_ERROR_CODES, PasskeyError, type PasskeyErrorCode } from './passkey-error.ts'
export { webSocketUrl, webSocketUrls } from './servers.ts'
