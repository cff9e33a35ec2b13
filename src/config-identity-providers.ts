/** The section `identity_providers` of nats-webauthn.yaml: its shape, what could never work, and what becomes of it. */
import { z } from 'zod'
import { isLoopbackHost, parseRoleName } from './core/identifiers.ts'
import { parsePointer } from './core/people/json-pointer.ts'
import { safeText } from './core/safe-text.ts'
import { parseUrl } from './core/server-address.ts'
import type { IdpConfig } from './idp/idp-config.ts'

const providersMax = 16
const itemsMax = 64
const mapEntriesMax = 256
const rolesPerValueMax = 16
// As many roles as an identity may hold.
const rolesMax = 256
const labelCharsMax = 64

const text = z.string().min(1).max(1024)
const file = text.meta({ title: 'path' })
const pointer = z
  .string()
  .refine((value) => value !== '' && parsePointer(value) !== null, 'write a JSON pointer, such as /groups (a / in a name is ~1, a ~ is ~0)')
  .meta({ title: 'JSON pointer' })
const role = z.string().refine((name) => parseRoleName(name) !== null, 'not the name of a role')
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'not a scope')
const rolesByValue = z
  .record(text, z.union([role, z.array(role).min(1).max(rolesPerValueMax)]))
  .refine((map) => Object.keys(map).length > 0, 'map at least one value to a role')
  .refine((map) => Object.keys(map).length <= mapEntriesMax, `more than ${mapEntriesMax} values`)
  .refine((map) => new Set(Object.values(map).flat()).size <= rolesMax, `more than ${rolesMax} roles`)
  .meta({ title: 'value: role or list of roles' })
const templates = z
  .record(z.string().regex(/^(?!__proto__$)[A-Za-z0-9_-]{1,64}$/, 'a claim is named with 1 to 64 of A-Z a-z 0-9 _ -'), pointer)
  .refine((claims) => Object.keys(claims).length <= itemsMax, `more than ${itemsMax} claims`)
  .meta({ title: 'name: JSON pointer' })

const identityProvider = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9_-]{1,32}$/, 'write lower-case letters, digits, _ and -')
    .describe('Name in records and metrics; unique.'),
  label: text
    .max(labelCharsMax)
    .refine((value) => safeText(value, labelCharsMax) === value, 'write plain text')
    .describe('What people call it: the button says “Continue with …”.'),
  issuer: text.describe('Exactly as the provider writes it in its metadata and tokens; unique.'),
  client_id: text.max(256).describe('The client that is registered there for this verifier.'),
  client_secret_file: file.optional().describe('Its secret; nobody else may read the file. Without it the client is public.'),
  token_endpoint_auth: z
    .enum(['client_secret_basic', 'client_secret_post', 'none'])
    .optional()
    .describe('How the secret is sent; `client_secret_basic`, or `none` without a secret.'),
  scopes: z
    .array(scope)
    .min(1)
    .max(itemsMax)
    .refine((scopes) => scopes.includes('openid'), 'openid must be among them')
    .default(['openid', 'profile', 'email'])
    .describe('What is asked for.'),
  fresh_prompt: z
    .enum(['login', 'select_account', 'consent', 'none'])
    .default('login')
    .describe('`prompt` of a login that must be fresh; `login` where the provider knows it.'),
  acr_values: z.array(text).min(1).max(itemsMax).optional().describe('Authentication contexts: asked for, and one of them demanded.'),
  amr: z.array(text).min(1).max(itemsMax).optional().describe('Authentication methods: all of them demanded.'),
  roles: z
    .strictObject({
      claim: pointer.describe('The claim with groups or roles: text, or a list of text.'),
      map: rolesByValue.describe('What each value gives. Values that are not here give nothing.'),
      list_max: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe('Longest list that the provider issues: one that long may be cut, and is refused.'),
      from: z.enum(['id_token', 'userinfo']).default('id_token').describe('`userinfo`: its claims are read as well.'),
    })
    .describe('Where roles come from.'),
  handle: z
    .strictObject({
      claim: pointer.default('/preferred_username').describe('The claim that handles are made of.'),
      prefix: z
        .string()
        .regex(/^[a-z0-9_-]{0,16}$/, 'write at most 16 lower-case letters, digits, _ and -')
        .default('')
        .describe('What they begin with.'),
    })
    .prefault({})
    .describe('How people are named in NATS; chosen once.'),
  display_name: pointer.default('/name').describe('The claim with the name that is shown.'),
  claims: templates.prefault({}).describe('Claims that templates of the policy may use, as `{{claim.NAME}}`.'),
  ca_file: file.optional().describe("Authorities that sign the provider's certificate; the system's otherwise."),
})

