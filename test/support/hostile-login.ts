/** Logins at a hostile issuer, for a file of tests: one issuer, reset before each. */
import { after, before, beforeEach } from 'node:test'
import type { IdpPort } from '../../src/core/people/people.ts'
import type { Judged } from '../../src/core/refusal.ts'
import { createIdp, type IdpOptions } from '../../src/idp/idp.ts'
import type { IdpConfig } from '../../src/idp/idp-config.ts'
import { type HostileIssuer, type IssuerKey, newIssuerKey, startHostileIssuer } from './hostile-issuer.ts'
import { idpConfig, idpOptions, SECRETS, type Trouble } from './idp-case.ts'

export const CLIENT_SECRET = 'the-client-secret'
export const NOW = new Date('2026-03-01T09:00:00Z')
export const LEEWAY = 5

export interface Setting {
  idp: IdpPort
  troubles: Trouble[]
  clock: { now: Date }
}

export interface HostileLogins {
  issuer(): HostileIssuer
  /** A key that the issuer never published. */
  stranger(): IssuerKey
  setUp(changes?: Partial<IdpConfig>, options?: Partial<IdpOptions>): Setting
  /** One login that ends with `token`: `accepted`, or the refusal's `reason/check`. */
  loginWith(token: unknown, setting?: Setting, options?: { fresh: boolean }): Promise<string>
  /** The right query of the callback, with `changes`. */
  callback(changes?: Record<string, string>): URLSearchParams
  /** Right claims at NOW, with `changes`. */
  claims(changes?: Record<string, unknown>): Record<string, unknown>
  /** A right token, with changed claims. */
  signed(changes?: Record<string, unknown>): Promise<string>
}

export function outcome(judged: Judged<unknown>): string {
  if (judged.ok) return 'accepted'
  const { reason, check } = judged.refusal
  return check === null ? reason : `${reason}/${check}`
}

/** Registers the hooks of the file that calls it. */
export function hostileLogins(): HostileLogins {
  let running: HostileIssuer | null = null
  let unpublished: IssuerKey | null = null
  const issuer = () => running ?? fail()
  before(async () => {
    running = await startHostileIssuer()
    unpublished = await newIssuerKey()
  })
  after(() => issuer().stop())
  beforeEach(() => {
    const { key, answers, seen } = issuer()
    Object.assign(issuer(), { published: [key.jwk], metadata: {}, tokens: {}, userinfo: {} })
    answers.clear()
    seen.length = 0
  })

  const claims = (changes: Record<string, unknown> = {}) => issuer().claims(changes, NOW)
  const callback = (changes: Record<string, string> = {}) =>
    new URLSearchParams({ code: 'the-authorization-code', state: SECRETS.state, iss: issuer().issuer, ...changes })
  const setUp: HostileLogins['setUp'] = (changes = {}, options = {}) => {
    const clock = { now: NOW }
    const world = idpOptions(CLIENT_SECRET, { leewaySeconds: LEEWAY, now: () => clock.now, ...options })
    return { idp: createIdp([idpConfig(issuer().issuer, changes)], world), troubles: world.troubles, clock }
  }
  return {
    issuer,
    stranger: () => unpublished ?? fail(),
    setUp,
    claims,
    callback,
    signed: (changes = {}) => issuer().sign(claims(changes)),
    async loginWith(token, { idp } = setUp(), options = { fresh: false }) {
      issuer().tokens = { access_token: 'the-access-token', token_type: 'Bearer', id_token: token }
      return outcome(await idp.finish('corp', SECRETS, callback(), options))
    },
  }
}

function fail(): never {
  throw new Error('using the hostile issuer before it runs')
}
