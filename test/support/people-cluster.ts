/** Verifiers behind one origin, as people and terminals meet them: any request may reach any of them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import { readConfig } from '../../src/config.ts'
import { startVerifier, type Verifier } from '../../src/main.ts'
import { adminRequest } from '../../src/nats/admin-client.ts'
import type { AdminOperation, AdminRequest } from '../../src/nats/admin-protocol.ts'
import { answerOf } from './admin-deployment.ts'
import { freePort } from './free-port.ts'
import { linkTo } from './links.ts'
import { ALICE, BOB, startOidcProvider, type TestAccount, type TestOidcProvider } from './oidc-provider.ts'
import { type Passkey, softwarePasskey } from './passkey.ts'
import { type Ask, type Browser, browser, type PageAnswer, send } from './people-service.ts'
import { type AuditRecord, type Product, type ProductFiles, type ProductOptions, startProduct, startProductFiles } from './product.ts'
import type { RawClient } from './raw-client.ts'
import { type TerminalKey, terminalKey } from './terminal-key.ts'
import { b64u } from './test-authenticator.ts'

export const PEOPLE_POLICY = `version: 1
enrolment: { person: { devices_max: 2 } }
roles:
  shell:
    account: APP
    publish: { allow: ["shell.>"] }
    plain_sessions: true
    login_by_code: true
    session: 1h
    require: { class: person }
`

export type Options = Partial<ProductOptions> & {
  accounts?: TestAccount[]
  line?: NatsServerLine
  /** Another provider, in place of one of ours. */
  issuer?: string
}

/** What the files of a deployment with an identity provider are made of. */
function withProvider(options: Options) {
  const started: { idp: TestOidcProvider | null } = { idp: null }
  const { accounts = [ALICE, BOB], issuer, yaml, ...rest } = options
  const settings: ProductOptions = {
    policy: PEOPLE_POLICY,
    ...rest,
    yaml: async (origin) => {
      const idp = await startOidcProvider({ redirectUris: [`${origin}/v1/login/callback`], accounts })
      started.idp = idp
      return `identity_providers:
  - name: corp
    label: Example Corp
    issuer: ${issuer ?? idp.issuer}
    client_id: ${idp.clientId}
    client_secret_file: keys/client.secret
    scopes: [openid, profile, groups]
    roles: { claim: /groups, map: { staff: [shell] } }
${typeof yaml === 'string' ? yaml : ''}`
    },
    files: { 'keys/client.secret': () => started.idp?.clientSecret ?? '' },
  }
  const provider = (): TestOidcProvider => {
    if (started.idp === null) throw new Error('starting people: no provider')
    return started.idp
  }
  return { settings, provider }
}

export interface People<P> {
  product: P
  idp: TestOidcProvider
  stop(): Promise<void>
}

/** One verifier in this process, and a provider. */
export async function startPeople(options: Options = {}): Promise<People<Product>> {
  const { settings, provider } = withProvider(options)
  const product = await startProduct(settings)
  return { product, idp: provider(), stop: () => product.stop().then(() => provider().stop()) }
}

/** nats-server, a provider and the files; the verifiers are the caller's to start. */
export async function startPeopleFiles(options: Options = {}): Promise<People<ProductFiles>> {
  const { settings, provider } = withProvider(options)
  const product = await startProductFiles(settings)
  return { product, idp: provider(), stop: () => product.stop().then(() => provider().stop()) }
}

/** The configuration of a further verifier of the same origin, on listeners of its own. */
export async function furtherConfig(product: ProductFiles): Promise<{ file: string; port: number; operationsUrl: string }> {
  const [port, operations] = [await freePort(), await freePort()]
  const text = readFileSync(product.configFile, 'utf8')
    .replace(`listen: "127.0.0.1:${new URL(product.enrolmentOrigin).port}"`, `listen: "127.0.0.1:${port}"`)
    .replace(`listen: "127.0.0.1:${new URL(product.operationsUrl).port}"`, `listen: "127.0.0.1:${operations}"`)
  const file = join(product.dir, `verifier-${port}.yaml`)
  writeFileSync(file, text)
  return { file, port, operationsUrl: `http://127.0.0.1:${operations}` }
}

export async function startFurther(product: ProductFiles): Promise<{ verifier: Verifier; port: number }> {
  const { file, port } = await furtherConfig(product)
  return { verifier: await startVerifier(readConfig(file)), port }
}

let sources = 0

export interface Visitor {
  /** The same browser, whichever verifier its requests reach. `port`: of that verifier; else the first. */
  at(port?: number): Browser
  /** The same machine, without a browser. */
  terminal(path: string, body: unknown, port?: number): Promise<PageAnswer>
}

