/** The whole product for a test: the shipped nats-server configuration, and the verifier of src/main.ts in this process. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type NatsConnection, nkeyAuthenticator, type Subscription } from 'nats'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import { readConfig } from '../../src/config.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import type { CredentialRecord, IdentityRecord, SessionRecord } from '../../src/core/records.ts'
import { startVerifier } from '../../src/main.ts'
import { type TestNkey, testNkey } from './authorization-request.ts'
import { type Deployment, type DeploymentKeys, startDeployment } from './deployment.ts'
import { freePort } from './free-port.ts'
import { type RawClient, rawClient } from './raw-client.ts'
import { b64u, type TestAlg, type TestKey, testKey } from './test-authenticator.ts'

export const PERSON = { rpId: 'localhost', origin: 'http://localhost:8181' }
const MACHINE_RP = 'machines.nats.test'

export interface ProductOptions {
  /** One that runs already, such as a cluster's; `edit` and `tls` are not for it. */
  deployment?: Deployment
  line?: NatsServerLine
  /** xkey in nats-server; the verifier has one unless `verifierXkey` says otherwise. */
  xkey?: boolean
  verifierXkey?: boolean
  policy: string
  /** More lines of nats-webauthn.yaml; made with the origin of the page where they need it. */
  yaml?: string | ((origin: string) => Promise<string>)
  /** Further secret files of the deployment, written last. */
  files?: Record<string, () => string>
  /** Further web origins where people may connect from. */
  personOrigins?: string[]
  /** Changes nats-server.conf. */
  edit?: (config: string) => string
  urls?: (deployment: Deployment) => string[]
  /** All nodes of a cluster, and how many copies it keeps. */
  servers?: string[]
  replicas?: number
  logLevel?: 'info' | 'error'
  /** TLS on the client listener. PEM texts; the certificate is for 127.0.0.1 and localhost. */
  tls?: { ca: string; cert: string; key: string }
}

/** One audit record as published: its subject and body. */
export interface AuditRecord {
  subject: string
  body: Record<string, never> & { [member: string]: unknown }
}

export interface TestIdentity {
  key: TestKey
  credential: CredentialRecord
  identity: IdentityRecord
  session: TestNkey
}

export interface Product {
  deployment: Deployment
  dir: string
  configFile: string
  url: string
  enrolmentOrigin: string
  operationsUrl: string
  verifier: Awaited<ReturnType<typeof startVerifier>>
  /** Connection of the verifier's AUTH user, to write state directly. */
  auth: NatsConnection
  auditor: NatsConnection
  records: AuditRecord[]
  /** The next record, or one already seen, that `matches`. Each record is handed out once. */
  record(matches: (record: AuditRecord) => boolean): Promise<AuditRecord>
  /** The verdict on the client with this id: `outcome.reason`. */
  verdictOn(clientId: number): Promise<string>
  enrolled(handle: string, options?: EnrolOptions): Promise<TestIdentity>
  putSession(session: SessionRecord): Promise<void>
  putCredential(credential: CredentialRecord): Promise<void>
  session(nkey: string): Promise<SessionRecord>
  raw(): Promise<RawClient>
  stop(): Promise<void>
}

export interface EnrolOptions {
  class?: 'machine' | 'person'
  roles?: string[]
  alg?: TestAlg
  change?: Partial<CredentialRecord>
}

/** `nats` 2.x options of an nkey user of the deployment. */
export function nkeyUser(deployment: Deployment, name: keyof DeploymentKeys, inbox: string, ca?: string) {
  return {
    ...(ca === undefined ? {} : { tls: { ca } }),
    servers: `127.0.0.1:${deployment.server.port}`,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(deployment.seeds[name])),
    inboxPrefix: inbox,
  }
}

/** nats-server and the files of a deployment; the verifier is the caller's to start. */
export type ProductFiles = Pick<
  Product,
  'deployment' | 'dir' | 'configFile' | 'url' | 'enrolmentOrigin' | 'operationsUrl' | 'raw' | 'stop'
> & {
  /** Writes an identity, once the verifier has made the buckets. */
  enrolled: Product['enrolled']
}

