/**
 * The shape of nats-webauthn.yaml. Names are those of the file; config.ts makes them the program's.
 * docs/configuration.md is drawn from the descriptions and defaults here.
 */
import { z } from 'zod'
import { identityProviders } from './config-identity-providers.ts'
import { migrationSchema, staticUsersSchema } from './config-rollout.ts'
import { parseDuration, parseSize } from './config-units.ts'
import { DEFAULT_SIGNATURE_LIMITS } from './core/failed-signatures.ts'
import { isLoopbackHost, parseAccountName, parseServerId } from './core/identifiers.ts'
import { bareHost } from './core/server-address.ts'

const itemsMax = 64
const textCharsMax = 1024

const text = z.string().min(1).max(textCharsMax)
const file = text.meta({ title: 'path' })
const port = z.int().min(1).max(65_535)

function duration(name: string, limits: { min: string; max: string }) {
  const min = parseDuration(limits.min) ?? 0
  const max = parseDuration(limits.max) ?? 0
  return z
    .string()
    .meta({ title: 'duration' })
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms !== null && ms >= min && ms <= max) return ms
      context.addIssue(`write ${name} as a number with ms, s, m, h or d, from ${limits.min} to ${limits.max}`)
      return z.NEVER
    })
}

const size = z
  .string()
  .meta({ title: 'size' })
  .transform((value, context) => {
    const bytes = parseSize(value)
    if (bytes !== null && bytes >= 2 ** 20) return bytes
    context.addIssue('write a size as a number with KB, MB, GB, KiB, MiB or GiB, of at least 1MiB')
    return z.NEVER
  })

const listen = z
  .string()
  .max(textCharsMax)
  .meta({ title: 'host:port' })
  .transform((value, context) => {
    const match = /^(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(value)
    const number = port.safeParse(Number(match?.[2]))
    if (match !== null && number.success) return { host: bareHost(match[1] as string), port: number.data }
    context.addIssue('write an address as host:port, such as 127.0.0.1:9464')
    return z.NEVER
  })

const account = z
  .string()
  .refine((name) => parseAccountName(name) !== null, 'not the name of an account')
  .meta({ title: 'account' })
const flag = z.boolean().default(false)
const replicas = z.union([z.literal(1), z.literal(3), z.literal(5)])

const serverCertificate = z.strictObject({
  cert_file: file.describe('Certificate chain, PEM.'),
  key_file: file.describe('Its private key, PEM; nobody else may read it.'),
})

const nats = z.strictObject({
  servers: z.array(text).min(1).max(itemsMax).describe('Addresses of nats-server, for the verifier itself and for the CLI.'),
  tls: z
    .strictObject({
      ca_file: file.optional().describe("Authorities that sign the servers' certificates; the system's otherwise."),
      cert_file: file.optional().describe('Client certificate, where the servers ask for one.'),
      key_file: file.optional().describe('Its private key; nobody else may read it.'),
    })
    .optional()
    .describe('TLS towards nats-server; written out, even empty, it is required.'),
  name: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'write lower-case letters, digits and -')
    .default('verifier')
    .describe("Name of the verifier's connections and first part of its inboxes, as nats-server.conf permits them."),
  auth_seed_file: file.describe("Seed of the verifier's user in the account of the callout."),
  audit_seed_file: file.describe("Seed of the verifier's user in the audit account."),
  system_seed_file: file.describe("Seed of the verifier's user in the system account."),
  replicas: replicas.default(1).describe('Copies of the KV buckets: 3 in a cluster.'),
})

const failures = (standard: number) => z.int().min(1).max(1_000_000).default(standard)

