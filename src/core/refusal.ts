/**
 * Every way to refuse something that is asked over HTTP. A test proves that these rows, the reasons of audit-event.ts and
 * docs/refusals.md are the same sets.
 */
import type { LIFECYCLE } from './audit-event.ts'

export type RefusalArea = 'enrolment' | 'login' | 'credential' | 'session'
type Reasons<A extends RefusalArea> = (typeof LIFECYCLE)[A]['refused'][number]

/** Why, and which check: `check` is from a closed set and holds nothing of what was sent. */
export type Refusal = { [A in RefusalArea]: { area: A; reason: Reasons<A>; check: string | null } }[RefusalArea]

export type Judged<T> = { ok: true; value: T } | { ok: false; refusal: Refusal }

export type EnrolmentReason = Reasons<'enrolment'>
export type LoginReason = Reasons<'login'>
export type SessionReason = Reasons<'session'>

export function accepted<T>(value: T): Judged<T> {
  return { ok: true, value }
}

/** A refused enrolment. */
export function refused(reason: EnrolmentReason, check: string | null): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { area: 'enrolment', reason, check } }
}

export function loginRefused(reason: LoginReason, check: string | null = null): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { area: 'login', reason, check } }
}

export function sessionRefused(reason: SessionReason, check: string | null = null): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { area: 'session', reason, check } }
}

export function credentialRefused(reason: Reasons<'credential'>): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { area: 'credential', reason, check: null } }
}

export interface RefusalRow {
  status: number
  /** What the client sees. Reasons that would tell a stranger who or what exists share one. */
  code: string
  /** Fixed sentence for the client. */
  message: string
  /** One sentence for the audit record and the docs. */
  doc: string
}

const ticketInvalid = { status: 403, code: 'ticket_invalid', message: 'The ticket is not valid. Ask for a new one.' } as const
const loginRequired = { status: 401, code: 'login_required', message: 'Sign in first.' } as const
const signinExpired = {
  status: 409,
  code: 'signin_expired',
  message: 'Signing in took too long, or was begun in another browser. Begin again.',
} as const
const signinFailed = {
  status: 403,
  code: 'signin_failed',
  message: "The identity provider's answer could not be accepted. Ask your administrator.",
} as const
const passkeyRefused = { status: 403, code: 'passkey_refused', message: 'This passkey cannot be used here.' } as const
const requestGone = { status: 409, code: 'request_gone', message: 'The request is no longer open. Begin again in the terminal.' } as const