export async function startProductFiles(options: ProductOptions): Promise<ProductFiles> {
  const xkey = options.xkey ?? true
  const deployment =
    options.deployment ??
    (await startDeployment({
      ...(options.line === undefined ? {} : { line: options.line }),
      xkey,
      edit: (config) => withTls(options.edit?.(config) ?? config, options.tls),
      files: options.tls === undefined ? {} : { 'ca.pem': options.tls.ca, 'cert.pem': options.tls.cert, 'key.pem': options.tls.key },
    }))
  const [enrolmentPort, operationsPort] = [await freePort(), await freePort()]
  const yaml = typeof options.yaml === 'function' ? await options.yaml(`http://localhost:${enrolmentPort}`) : (options.yaml ?? '')
  const configFile = writeConfig(deployment, { ...options, yaml, xkey: options.verifierXkey ?? xkey, enrolmentPort, operationsPort })
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(deployment.server.dir, name), text(), { mode: 0o600 })
  const auth = await connect(nkeyUser(deployment, 'verifierAuth', '_INBOX_verifier', options.tls?.ca))
  return {
    deployment,
    dir: deployment.server.dir,
    configFile,
    url: deployment.url,
    enrolmentOrigin: `http://localhost:${enrolmentPort}`,
    operationsUrl: `http://127.0.0.1:${operationsPort}`,
    raw: () => rawClient(deployment.server.port),
    enrolled: (handle, enrol = {}) => writeIdentity(auth, handle, enrol),
    async stop() {
      await auth.close()
      if (options.deployment === undefined) await deployment.stop()
    },
  }
}

export async function startProduct(options: ProductOptions): Promise<Product> {
  const files = await startProductFiles(options)
  const { deployment, configFile } = files
  const auditor = await connect(nkeyUser(deployment, 'auditor', '_INBOX_auditor', options.tls?.ca))
  const trail = followAudit(auditor.subscribe('audit.webauthn.>'))
  await auditor.flush()
  const verifier = await startVerifier(readConfig(configFile))
  const auth = await connect(nkeyUser(deployment, 'verifierAuth', '_INBOX_verifier', options.tls?.ca))
  return {
    ...files,
    ...trail,
    verifier,
    auth,
    auditor,
    async verdictOn(clientId) {
      const found = await trail.record(
        ({ body }) => (nats(body)['client_id'] as number | undefined) === clientId && body['class_uid'] === 3002,
      )
      return found.subject.split('.').slice(-2).join('.')
    },
    async putSession(session) {
      await putKey(auth, 'webauthn_sessions', session.nkey, session)
    },
    async putCredential(credential) {
      await putKey(auth, 'webauthn_credentials', credentialKey(credential.id), credential)
    },
    async session(nkey) {
      const last = { last_by_subj: `$KV.webauthn_sessions.${nkey}` }
      const answer = await auth.request('$JS.API.STREAM.MSG.GET.KV_webauthn_sessions', JSON.stringify(last))
      const { message } = answer.json<{ message?: { data: string } }>()
      if (message === undefined) throw new Error('reading a session: there is none')
      return JSON.parse(Buffer.from(message.data, 'base64').toString()) as SessionRecord
    },
    async stop() {
      await verifier.stop()
      await Promise.all([auth.close(), auditor.close()])
      await files.stop()
    },
  }
}

function withTls(config: string, tls: ProductOptions['tls']): string {
  return tls === undefined ? config : `tls { cert_file: "$DIR/cert.pem", key_file: "$DIR/key.pem" }\n${config}`
}

/** The `unmapped.nats` part of a record. */
export function nats(body: AuditRecord['body']): Record<string, unknown> {
  const unmapped = (body['unmapped'] ?? {}) as Record<string, Record<string, unknown> | undefined>
  return unmapped['nats'] ?? {}
}