const callout = z
  .strictObject({
    issuer_seed_file: file.describe('Seed of `auth_callout.issuer`: signs every user JWT.'),
    xkey_seed_file: file.optional().describe('Seed of `auth_callout.xkey`: opens sealed requests, and then only those.'),
    xkey: z.literal('none').optional().describe('Instead of `xkey_seed_file`, where nats-server has none: said, never assumed.'),
    next_issuer_seed_file: file
      .optional()
      .describe('Seed of the issuer that nats-server is about to be given; the file is there during a rotation alone (docs/rotation.md).'),
    next_xkey_seed_file: file
      .optional()
      .describe('Seed of the xkey that comes with it: by which of the two a request is sealed, the verifier knows the issuer.'),
    in_flight_max: z.int().min(1).max(10_000).default(256).describe('Requests worked on at once.'),
    queue_max: z.int().min(0).max(100_000).default(8192).describe('Requests that may wait for that; more are refused as `overloaded`.'),
    failed_signatures_per_source: failures(DEFAULT_SIGNATURE_LIMITS.perSource).describe(
      'Signatures from one address that may fail in a minute before further ones are refused unchecked (docs/overload.md).',
    ),
    failed_signatures_per_credential: failures(DEFAULT_SIGNATURE_LIMITS.perCredential).describe('The same of one credential.'),
    accounts: z
      .strictObject({
        auth: account.default('AUTH').describe('`auth_callout.account`.'),
        audit: account.default('AUDIT').describe('Account of the audit streams.'),
        system: account.default('SYS').describe('`system_account`.'),
        targets: z.array(account).min(1).max(itemsMax).describe('Accounts that roles may name; never one of the three above.'),
      })
      .describe('What nats-server does not limit in config mode.'),
    server_ids: z
      .array(z.string().refine((id) => parseServerId(id) !== null, 'not a server id (`N…`, 56 characters)'))
      .min(1)
      .max(itemsMax)
      .optional()
      .describe('The servers that may ask; any server that reaches the callout subject otherwise.'),
  })
  .refine((given) => (given.xkey_seed_file === undefined) !== (given.xkey === undefined), {
    message: 'write either xkey_seed_file or `xkey: none`',
    path: ['xkey'],
  })
  .refine((given) => (given.next_issuer_seed_file === undefined) === (given.next_xkey_seed_file === undefined), {
    message: 'write both next_issuer_seed_file and next_xkey_seed_file, or neither',
    path: ['next_issuer_seed_file'],
  })

const url = z.union([
  z.string().max(300),
  z.strictObject({
    url: z.string().max(300).describe('The address.'),
    cluster: text.optional().describe("The server's cluster must have this name."),
    server_name: text.optional().describe('The server must have this name.'),
  }),
])

const rpId = z.string().regex(/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'write a lower-case domain name')

export const ALGORITHMS = { ES256: -7, EdDSA: -8, RS256: -257, ES384: -35, ES512: -36 } as const
const algorithm = z.enum(Object.keys(ALGORITHMS) as [keyof typeof ALGORITHMS])

const relyingParties = z.strictObject({
  machine: z.strictObject({ rp_id: rpId.describe('rpId of machines: one that no web page could ever use.') }),
  person: z
    .strictObject({
      rp_id: rpId.describe('rpId of people: the domain of the sign-in page.'),
      origins: z.array(text).min(1).max(itemsMax).describe('Web origins where people sign in.'),
      user_verification: z
        .enum(['required', 'preferred'])
        .default('required')
        .describe('`preferred`: only roles ask for a PIN or biometry.'),
    })
    .optional()
    .describe('Without it only machines connect.'),
})

const METRICS_AUTH = 'write auth as `none`, or one of basic: {users_file}, bearer: {token_file}, mtls: {client_ca_file}'
const operationsAuth = z.union(
  [
    z.literal('none'),
    z.strictObject({ basic: z.strictObject({ users_file: file.describe('Lines of `name:bcrypt-hash`; read again when it changes.') }) }),
    z.strictObject({
      bearer: z.strictObject({ token_file: file.describe('One or two lines, each a token; read again when it changes.') }),
    }),
    z.strictObject({
      mtls: z.strictObject({
        client_ca_file: file.describe('Authorities that sign the certificates of scrapers.'),
        allowed_sans: z.array(text).min(1).max(itemsMax).optional().describe('Only certificates that carry one of these names.'),
      }),
    }),
  ],
  { error: METRICS_AUTH },
)