/** Somebody on a machine of their own, so that rate limits do not meet. */
export function visitor({ enrolmentOrigin: origin }: ProductFiles): Visitor {
  sources++
  const from = `127.0.${1 + (sources >> 8)}.${1 + (sources & 127)}`
  const first = Number(new URL(origin).port)
  const asking = (port: number) => (sent: Ask) => send(port, { ...sent, from, headers: { host: new URL(origin).host, ...sent.headers } })
  const cookies = new Map<string, string>()
  return {
    at: (port = first) => browser({ origin, ask: asking(port) }, cookies),
    terminal: (path, body, port = first) => asking(port)({ path, body }),
  }
}

/** To the provider and back: the callback's path, not yet opened. */
export async function visitProvider({ idp }: { idp: TestOidcProvider }, page: Browser, sub = ALICE.sub): Promise<string> {
  const begun = await page.post('/v1/login/idp', { provider: 'corp' })
  assert.equal(begun.status, 200, begun.text)
  const { pathname, search } = await idp.login(begun.body.url, sub)
  return pathname + search
}

export async function signIn(people: { idp: TestOidcProvider }, page: Browser, sub = ALICE.sub): Promise<void> {
  const answer = await page.open(await visitProvider(people, page, sub))
  assert.equal(answer.headers.location, '/', answer.text)
}

export const newPasskey = ({ enrolmentOrigin: origin }: ProductFiles): Passkey => softwarePasskey({ origin })

/** Begins and registers; the body of the activation. */
export async function register(page: Browser, passkey: Passkey, other = page): Promise<{ ceremony: string; response: unknown }> {
  const begun = await page.post('/v1/devices/begin')
  assert.equal(begun.status, 200, begun.text)
  const response = passkey.create(begun.body.options)
  const registered = await other.post('/v1/devices/register', { ceremony: begun.body.ceremony, name: 'laptop', response })
  assert.equal(registered.status, 200, registered.text)
  return { ceremony: registered.body.ceremony, response: passkey.get(registered.body.options) }
}

export async function enrol(page: Browser, passkey: Passkey): Promise<PageAnswer> {
  const done = await page.post('/v1/devices/activate', await register(page, passkey))
  assert.equal(done.status, 200, done.text)
  return done
}

/** A terminal that asked for a session and proved its nkey. `ports`: of the verifiers it asked. */
export async function askForSession(who: Visitor, product: ProductFiles, flow: 'loopback' | 'code', ports: number[] = []) {
  const key = terminalKey(product.enrolmentOrigin)
  const [one, two] = ports
  const asked = await who.terminal(
    '/v1/session/begin',
    { nkey: key.nkey, flow, host: 'laptop', ...(flow === 'code' ? {} : { port: 45678 }) },
    one,
  )
  assert.equal(asked.status, 200, asked.text)
  const { request, issued, code } = asked.body
  const signature = key.sign(issued, 'plain')
  const possessed = await who.terminal('/v1/session/possess', { request, signature }, two ?? one)
  assert.equal(possessed.status, 200, possessed.text)
  return { key, request: request as string, code: code as string }
}

/** The person's tap for a request: the body of endorse. */
export async function tapFor(page: Browser, request: string, passkey: Passkey): Promise<{ request: string; response: unknown }> {
  const offered = await page.post('/v1/session/options', { request })
  assert.equal(offered.status, 200, offered.text)
  return { request, response: passkey.get(offered.body.options) }
}

export const completionOf = (endorsed: PageAnswer): string => new URL(endorsed.body.callback).searchParams.get('code') ?? ''

/** One question of an administrator. */
export async function askAsAdmin<O extends AdminOperation>({ deployment }: ProductFiles, operation: O, body: AdminRequest<O>) {
  const link = await linkTo(deployment, 'admin')
  try {
    return answerOf(await adminRequest(link, 'admin', operation, body))
  } finally {
    await link.drain()
  }
}

/** The ticket of a new invitation. */
export async function inviteTo(product: ProductFiles, handle: string): Promise<string> {
  const body = { handle: handle as never, class: 'person' as const, roles: ['shell'] as never }
  return (await askAsAdmin(product, 'invite', body)).ticket
}

/** How many records have a subject that ends so. */
export function countOf(records: readonly AuditRecord[], ending: string): number {
  return records.filter(({ subject }) => subject.endsWith(ending)).length
}

/** What a stock client signs with the nkey of its session. */
export const plainSig = (key: TerminalKey, nonce: string): string => b64u(key.pair.sign(Buffer.from(nonce)))

/** Resolves when the server has closed the connection. */
export async function closed(raw: RawClient): Promise<void> {
  while ((await raw.line()) !== 'closed');
}
