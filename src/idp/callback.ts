/** What the browser brings back from a provider (RFC 6749 §4.1.2, RFC 9207), judged before anything is sent. */
import type { IdpSecrets } from '../core/people/people.ts'
import { accepted, type Judged, loginRefused } from '../core/refusal.ts'

const codeCharsMax = 4_096

/** Error codes that may be repeated: RFC 6749 §4.1.2.1 and §5.2, OIDC Core §3.1.2.6, OIDC Unmet Authentication Requirements. */
const REGISTERED_ERRORS: ReadonlySet<string> = new Set([
  'access_denied',
  'account_selection_required',
  'consent_required',
  'interaction_required',
  'invalid_client',
  'invalid_grant',
  'invalid_request',
  'invalid_request_object',
  'invalid_request_uri',
  'invalid_scope',
  'login_required',
  'registration_not_supported',
  'request_not_supported',
  'request_uri_not_supported',
  'server_error',
  'temporarily_unavailable',
  'unauthorized_client',
  'unmet_authentication_requirements',
  'unsupported_grant_type',
  'unsupported_response_type',
])

/** `error` where it is a registered code, else null: nothing else of it may be repeated. */
export function registeredError(error: unknown): string | null {
  return typeof error === 'string' && REGISTERED_ERRORS.has(error) ? error : null
}

/** The authorization code. `metadata`: whose answer it must be. */
export function readCallback(
  callback: URLSearchParams,
  secrets: Pick<IdpSecrets, 'state'>,
  metadata: { issuer: string; authorization_response_iss_parameter_supported?: unknown },
): Judged<string> {
  // RFC 6749 §3.1: no parameter twice.
  if (new Set(callback.keys()).size !== callback.size) return loginRefused('code_refused', 'parameter_repeated')
  if (callback.get('state') !== secrets.state) return loginRefused('request_mismatch', 'state')
  // RFC 9207 §2.4: against mix-up, before anything else of the answer is believed.
  const issuer = callback.get('iss')
  const mustName = metadata.authorization_response_iss_parameter_supported === true
  if (issuer === null ? mustName : issuer !== metadata.issuer) return loginRefused('issuer_mismatch', 'callback')
  if (callback.has('error')) return loginRefused('provider_refused', registeredError(callback.get('error')))
  // Not what was asked for: tokens never travel through a browser.
  if (['id_token', 'access_token', 'token', 'response'].some((name) => callback.has(name)))
    return loginRefused('code_refused', 'response_type')
  const code = callback.get('code') ?? ''
  if (code === '' || code.length > codeCharsMax) return loginRefused('code_refused', 'code_missing')
  return accepted(code)
}
