/**
 * What people read when something does not work: what happened, and what to do about it. Every code has its words; a
 * test holds that against the registry of refusals.
 */
import type { BrowserCode, Failure, ServiceCode } from './failure.ts'

export interface Words {
  title: string
  text: string
}

// biome-ignore format: the words are read as a table.
const SERVICE: Readonly<Record<ServiceCode, Words>> = {
  request_malformed: { title: 'That request was not understood', text: 'Reload this page and try again. If it keeps happening, tell your administrator.' },
  rate_limited: { title: 'Too many attempts', text: 'Wait a minute, then try again.' },
  ticket_invalid: { title: 'This invitation is no longer good', text: 'It may be used, expired or withdrawn, or the link was cut. Ask your administrator for a new one.' },
  person_enrolment_unavailable: { title: 'People cannot enrol here', text: 'This service is set up for machines only. Ask your administrator.' },
  identity_disabled: { title: 'Your access is switched off', text: 'Your administrator switched it off. Only they can switch it on again.' },
  handle_taken: { title: 'That name is taken', text: 'The invitation is for a name that belongs to somebody else. Ask your administrator for a new one.' },
  ceremony_invalid: { title: 'That took too long', text: 'The step was open for more than five minutes, or was done already. Begin it again.' },
  registration_invalid: { title: 'The new passkey was not accepted', text: 'What your device sent is not a registration that this service takes. Try again, or use another device or passkey manager.' },
  credential_taken: { title: 'This passkey is known already', text: 'It was enrolled before, by you or by somebody else. Make a new one on another device or in another passkey manager.' },
  possession_invalid: { title: 'The passkey did not prove itself', text: 'The new passkey has to sign once before it counts, and its signature was not accepted. Nothing was enrolled; begin again.' },
  devices_full: { title: 'You have as many devices as you may', text: 'Remove one that you no longer use, then enrol this one.' },
  step_up_required: { title: 'Show that it is you first', text: 'To add or remove a device, sign in again now with a device that you enrolled before. Where your organisation allows it, signing in at your identity provider does as well.' },
  device_refused: { title: 'This kind of device is not accepted', text: 'Your organisation’s rules do not take it. Use another device, or ask your administrator which ones they take.' },
  login_required: { title: 'You are no longer signed in', text: 'Sign in again: you come back to where you were.' },
  provider_unknown: { title: 'That way to sign in is gone', text: 'This service no longer uses that identity provider. Choose another one.' },
  provider_unavailable: { title: 'Your identity provider does not answer', text: 'Nothing is wrong on your side. Try again in a few minutes.' },
  provider_refused: { title: 'Your identity provider did not sign you in', text: 'You may have cancelled there, or may not be allowed to use this application. Try again, or ask your administrator.' },
  signin_expired: { title: 'Signing in took too long', text: 'It was open for too long, was finished already, or was begun in another browser or without cookies. Begin again here.' },
  signin_failed: { title: 'Signing in did not work', text: 'The answer of your identity provider could not be accepted. Try once more; then tell your administrator.' },
  signin_stale: { title: 'Sign in at your identity provider again', text: 'You signed in there too long ago for what you want to do. Sign out there, or try again and enter your password.' },
  signin_too_weak: { title: 'A stronger sign-in is needed', text: 'Sign in at your identity provider with a second factor or a passkey, then come back.' },
  groups_overage: { title: 'You are in too many groups', text: 'Your identity provider cannot list them all, so your roles here are unknown. Ask your administrator.' },
  roles_none: { title: 'You have no role here yet', text: 'You signed in, but none of your groups gives access to this service. Ask your administrator.' },
  passkey_refused: { title: 'This passkey cannot be used here', text: 'It may have been removed, or it is for another account. Choose another passkey, or sign in another way.' },
  unknown: { title: 'It is no longer there', text: 'It was removed or ended already. The list is up to date now.' },
  conflict: { title: 'It changed in the meantime', text: 'Something else changed it while you looked at it. See how it is now and try again.' },
  request_gone: { title: 'The terminal’s request is no longer open', text: 'It was answered, it expired, or the code is wrong. Type the login command in your terminal again.' },
  roles_insufficient: { title: 'None of your roles can be used with this device', text: 'Your roles ask for more than this device shows. Look at your devices to see what is missing.' },
  plain_session_refused: { title: 'Your roles do not allow terminals', text: 'One of your roles may not be used by ordinary NATS clients. Use an application that taps by itself, or ask your administrator.' },
  code_refused: { title: 'None of your roles can be used by code', text: 'Type the login command on a machine that has a browser. Typing a code is possible only for roles that allow it.' },
  session_time_zero: { title: 'Your roles ask for a tap each time', text: 'They allow no session, so a terminal cannot be signed in for a while. Use an application that asks for a tap at each connection.' },
  endorsement_refused: { title: 'This terminal’s key cannot be used', text: 'Its key was used or revoked before. Type the login command in your terminal again.' },
  unavailable: { title: 'The service cannot do this now', text: 'It is starting, or something it needs is down. Try again in a minute.' },
  internal: { title: 'The service failed', text: 'This is not your fault. Try again; if it keeps happening, tell your administrator.' },
}