function writeConfig(
  deployment: Deployment,
  options: ProductOptions & { yaml: string; xkey: boolean; enrolmentPort: number; operationsPort: number },
): string {
  const dir = deployment.server.dir
  mkdirSync(join(dir, 'keys'), { mode: 0o700 })
  for (const [name, seed] of Object.entries(deployment.seeds))
    writeFileSync(join(dir, 'keys', `${name}.seed`), `${seed}\n`, { mode: 0o600 })
  writeFileSync(join(dir, 'policy.yaml'), options.policy)
  const urls = options.urls?.(deployment) ?? [deployment.url, deployment.websocketUrl]
  const file = join(dir, 'nats-webauthn.yaml')
  writeFileSync(
    file,
    `nats:
  servers: ${JSON.stringify(options.servers ?? [`127.0.0.1:${deployment.server.port}`])}
${options.replicas === undefined ? '' : `  replicas: ${options.replicas}\n`}${options.tls === undefined ? '' : '  tls: { ca_file: ca.pem }\n'}  auth_seed_file: keys/verifierAuth.seed
  audit_seed_file: keys/verifierAudit.seed
  system_seed_file: keys/verifierSys.seed
callout:
  issuer_seed_file: keys/issuer.seed
  ${options.xkey ? 'xkey_seed_file: keys/xkey.seed' : 'xkey: none'}
  accounts: { targets: [APP] }
urls: ${JSON.stringify(urls)}
relying_parties:
  machine: { rp_id: ${MACHINE_RP} }
  person: { rp_id: ${PERSON.rpId}, origins: ${JSON.stringify([PERSON.origin, `http://localhost:${options.enrolmentPort}`, ...(options.personOrigins ?? [])])} }
policy_file: policy.yaml
enrolment: { listen: "127.0.0.1:${options.enrolmentPort}", origin: "http://localhost:${options.enrolmentPort}" }
operations: { listen: "127.0.0.1:${options.operationsPort}", auth: none }
admin: { name: admin, seed_file: keys/admin.seed }
auditor: { seed_file: keys/auditor.seed }
log: { level: ${options.logLevel ?? 'error'} }
${options.replicas === undefined ? '' : `audit: { replicas: ${options.replicas} }\n`}${options.yaml}`,
  )
  return file
}

function followAudit(subscription: Subscription): Pick<Product, 'record' | 'records'> {
  const records: AuditRecord[] = []
  const unclaimed: AuditRecord[] = []
  const waiting: { matches: (record: AuditRecord) => boolean; found: (record: AuditRecord) => void }[] = []
  void (async () => {
    for await (const message of subscription) {
      const record = { subject: message.subject, body: JSON.parse(message.string()) as AuditRecord['body'] }
      records.push(record)
      const index = waiting.findIndex(({ matches }) => matches(record))
      if (index < 0) unclaimed.push(record)
      else waiting.splice(index, 1)[0]?.found(record)
    }
  })()
  return {
    records,
    record(matches) {
      const index = unclaimed.findIndex(matches)
      if (index >= 0) return Promise.resolve(unclaimed.splice(index, 1)[0] as AuditRecord)
      return new Promise((found) => waiting.push({ matches, found }))
    },
  }
}

async function putKey(auth: NatsConnection, bucket: string, key: string, value: unknown): Promise<void> {
  await auth.jetstream().publish(`$KV.${bucket}.${key}`, new TextEncoder().encode(JSON.stringify(value)))
}

/** Writes an enrolled identity straight into the buckets: classes and flags that enrolment would not produce. */
export async function writeIdentity(auth: NatsConnection, handle: string, options: EnrolOptions): Promise<TestIdentity> {
  const kind = options.class ?? 'machine'
  const key = testKey(options.alg)
  const now = Date.now()
  const credential = {
    v: 1,
    id: b64u(crypto.getRandomValues(new Uint8Array(32))),
    publicKey: b64u(key.cose),
    signCount: 0,
    signCountAt: now - 60_000,
    backupEligible: true,
    backupState: kind === 'person',
    transports: [],
    aaguid: '00000000-0000-0000-0000-000000000000',
    attestation: { format: 'packed', trust: 'self' },
    rpId: kind === 'machine' ? MACHINE_RP : PERSON.rpId,
    class: kind,
    handle,
    userHandle: b64u(crypto.getRandomValues(new Uint8Array(32))),
    name: 'test key',
    state: 'active',
    createdAt: now,
    expiresAt: null,
    endedAt: null,
    enrolledBy: 'admin',
    approvedBy: null,
    ...options.change,
  } as unknown as CredentialRecord
  const identity = {
    v: 1,
    handle,
    class: kind,
    issuer: kind === 'machine' ? 'machine' : 'https://idp.example.com',
    subject: handle,
    displayName: handle,
    roles: (options.roles ?? []).map((name) => ({ name, source: kind === 'machine' ? 'assigned' : 'idp', asOf: now })),
    claims: {},
    userHandle: credential.userHandle,
    devices: kind === 'person' ? [credentialKey(credential.id)] : [],
    state: 'active',
    createdAt: now,
  } as unknown as IdentityRecord
  await putKey(auth, 'webauthn_identities', handle, identity)
  await putKey(auth, 'webauthn_credentials', credentialKey(credential.id), credential)
  return { key, credential, identity, session: testNkey('U') }
}
