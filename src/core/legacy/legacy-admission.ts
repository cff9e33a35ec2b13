/**
 * Report-only mode: whether a connection that the journey refused brings the credentials of a legacy user, and what that
 * gives it. It gives nothing to somebody who has neither, and nothing after the end of the migration (ADR-0018).
 */
import type { GrantFacts } from '../audit-event.ts'
import { type AuthorizationRequest, connectOptions, type IncomingRequest } from '../authorization-request.ts'
import { type Checked, denied, passed } from '../checked.ts'
import { type DenialReason, REPORTABLE } from '../denial.ts'
import { type LegacyName, parseNonce } from '../identifiers.ts'
import type { LegacyPort, SignaturePort, XkeyPort } from '../ports.ts'
import { readOffer } from '../proof.ts'
import type { GuardEntry } from '../records.ts'
import { verifyPlainResume } from '../session.ts'
import { sourceOf } from '../source-address.ts'
import { type UserClaims, userClaims } from '../user-claims.ts'
import type { LegacyKind, LegacyUser } from './legacy-users.ts'

// Longer than what bcrypt reads; what is cut here is refused there.
const secretCharsMax = 512
const nameCharsMax = 64
// Connections that were admitted together would otherwise end together.
const jitterShareMax = 0.1

/** What the journey said, when it had nothing to judge but what legacy users send as well: then their own refusal says more. */
const SAID_NOTHING: readonly DenialReason[] = ['sig_missing', 'session_unknown']

/** Whether report-only mode may admit in spite of `denial`: a flood stays shed, and one socket keeps one identity. */
export function isReportable(denial: DenialReason): boolean {
  return REPORTABLE.some((reason) => reason === denial)
}

/**
 * The legacy user whose credentials the connection brings, or why it stays refused: `denial`, or the refusal of the credentials.
 * `request` is what openRequest made of `incoming`.
 */
export async function judgeLegacy(
  { denial, request, incoming }: { denial: DenialReason; request: AuthorizationRequest; incoming: IncomingRequest },
  context: { legacy: LegacyPort; xkey: XkeyPort | null; signatures: SignaturePort; now: Date; msLeft: number },
): Promise<Checked<LegacyUser>> {
  const { legacy, now } = context
  const offer = legacyOffer(connectOptions(incoming, context.xkey))
  if (offer === null) return denied(denial)
  const judged = legacy.terms.untilMs <= now.getTime() ? denied('legacy_users_ended') : await judgeOffer(offer, request, context)
  if (judged === null) return denied(denial)
  return judged.ok || SAID_NOTHING.includes(denial) ? judged : denied(denial)
}

type LegacyOffer =
  | { kind: 'nkey'; nkey: string; sig: string }
  | { kind: 'password'; user: string; secret: string }
  | { kind: 'token'; secret: string }

/** In nats-server's own order: an nkey, a user with a password, a token. */
function legacyOffer(connect: Record<string, unknown>): LegacyOffer | null {
  const { nkey, sig, user, pass, auth_token: token } = connect
  if (isText(nkey) && isText(sig)) return withoutNkey(connect) ?? { kind: 'nkey', nkey, sig }
  if (isText(user) && isText(pass))
    return { kind: 'password', user: user.slice(0, nameCharsMax + 1), secret: pass.slice(0, secretCharsMax) }
  return isText(token) ? { kind: 'token', secret: token.slice(0, secretCharsMax) } : null
}

// An nkey is also part of a proof; whoever sends a password beside it is asked for the password.
function withoutNkey({ user, pass, auth_token }: Record<string, unknown>): LegacyOffer | null {
  return legacyOffer({ user, pass, auth_token })
}

/** Null: nothing of a legacy user's. */
async function judgeOffer(
  offer: LegacyOffer,
  request: AuthorizationRequest,
  { legacy, signatures, msLeft }: { legacy: LegacyPort; signatures: SignaturePort; msLeft: number },
): Promise<Checked<LegacyUser> | null> {
  const users = legacy.users()
  if (offer.kind === 'nkey') {
    const read = readOffer(offer)
    const user = read.ok && read.value.form === 'plain' ? users.byNkey.get(read.value.nkey) : undefined
    if (user === undefined || !read.ok || read.value.form !== 'plain') return null
    const nonce = parseNonce(request.nonce)
    const signed = nonce !== null && verifyPlainResume({ nkey: read.value.nkey, nonce, signature: read.value.signature }, signatures)
    return signed ? passed(user) : denied('legacy_credentials_invalid')
  }
  const user = offer.kind === 'password' ? users.byPassword.get(offer.user) : users.byToken
  // A name that nobody has costs the same as one that somebody has.
  const compared = await legacy.compare({
    name: offer.kind === 'password' ? offer.user : '',
    secret: offer.secret,
    hash: user?.secret.hash ?? null,
    source: sourceOf(request.clientHost),
    msLeft,
  })
  if (compared === 'busy') return denied('legacy_check_busy')
  return compared === 'right' && user !== null && user !== undefined ? passed(user) : denied('legacy_credentials_invalid')
}

/**
 * What the user is given: the permissions of its own, for as long as the migration lasts and no longer than `ttlSeconds`. A
 * connection that is asked about again keeps the expiry of the `earlier` ask.
 */
export function legacyAdmission(
  user: LegacyUser,
  request: AuthorizationRequest,
  { legacy, id, now, jitter, earlier }: { legacy: LegacyPort; id: string; now: Date; jitter: number; earlier: GuardEntry | null },
): { claims: UserClaims; grant: GrantFacts; facts: { name: LegacyName; kind: LegacyKind } } {
  const { untilMs, ttlSeconds } = legacy.terms
  const nowSeconds = Math.floor(now.getTime() / 1000)
  const spread = earlier === null ? jitterShareMax * jitter : 0
  const full = Math.max(nowSeconds + 1, Math.floor(nowSeconds + ttlSeconds * (1 - spread)))
  const exp = Math.min(full, Math.floor(untilMs / 1000), earlier?.exp ?? full)
  return {
    claims: userClaims({
      userNkey: request.userNkey,
      account: user.account,
      handle: user.name,
      id,
      iat: nowSeconds,
      exp,
      permissions: user.permissions,
    }),
    grant: { account: user.account, roles: [], expiresAt: exp, sessionExpiresAt: null },
    facts: { name: user.name, kind: user.secret.kind },
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
