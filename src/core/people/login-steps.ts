/**
 * Signing in and out, top to bottom: by an identity provider, by an invitation, by a passkey (docs/signing-in.md). A login is
 * a record and a cookie; whoever signs in gets a new one, so nobody can plant theirs.
 */
import { generateAuthenticationOptions, type PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import { ceremonySeconds, challengeOf, issueCeremony, takeCeremony } from '../enrolment/ceremony.ts'
import { judgeTicket, ticketId } from '../enrolment/enrolment.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { credentialKey } from '../identifiers.ts'
import type { IdentityRecord, IdpRequestRecord, LoginRecord, Stored } from '../records.ts'
import { accepted, type Judged, loginRefused, refused } from '../refusal.ts'
import { checkCredentialState } from '../webauthn/credential.ts'
import { readClaims } from './claim-mapping.ts'
import { requiresUserVerification } from './device-policy.ts'
import {
  cookieBytes,
  cookieText,
  idpRequestId,
  idpRequestSeconds,
  idpSecretsOf,
  judgeIdpRequest,
  judgeLogin,
  loginIdOf,
  newLogin,
  stateOf,
} from './login.ts'
import { type Entry, type LoginEnd, loginEndedEvent, loginEvent } from './login-events.ts'
import type { IdpSecrets, IdpStatement, PeopleWorld, SignedIn } from './people.ts'
import { identifyByClaims, identifyByTicket } from './person-identity.ts'
import { verifyTap } from './person-tap.ts'

/** What the browser keeps: the only copy of the login's secret. */
export interface NewLogin {
  cookie: string
}

const strangers = { ticket: null, login: null }

/** Sends the browser to an identity provider. `cookie` binds what comes back to this browser, and is all there is of its secrets. */
export async function beginIdpLogin(
  { provider, fresh, loginCookie }: { provider: string; fresh: boolean; loginCookie: string | null },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ url: string; cookie: string }>> {
  if (world.rules.person === null) return refused('person_enrolment_unavailable', null)
  const cookie = cookieText(occasion.random(cookieBytes))
  const secrets = idpSecretsOf(cookie) as IdpSecrets
  const url = await world.idp.begin(provider, secrets, { fresh })
  if (!url.ok) return url
  const request: IdpRequestRecord = {
    v: 1,
    id: idpRequestId(secrets.state),
    provider,
    fresh,
    // A browser that comes back from another site does not show its login: SameSite=Strict.
    earlier: loginIdOf(loginCookie),
    expiresAt: occasion.now.getTime() + idpRequestSeconds * 1000,
    state: 'issued',
  }
  if (!(await world.idpRequests.create(request.id, request))) throw new Error('beginning a login: its random state is taken')
  return accepted({ url: url.value.href, cookie })
}

/** The browser is back: once, in the browser that left, with a statement of the provider that it left for. */
export async function finishIdpLogin(
  { idpCookie, loginCookie, query }: { idpCookie: string | null; loginCookie: string | null; query: URLSearchParams },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<NewLogin>> {
  const state = stateOf(query)
  const stored = state === null ? null : await world.idpRequests.find(idpRequestId(state))
  const secrets = judgeIdpRequest(stored?.record ?? null, { cookie: idpCookie, now: occasion.now })
  if (!secrets.ok) return secrets
  const request = stored as Stored<IdpRequestRecord>
  // Of two callbacks exactly one gets past this write.
  if (!(await world.idpRequests.replace(request.record.id, request, { ...request.record, state: 'used' })))
    return loginRefused('request_used')

  const { provider, fresh } = request.record
  const mapping = world.idp.list().find(({ name }) => name === provider)?.mapping
  if (mapping === undefined) return loginRefused('provider_unknown')
  const statement = await world.idp.finish(provider, secrets.value, query, { fresh })
  if (!statement.ok) return statement
  const claims = readClaims(statement.value, mapping)
  if (!claims.ok) return claims
  const identity = await identifyByClaims(statement.value, claims.value, occasion, world)
  if (!identity.ok) return identity
  const authenticatedAt = authenticatedBy(statement.value, occasion)
  const about = { how: 'idp', provider, ticket: null, authenticatedAt, tapped: null } as const
  const earlier = [request.record.earlier, loginIdOf(loginCookie)]
  return beginLogin(identity.value, about, { entry: { how: 'idp', provider }, earlier }, occasion, world)
}

/** When the person authenticated; the clock of a provider may be ahead of ours, but a time to come is no time. */
function authenticatedBy({ authenticatedAt }: IdpStatement, { now }: Occasion): number | null {
  return authenticatedAt === null ? null : Math.min(authenticatedAt, now.getTime())
}

/** An invitation is a login, as often as its person needs it; it is spent when a device is enrolled. */
export async function loginWithTicket(
  { ticket, loginCookie }: { ticket: string; loginCookie: string | null },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<NewLogin>> {
  const stored = await world.tickets.find(ticketId(ticket))
  occasion.known.ticket = stored?.record ?? null
  const judged = judgeTicket(stored?.record ?? null, occasion.now)
  if (!judged.ok) return judged
  const { id, invitedBy } = judged.value
  if (judged.value.class !== 'person') return refused('ticket_wrong_class', null)
  if (world.rules.person === null) return refused('person_enrolment_unavailable', null)
  const identity = await identifyByTicket(judged.value, occasion, world)
  if (!identity.ok) return identity
  occasion.known.handle = identity.value.handle
  const about = { how: 'invitation', provider: null, ticket: id, authenticatedAt: null, tapped: null } as const
  const entry = { how: 'invitation', invitedBy, ticket: id } as const
  return beginLogin(identity.value, about, { entry, earlier: [loginIdOf(loginCookie)] }, occasion, world)
}

/** Bytes for a stranger to sign with a passkey that says whose it is: no credential is listed, so none is given away. */
export async function beginPasskeyLogin(
  _request: Record<never, never>,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ ceremony: string; options: PublicKeyCredentialRequestOptionsJSON }>> {
  const { person } = world.rules
  if (person === null) return refused('person_enrolment_unavailable', null)
  const ceremony = await issueCeremony(world.signins, { purpose: 'signin', subject: '', owner: strangers }, occasion)
  const options = await generateAuthenticationOptions({
    rpID: person.rpId,
    challenge: Uint8Array.from(challengeOf(ceremony, world.origin)),
    timeout: ceremonySeconds * 1000,
    userVerification: person.requireUserVerification ? 'required' : 'preferred',
  })
  return accepted({ ceremony: ceremony.id, options })
}

/** The tap is the login. What is wrong with it stays between the verifier and its records. */
export async function finishPasskeyLogin(
  request: { ceremony: string; response: unknown; loginCookie: string | null },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<NewLogin>> {
  const { person } = world.rules
  if (person === null) return refused('person_enrolment_unavailable', null)
  const taken = await takeCeremony(world.signins, request.ceremony, { purpose: 'signin', owner: strangers, now: occasion.now })
  if (!taken.ok) return loginRefused('ceremony_invalid', taken.check)
  const tap = await verifyTap(request.response, challengeOf(taken.value, world.origin), occasion, world)
  if (!tap.ok) return loginRefused(tap.known ? 'passkey_invalid' : 'passkey_unknown', tap.denial)
  const { credential, verified } = tap.value
  const identity = await world.identities.findOnLeader(credential.record.handle)
  if (identity === null) return loginRefused('passkey_unknown', 'identity_unknown')
  if (identity.record.state !== 'active') return loginRefused('identity_disabled')
  // Such a login enrols devices, which would then give what the tapped one does not without its owner.
  const mustVerify = requiresUserVerification(identity.record, world.policy(), person)
  if (mustVerify && !verified.userVerified) return loginRefused('passkey_invalid', 'user_not_verified')
  const now = occasion.now.getTime()
  const tapped = { credential: credentialKey(credential.record.id), at: now }
  const about = { how: 'passkey', provider: null, ticket: null, authenticatedAt: now, tapped } as const
  const entry = { how: 'passkey', userVerified: verified.userVerified } as const
  return beginLogin(identity.record, about, { entry, earlier: [loginIdOf(request.loginCookie)] }, occasion, world)
}

/** Who holds this cookie: the login and its identity, both in force now. What every step behind the cookie starts from. */
export async function signedIn(cookie: string | null, occasion: Occasion, world: PeopleWorld): Promise<Judged<SignedIn>> {
  if (cookie === null) return loginRefused('login_missing')
  const id = loginIdOf(cookie)
  const stored = id === null ? null : await world.logins.find(id)
  occasion.known.handle = stored?.record.handle ?? null
  const judged = judgeLogin(stored?.record ?? null, occasion.now)
  if (!judged.ok) return judged
  const identity = await world.identities.findOnLeader(judged.value.handle)
  if (identity === null || identity.record.class !== 'person') return loginRefused('login_unknown', 'identity_unknown')
  if (identity.record.state !== 'active') return loginRefused('identity_disabled')
  const standing = await standingOf(judged.value, occasion, world)
  if (!standing.ok) return standing
  return accepted({ login: { record: standing.value, revision: (stored as Stored<LoginRecord>).revision }, identity })
}

/** Signs out. A copy of the cookie is worth nothing from then on; to sign out twice is no error. */
export async function endLogin(cookie: string | null, occasion: Occasion, world: PeopleWorld): Promise<Judged<null>> {
  const ended = await end(loginIdOf(cookie), 'signed_out', occasion, world)
  occasion.known.handle = ended?.handle ?? null
  return accepted(null)
}

/** A login never outlives what it was made with: the invitation may be taken back, the passkey stolen and revoked. */
async function standingOf(login: LoginRecord, { now }: Occasion, world: PeopleWorld): Promise<Judged<LoginRecord>> {
  // The login that spent its invitation no longer names it; those of others who had the link end with it.
  const ticket = login.ticket === null ? null : ((await world.tickets.find(login.ticket))?.record ?? null)
  if (ticket?.state === 'revoked') return refused('ticket_revoked', null)
  if (ticket?.state === 'used') return refused('ticket_used', null)
  if (login.tapped === null) return accepted(login)
  const tapped = checkCredentialState(await world.credentials.find(login.tapped.credential), now)
  if (tapped.ok) return accepted(login)
  return login.how === 'passkey' ? loginRefused('login_ended', tapped.denial) : accepted({ ...login, tapped: null })
}

/** The last step of every way in: the earlier login of this browser ends, the new one is on record, then it is in force. */
async function beginLogin(
  identity: IdentityRecord,
  about: Pick<LoginRecord, 'how' | 'provider' | 'ticket' | 'authenticatedAt' | 'tapped'>,
  { entry, earlier }: { entry: Entry; earlier: readonly (string | null)[] },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<NewLogin>> {
  for (const id of new Set(earlier)) await end(id, 'signed_in_again', occasion, world)
  const cookie = cookieText(occasion.random(cookieBytes))
  const login = newLogin(loginIdOf(cookie) as string, { ...about, handle: identity.handle }, occasion.now)
  await world.lifecycle.record(loginEvent(login, identity, { entry, occasion }))
  if (!(await world.logins.create(login.id, login))) throw new Error('beginning a login: its random cookie is taken')
  return accepted({ cookie })
}

/** Ends the login, if it is one in force: on record first. What was ended. */
async function end(id: string | null, because: LoginEnd, occasion: Occasion, world: PeopleWorld): Promise<LoginRecord | null> {
  let current = id === null ? null : await world.logins.find(id)
  if (id === null || current === null || !judgeLogin(current.record, occasion.now).ok) return null
  const ended: LoginRecord = { ...current.record, state: 'ended' }
  await world.lifecycle.record(loginEndedEvent(current.record, because, occasion))
  // Only a tap writes a login that is in force, so this ends soon.
  while (current !== null && current.record.state === 'active') {
    if (await world.logins.replace(id, current, { ...current.record, state: 'ended' })) break
    current = await world.logins.find(id)
  }
  return ended
}
