/** The browser's two ceremonies: making a passkey and signing with one, with every way they fail as a code. */
import {
  type AuthenticationResponseJSON,
  browserSupportsWebAuthn,
  browserSupportsWebAuthnAutofill,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  type RegistrationResponseJSON,
  startAuthentication,
  startRegistration,
  WebAuthnAbortService,
  WebAuthnError,
} from '@simplewebauthn/browser'
import { type BrowserCode, done, failed, type Outcome } from './failure.ts'

/** Why no ceremony can work in this browser; null when one can. */
export function obstacle(): BrowserCode | null {
  if (!window.isSecureContext) return 'insecure_page'
  return browserSupportsWebAuthn() ? null : 'unsupported_browser'
}

/** Makes a passkey. */
export function makePasskey(options: PublicKeyCredentialCreationOptionsJSON): Promise<Outcome<RegistrationResponseJSON>> {
  return attempt(options.timeout, () => startRegistration({ optionsJSON: options }))
}

/** Signs with a passkey, in a dialog of the browser. */
export function signWithPasskey(options: PublicKeyCredentialRequestOptionsJSON): Promise<Outcome<AuthenticationResponseJSON>> {
  return attempt(options.timeout, () => startAuthentication({ optionsJSON: options }))
}

/** Whether passkeys can be offered where a user name would be typed. */
export async function canOfferInField(): Promise<boolean> {
  return obstacle() === null && (await browserSupportsWebAuthnAutofill())
}

/** Waits until a passkey is chosen in the field; null when that ends in any other way: nobody asked for it. */
export async function offerInField(options: PublicKeyCredentialRequestOptionsJSON): Promise<AuthenticationResponseJSON | null> {
  // A browser has one ceremony at a time: an offer that comes late must not take a dialog off the screen.
  if (dialogs > 0) return null
  try {
    return await startAuthentication({ optionsJSON: options, useBrowserAutofill: true })
  } catch {
    return null
  }
}

/** Ends the ceremony that waits, in the field or in a dialog. */
export function endCeremony(): void {
  WebAuthnAbortService.cancelCeremony()
}

async function attempt<T>(timeoutMs: number | undefined, ceremony: () => Promise<T>): Promise<Outcome<T>> {
  const blocked = obstacle()
  if (blocked !== null) return failed(blocked)
  const begunAt = performance.now()
  dialogs++
  try {
    return done(await ceremony())
  } catch (error) {
    // To keep what a person did private, cancelling and waiting too long are one error; only the clock tells them apart.
    const overdue = timeoutMs !== undefined && performance.now() - begunAt >= timeoutMs - timeoutSlackMs
    return failed(codeOf(error, { overdue }))
  } finally {
    dialogs--
  }
}

/** Ceremonies that ask in a dialog just now. */
let dialogs = 0

const timeoutSlackMs = 500

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

/** WebAuthn L3 §5.1.3 and §5.1.4: what the errors of create() and get() mean. */
function codeOf(error: unknown, { overdue }: { overdue: boolean }): BrowserCode {
  if (error instanceof WebAuthnError && error.code === 'ERROR_AUTHENTICATOR_MISSING_USER_VERIFICATION_SUPPORT')
    return 'verification_impossible'
  switch (nameOf(error)) {
    case 'NotAllowedError':
      return overdue ? 'timed_out' : 'cancelled'
    case 'AbortError':
      return 'cancelled'
    case 'InvalidStateError':
      return 'already_enrolled'
    case 'SecurityError':
      return 'wrong_domain'
    case 'NotSupportedError':
    case 'ConstraintError':
      return 'device_unsuitable'
    case 'UnknownError':
    case 'NotReadableError':
      return 'device_failed'
    default:
      return 'unexpected'
  }
}