// biome-ignore format: the registry is read as a table.
export const REFUSALS = {
  enrolment: {
    request_malformed: { status: 400, code: 'request_malformed', message: 'The request is not one that this service reads.', doc: 'The HTTP request is not well formed, too large, for another host, or from another site.' },
    rate_limited: { status: 429, code: 'rate_limited', message: 'Too many requests. Wait.', doc: 'The source sent more requests than one source may, or the ticket or person began more registrations than one may.' },
    ticket_unknown: { ...ticketInvalid, doc: 'No such ticket was issued.' },
    ticket_used: { ...ticketInvalid, doc: 'The ticket was used before.' },
    ticket_expired: { ...ticketInvalid, doc: 'The ticket is past its expiry.' },
    ticket_revoked: { ...ticketInvalid, doc: 'The ticket was taken back.' },
    ticket_wrong_class: { ...ticketInvalid, doc: 'A machine used a person\'s ticket, or a person a machine\'s.' },
    person_enrolment_unavailable: { status: 403, code: 'person_enrolment_unavailable', message: 'This service does not enrol people.', doc: 'Somebody was invited, or came, as a person, and this verifier has no relying party for people.' },
    identity_disabled: { status: 403, code: 'identity_disabled', message: 'The identity is disabled.', doc: 'The identity is disabled.' },
    handle_taken: { status: 409, code: 'handle_taken', message: 'The name belongs to another identity.', doc: 'The ticket\'s handle belongs to another identity.' },
    ceremony_invalid: { status: 409, code: 'ceremony_invalid', message: 'The ceremony is not valid. Begin again.', doc: 'The ceremony is unknown, used, expired, or was begun for something else.' },
    registration_invalid: { status: 422, code: 'registration_invalid', message: 'The registration is not acceptable.', doc: 'The registration response failed a check of WebAuthn L3 §7.1, or of the machine profile.' },
    credential_taken: { status: 409, code: 'credential_taken', message: 'The credential id is taken.', doc: 'A credential with this id is or was registered.' },
    possession_invalid: { status: 422, code: 'possession_invalid', message: 'The assertion does not prove possession of the key.', doc: 'The assertion that must follow the registration was refused.' },
    devices_full: { status: 409, code: 'devices_full', message: 'You have as many devices as one person may. Remove one first.', doc: 'The person has as many devices in force as the policy allows.' },
    step_up_required: { status: 403, code: 'step_up_required', message: 'Sign in again, or tap a device that is enrolled, before you change your devices.', doc: 'The login is not fresh enough for a device, or the policy wants a tap of one that is enrolled before one is added or removed.' },
    device_refused: { status: 422, code: 'device_refused', message: 'This kind of device is not accepted for your roles.', doc: 'The device does not meet the enrolment policy, or none of the person\'s roles admits it; the check says which demand.' },
  },
  login: {
    login_missing: { ...loginRequired, doc: 'The request carries no login cookie.' },
    login_unknown: { ...loginRequired, doc: 'The login cookie is not one that was given out.' },
    login_ended: { ...loginRequired, doc: 'The login was ended: its cookie was used after signing out.' },
    login_expired: { ...loginRequired, doc: 'The login is past its time.' },
    provider_unknown: { status: 404, code: 'provider_unknown', message: 'There is no such identity provider.', doc: 'The named identity provider is not configured.' },
    provider_unavailable: { status: 503, code: 'provider_unavailable', message: 'The identity provider does not answer. Try again later.', doc: 'The identity provider could not be reached, or its metadata or keys could not be read.' },
    provider_refused: { status: 403, code: 'provider_refused', message: 'The identity provider did not sign you in.', doc: 'The identity provider came back with an error; the check is its OAuth error code, where that is a registered one.' },
    request_unknown: { ...signinExpired, doc: 'The callback belongs to no redirect of this service.' },
    request_used: { ...signinExpired, doc: 'The callback was used before: a replay.' },
    request_expired: { ...signinExpired, doc: 'The person came back from the identity provider too late.' },
    request_mismatch: { ...signinExpired, doc: 'The callback came to another browser than the one that was sent away: login forgery, or cookies are blocked.' },
    code_refused: { ...signinFailed, doc: 'The identity provider did not exchange the authorization code.' },
    token_malformed: { ...signinFailed, doc: 'The ID token is missing, too large, or no signed JWT.' },
    algorithm_refused: { ...signinFailed, doc: 'The ID token is signed with an algorithm that is not allowed, such as none.' },
    key_unknown: { ...signinFailed, doc: 'The provider publishes no key with the ID token\'s kid, also after its keys were fetched again.' },
    signature_invalid: { ...signinFailed, doc: 'The ID token\'s signature is not the provider\'s.' },
    issuer_mismatch: { ...signinFailed, doc: 'The ID token, or the callback\'s iss, names another issuer.' },
    audience_mismatch: { ...signinFailed, doc: 'The ID token is for another client, or for others as well.' },
    azp_mismatch: { ...signinFailed, doc: 'The ID token was issued to another authorized party.' },
    token_expired: { ...signinFailed, doc: 'The ID token is expired.' },
    token_not_yet_valid: { ...signinFailed, doc: 'The ID token is from the future.' },
    nonce_mismatch: { ...signinFailed, doc: 'The ID token was issued for another redirect.' },
    auth_time_missing: { ...signinFailed, doc: 'The provider does not say when the person authenticated, although it was asked to.' },
    auth_time_stale: { status: 403, code: 'signin_stale', message: 'Sign in at the identity provider again.', doc: 'The person authenticated at the provider longer ago than is allowed.' },
    acr_unmet: { status: 403, code: 'signin_too_weak', message: 'Sign in at the identity provider with a stronger method.', doc: 'The authentication context (acr) is not one that the configuration demands.' },
    amr_unmet: { status: 403, code: 'signin_too_weak', message: 'Sign in at the identity provider with a stronger method.', doc: 'The authentication methods (amr) lack one that the configuration demands.' },
    subject_malformed: { ...signinFailed, doc: 'The sub claim is missing, too long, or not plain text, or userinfo is about somebody else.' },
    groups_overage: { status: 403, code: 'groups_overage', message: 'You are in too many groups for the identity provider to list them. Ask your administrator.', doc: 'The provider left the groups out because there are too many (Entra\'s overage, Okta\'s limit): missing groups never mean no restriction.' },
    role_claim_malformed: { ...signinFailed, doc: 'The role claim is neither text nor a list of text, or too long.' },
    claim_malformed: { ...signinFailed, doc: 'A claim that templates use is not short, plain text.' },
    roles_none: { status: 403, code: 'roles_none', message: 'You have no role here. Ask your administrator.', doc: 'No value of the role claim is mapped to a role of the policy.' },
    handle_unavailable: { ...signinFailed, doc: 'No free handle could be made for a new person.' },
    identity_disabled: { status: 403, code: 'identity_disabled', message: 'Your access is disabled. Ask your administrator.', doc: 'The identity is disabled.' },
    ceremony_invalid: { status: 409, code: 'ceremony_invalid', message: 'The ceremony is not valid. Begin again.', doc: 'The ceremony is unknown, used, expired, or was begun for something else.' },
    passkey_unknown: { ...passkeyRefused, doc: 'No credential in force has this id.' },
    passkey_invalid: { ...passkeyRefused, doc: 'The assertion was refused; the check says why.' },
  },
  credential: {
    unknown: { status: 404, code: 'unknown', message: 'There is nothing by that id.', doc: 'There is no such credential, or it is not the person\'s.' },
    conflict: { status: 409, code: 'conflict', message: 'Its state does not allow that.', doc: 'The credential\'s state does not allow that.' },
  },
  session: {
    unknown: { status: 404, code: 'unknown', message: 'There is nothing by that id.', doc: 'There is no such session, or it is not the person\'s.' },
    conflict: { status: 409, code: 'conflict', message: 'Its state does not allow that.', doc: 'The session\'s state does not allow that.' },
    request_unknown: { ...requestGone, doc: 'No terminal asked for that, or the code is wrong.' },
    request_used: { ...requestGone, doc: 'The terminal\'s request was endorsed or refused before.' },
    request_expired: { ...requestGone, doc: 'The terminal\'s request is past its time.' },
    refused_by_person: { ...requestGone, doc: 'The person said no.' },
    possession_invalid: { status: 422, code: 'possession_invalid', message: 'The nkey did not sign this request.', doc: 'The terminal\'s nkey did not sign, so nobody else\'s key can be endorsed.' },
    assertion_invalid: { ...passkeyRefused, doc: 'The tap that was to endorse the session was refused; the check says why.' },
    roles_insufficient: { status: 403, code: 'roles_insufficient', message: 'None of your roles may be used that way.', doc: 'The person holds no role whose requirements the device meets; the check is the denial.' },
    plain_session_refused: { status: 403, code: 'plain_session_refused', message: 'Your roles do not allow sessions for other clients.', doc: 'A role of the person does not allow plain sessions.' },
    code_refused: { status: 403, code: 'code_refused', message: 'None of your roles may be endorsed by a code. Use a terminal with a browser.', doc: 'No role of the person allows login_by_code.' },
    session_time_zero: { status: 403, code: 'session_time_zero', message: 'Your roles demand a tap for each connection.', doc: 'A role of the person has session time 0.' },
    endorsement_refused: { status: 409, code: 'endorsement_refused', message: 'This key cannot be endorsed. Begin again.', doc: 'The nkey serves another credential, or was revoked.' },
    completion_invalid: { ...requestGone, doc: 'The code with which the terminal completes the session is wrong: it did not come from the browser that tapped.' },
  },
} as const satisfies { [A in RefusalArea]: Record<Reasons<A>, RefusalRow> }

/** The row of a refusal. */
export function refusalRow(refusal: Refusal): RefusalRow {
  const rows: Partial<Record<string, RefusalRow>> = REFUSALS[refusal.area]
  const row = rows[refusal.reason]
  if (row === undefined) throw new Error('looking up a refusal: no such reason')
  return row
}