// biome-ignore format: the words are read as a table.
const BROWSER: Readonly<Record<BrowserCode, Words>> = {
  cancelled: { title: 'Nothing was signed', text: 'You cancelled, your device did not recognise you, or it holds no passkey that fits. Try again when you are ready.' },
  timed_out: { title: 'Your device waited too long', text: 'Nobody tapped it in time. Try again and follow what your browser or device asks for.' },
  already_enrolled: { title: 'This device is already enrolled', text: 'It holds a passkey for you already, so there is nothing to do. To add another one, choose another device or passkey manager.' },
  unsupported_browser: { title: 'This browser cannot use passkeys', text: 'Open this page in a current version of Chrome, Edge, Firefox or Safari.' },
  insecure_page: { title: 'This page was not opened securely', text: 'Passkeys work only over https. Open the address that your administrator gave you, beginning with https://.' },
  wrong_domain: { title: 'This page is at the wrong address', text: 'Passkeys for this service cannot be used at this address. Open the address that your administrator gave you.' },
  verification_impossible: { title: 'Your device cannot check that it is you', text: 'A PIN, fingerprint or face is needed. Set one up for this device or security key, or use another device.' },
  device_unsuitable: { title: 'This device cannot make such a passkey', text: 'It does not support what this service needs. Use another device, security key or passkey manager.' },
  device_failed: { title: 'Your device could not do it', text: 'The device or passkey manager reported a problem. Try again, or use another one.' },
  network: { title: 'No connection to the service', text: 'Check your network, then try again. Nothing was changed as far as this page knows.' },
  link_broken: { title: 'The link is not complete', text: 'A part of it is missing or changed. Copy the whole link, or type the code that your terminal shows.' },
  callback_refused: { title: 'This page did not go on', text: 'The service named an address that is not on your machine, so nothing was sent there. Tell your administrator.' },
  unexpected: { title: 'Something did not work', text: 'Try again. If it keeps happening, tell your administrator.' },
}

const ALL: Readonly<Record<string, Words>> = { ...BROWSER, ...SERVICE }

/** Whether this is a code that has words: what comes from a link or a server may be anything. */
export function isKnownCode(code: string): code is Failure['code'] {
  return Object.hasOwn(ALL, code)
}

/** The words for a failure. */
export function wordsFor({ code, check, waitSeconds }: Failure): Words {
  const { title, text } = ALL[code] ?? BROWSER.unexpected
  if (code === 'rate_limited' && waitSeconds !== null) return { title, text: `Wait ${waitSeconds} seconds, then try again.` }
  const demand = code === 'device_refused' && check !== null ? demandWords(check) : null
  return { title, text: demand === null ? text : `It needs ${demand}. Use another device, or ask your administrator.` }
}

// The requirements of policy.yaml and the checks of a refused device, as what a device or its use must have.
const DEMANDS: Readonly<Record<string, string>> = {
  class: 'to be a machine’s credential, not a person’s',
  user_verification: 'a PIN, fingerprint or face at each tap',
  device_bound: 'a passkey that cannot leave its device',
  aaguids: 'a model from your organisation’s list',
  attestation: 'a device that proves what model it is',
  approval: 'the approval of an administrator',
  login_by_code: 'a terminal with a browser, not a typed code',
  client_types: 'another kind of NATS client',
  source_cidrs: 'a connection from your organisation’s network',
  time_windows: 'use within the hours of the role',
  mds_revoked: 'another model: FIDO has withdrawn this one',
  mds_user_key_physical_compromise: 'another model: keys can be taken out of this one',
  mds_user_key_remote_compromise: 'another model: keys can be stolen from this one from afar',
  mds_user_verification_bypass: 'another model: this one can be used without its PIN or fingerprint',
  mds_attestation_key_compromise: 'another model: anybody can claim to be this one',
  roles: 'a role that you do not have',
}

/** What a requirement demands, in words that follow "needs"; null when this page does not know it. */
export function demandWords(requirement: string): string | null {
  return Object.hasOwn(DEMANDS, requirement) ? (DEMANDS[requirement] ?? null) : null
}
