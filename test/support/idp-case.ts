/** An identity provider as tests configure it, and one login at it without a browser. */
import { readFileSync } from 'node:fs'
import type { IdpSecrets } from '../../src/core/people/people.ts'
import type { IdpOptions } from '../../src/idp/idp.ts'
import type { IdpConfig } from '../../src/idp/idp-config.ts'

export const REDIRECT_URI = 'http://localhost:8780/v1/login/callback'

/** What the configuration's client secret file holds. */
export const SECRET_FILE = '/run/secrets/idp'

export const SECRETS: IdpSecrets = {
  state: 'state-of-this-login',
  nonce: 'nonce-of-this-login',
  // RFC 7636, Appendix B.
  codeVerifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
}

export function idpConfig(issuer: string, changes: Partial<IdpConfig> = {}): IdpConfig {
  return {
    name: 'corp',
    label: 'Corp',
    issuer,
    clientId: 'nats',
    clientSecretFile: SECRET_FILE,
    tokenEndpointAuth: 'client_secret_basic',
    scopes: ['openid', 'profile', 'groups'],
    freshPrompt: 'login',
    acrValues: [],
    amr: [],
    mapping: {
      roles: { pointer: '/groups', map: new Map([['orders-team', ['orders-writer']]]), listMax: null },
      handle: { pointer: '/preferred_username', prefix: '' },
      displayName: { pointer: '/name' },
      claims: {},
    },
    claimsFrom: 'id_token',
    caFile: null,
    ...changes,
  }
}

export interface Trouble {
  provider: string
  step: string
  detail: string
}

/** `troubles` collects what would be logged. */
export function idpOptions(secret: string, changes: Partial<IdpOptions> = {}): IdpOptions & { troubles: Trouble[] } {
  const troubles: Trouble[] = []
  return {
    redirectUri: REDIRECT_URI,
    readSecret: () => secret,
    readPem: (path) => readFileSync(path, 'utf8'),
    leewaySeconds: 5,
    now: () => new Date(),
    onTrouble: (trouble) => troubles.push(trouble),
    timeoutMs: 5_000,
    troubles,
    ...changes,
  }
}