export const identityProviders = z.array(identityProvider).max(providersMax)

type RawProvider = z.output<typeof identityProvider>
interface Problem {
  where: (string | number)[]
  message: string
}

/** `hasPeople`: there is a relying party for them; `hasPage`: there is somewhere to sign in. */
export function identityProviderProblems(
  providers: readonly RawProvider[],
  { hasPeople, hasPage }: { hasPeople: boolean; hasPage: boolean },
): Problem[] {
  if (providers.length === 0) return []
  const where = ['identity_providers']
  return [
    ...(hasPeople ? [] : [{ where, message: 'people need relying_parties.person' }]),
    ...(hasPage ? [] : [{ where, message: 'people sign in at a page: they need enrolment' }]),
    ...providers.flatMap((provider, index) => problemsOf(provider, index, providers)),
  ]
}

function problemsOf(provider: RawProvider, index: number, all: readonly RawProvider[]): Problem[] {
  const at = (key: string) => ['identity_providers', index, key]
  const problems: Problem[] = []
  for (const key of ['name', 'issuer'] as const) {
    const first = all.findIndex((other) => other[key] === provider[key])
    if (first < index) problems.push({ where: at(key), message: `identity_providers[${first}] has the same ${key}` })
  }
  const issuer = issuerProblem(provider.issuer)
  if (issuer !== null) problems.push({ where: at('issuer'), message: issuer })
  const { client_secret_file: secret, token_endpoint_auth: auth } = provider
  if (secret === undefined && auth !== undefined && auth !== 'none')
    problems.push({ where: at('token_endpoint_auth'), message: `${auth} needs client_secret_file` })
  if (secret !== undefined && auth === 'none') problems.push({ where: at('client_secret_file'), message: 'none sends no secret' })
  return problems
}

/** OIDC Discovery §3 and §4: https without query or fragment; http proves nothing beyond this machine. */
function issuerProblem(text: string): string | null {
  const url = parseUrl(text)
  const isSecure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname))
  if (url === null || !isSecure) return 'write https://…, and http:// for loopback alone'
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '' || /[?#\s]/.test(text))
    return 'an issuer has no query, fragment or user'
  if (url.pathname.includes('/.well-known/')) return 'write the issuer alone, without /.well-known/…'
  // They stand for many issuers, and a token names one.
  if (/^\/(?:common|organizations|consumers)(?:\/|$)/.test(url.pathname) && url.hostname === 'login.microsoftonline.com')
    return 'write the id of one tenant in place of common, organizations or consumers'
  return null
}

/** `path` makes a path of the file absolute. */
export function toIdpConfigs(providers: readonly RawProvider[], path: (name: string) => string): IdpConfig[] {
  return providers.map((raw) => ({
    name: raw.name,
    label: raw.label,
    issuer: raw.issuer,
    clientId: raw.client_id,
    clientSecretFile: raw.client_secret_file === undefined ? null : path(raw.client_secret_file),
    tokenEndpointAuth: raw.token_endpoint_auth ?? (raw.client_secret_file === undefined ? 'none' : 'client_secret_basic'),
    scopes: raw.scopes,
    freshPrompt: raw.fresh_prompt,
    acrValues: raw.acr_values ?? [],
    amr: raw.amr ?? [],
    mapping: {
      roles: {
        pointer: raw.roles.claim,
        map: new Map(Object.entries(raw.roles.map).map(([value, roles]) => [value, [roles].flat()])),
        listMax: raw.roles.list_max ?? null,
      },
      handle: { pointer: raw.handle.claim, prefix: raw.handle.prefix },
      displayName: { pointer: raw.display_name },
      claims: raw.claims,
    },
    claimsFrom: raw.roles.from,
    caFile: raw.ca_file === undefined ? null : path(raw.ca_file),
  }))
}