export const configSchema = z.strictObject({
  nats: nats.describe('Connections of the verifier, one in each of its three accounts.'),
  callout: callout.describe('The auth callout.'),
  urls: z.array(url).min(1).max(itemsMax).describe('Addresses that clients may dial, spelled as they sign them: `scheme://host:port`.'),
  behind_proxy: flag.describe('Connections come through a proxy: source addresses and loopback prove nothing.'),
  tls_terminated_upstream: flag.describe("Behind that proxy, the client's side is always TLS."),
  dangerously_allow_plaintext_urls: flag.describe(
    'Accept `nats://` and `ws://` beyond loopback: anyone on the network can take over connections.',
  ),
  dangerously_allow_plain_sessions_without_tls: flag.describe(
    'Accept sessions of stock clients without TLS: a hostile server can relay them.',
  ),
  relying_parties: relyingParties.describe('Who credentials are made for (WebAuthn rpId).'),
  algorithms: z
    .array(algorithm)
    .min(1)
    .default(['ES256', 'EdDSA', 'RS256', 'ES384', 'ES512'])
    .describe('Signature algorithms accepted at enrolment and at each proof.'),
  roles_max_age: duration('roles_max_age', { min: '1m', max: '30d' })
    .prefault('24h')
    .describe('Older statements of an identity provider count for nothing.'),
  leeway: duration('leeway', { min: '0s', max: '60s' }).prefault('5s').describe('Tolerance for clocks, for validity times only.'),
  policy_file: file.describe('Roles and what they allow (docs/policy.md); read again when it changes and on SIGHUP.'),
  metadata: z
    .strictObject({
      blob_file: file.describe("The service's signed blob, as fetched; read again when it changes and on SIGHUP."),
      root_file: file.optional().describe("Root certificates that sign it, PEM; those of FIDO's own service otherwise."),
    })
    .optional()
    .describe('FIDO metadata (MDS 3), for enrolment policies that ask for `mds` (docs/people.md). Never fetched by the verifier.'),
  audit: z
    .strictObject({
      replicas: replicas.default(1).describe('Copies of the audit streams: 3 in a cluster.'),
      max_bytes: size.prefault('7GiB').describe('Size of the stream of grants and lifecycle. Full, it refuses: then nothing is granted.'),
      denials_max_bytes: size.prefault('2GiB').describe('Size of the stream of denials.'),
      max_age: duration('max_age', { min: '1d', max: '4000d' }).prefault('400d').describe('How long records are kept.'),
      ack_budget: duration('ack_budget', { min: '50ms', max: '1500ms' })
        .prefault('400ms')
        .describe('How long a grant waits for its record to be durable.'),
    })
    .prefault({})
    .describe('The audit trail.'),
  enrolment: z
    .strictObject({
      listen: listen.describe('Address of the HTTP listener.'),
      origin: text.describe('How clients reach it: `https://host[:port]`, or `http://` on loopback.'),
      tls: serverCertificate.optional().describe('Serve HTTPS here; otherwise a proxy does, or it is loopback.'),
      trusted_proxies: z
        .array(text)
        .max(itemsMax)
        .default([])
        .describe('Addresses of reverse proxies whose `X-Forwarded-For` names the source.'),
    })
    .optional()
    .describe('Where machines enrol, and where people have their page. Without it nobody new enrols through this verifier.'),
  identity_providers: identityProviders.default([]).describe('Where people sign in (docs/identity-providers.md).'),
  operations: z
    .strictObject({
      listen: listen.describe('Address of `/metrics`, `/livez` and `/readyz`.'),
      tls: serverCertificate.optional().describe('Serve HTTPS here.'),
      auth: operationsAuth.describe('Who may read `/metrics`: `none`, `basic`, `bearer` or `mtls`. No default.'),
    })
    .describe('The operations listener.'),
  admin: z
    .strictObject({
      name: z
        .string()
        .regex(/^[a-z0-9_-]{1,64}$/, 'write lower-case letters, digits, _ and -')
        .describe("The administrator's name, as nats-server.conf gives it."),
      seed_file: file.describe("Seed of the administrator's user."),
    })
    .optional()
    .describe('For the CLI on this machine; the verifier does not read it.'),
  auditor: z
    .strictObject({ seed_file: file.describe("Seed of the auditor's user.") })
    .optional()
    .describe('For `audit tail` on this machine; the verifier does not read it.'),
  static_users: staticUsersSchema
    .optional()
    .describe(
      'Users of nats-server.conf who are expected. Whoever else connects without the verifier is put on record and raises an alarm.',
    ),
  migration: migrationSchema
    .optional()
    .describe('Report-only mode: static users go on while their clients move to WebAuthn (docs/migration.md).'),
  log: z
    .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least severe level that is written.') })
    .prefault({})
    .describe('The log, JSON lines on stderr.'),
})

/** Every key there is, for suggestions. */
export const CONFIG_KEYS: readonly string[] = keysOf(z.toJSONSchema(configSchema, { io: 'input' }))

function keysOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([name, part]) => [...(name === 'properties' ? Object.keys(part ?? {}) : []), ...keysOf(part)])
}

export type RawConfig = z.output<typeof configSchema>

/** Whether a listener can be reached from this machine only. */
export function isLoopbackListener(address: { host: string }): boolean {
  return isLoopbackHost(address.host)
}
