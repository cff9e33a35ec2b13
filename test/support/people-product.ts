/** The whole product as a person meets it: provider, page, browser, an application's page with the SDK, nats-server. */
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import { startChromium, type TestBrowser } from './chromium.ts'
import { ALICE, startOidcProvider, type TestAccount, type TestOidcProvider } from './oidc-provider.ts'
import { type Product, startProduct } from './product.ts'
import { type SdkSite, startSdkSite } from './sdk-page.ts'

export interface PeopleProduct {
  product: Product
  idp: TestOidcProvider
  /** A second issuer, where it was asked for. */
  otherIdp: TestOidcProvider | null
  site: SdkSite
  browser: TestBrowser
  /** Changes a stored record behind the verifier's back, as time or a mistake would. */
  rewrite(bucket: string, key: string, change: (record: Record<string, unknown>) => object): Promise<void>
  stop(): Promise<void>
}

export interface PeopleOptions {
  policy: string
  line?: NatsServerLine
  accounts?: TestAccount[]
  /** A second provider, with these accounts. */
  others?: TestAccount[]
  edit?: (config: string) => string
}

/** `groups` of the provider → roles, as tests have them. */
const ROLES = '{ staff: [chat, shell], "orders-team": [chat], brief: [brief], keys: [keys], vault: [vault] }'

export async function startPeopleProduct(options: PeopleOptions): Promise<PeopleProduct> {
  const providers: TestOidcProvider[] = []
  const site = await startSdkSite()
  const closeAround = async () => {
    await site.close()
    for (const provider of providers) await provider.stop()
  }
  const product = await startProduct({
    policy: options.policy,
    ...(options.line === undefined ? {} : { line: options.line }),
    ...(options.edit === undefined ? {} : { edit: options.edit }),
    personOrigins: [site.origin],
    yaml: async (origin) => {
      const redirectUris = [`${origin}/v1/login/callback`]
      for (const accounts of [options.accounts ?? [ALICE], options.others]) {
        if (accounts !== undefined) providers.push(await startOidcProvider({ redirectUris, accounts }))
      }
      return `identity_providers:\n${providers.map(providerYaml).join('')}`
    },
    files: { 'keys/client.secret': () => providers[0]?.clientSecret ?? '' },
  }).catch(async (cause: unknown) => {
    await closeAround()
    throw cause
  })
  const [idp, otherIdp = null] = providers
  if (idp === undefined) throw new Error('starting a product with people: no provider')
  const browser = await startChromium()
  return {
    product,
    idp,
    otherIdp,
    site,
    browser,
    async rewrite(bucket, key, change) {
      const asked = JSON.stringify({ last_by_subj: `$KV.${bucket}.${key}` })
      const answer = await product.auth.request(`$JS.API.STREAM.MSG.GET.KV_${bucket}`, asked)
      const { message } = answer.json<{ message?: { data: string } }>()
      if (message === undefined) throw new Error(`rewriting ${bucket}: no such record`)
      const record = JSON.parse(Buffer.from(message.data, 'base64').toString()) as Record<string, unknown>
      await product.auth.jetstream().publish(`$KV.${bucket}.${key}`, JSON.stringify(change(record)))
    },
    async stop() {
      await browser.close()
      await product.stop()
      await closeAround()
    },
  }
}

function providerYaml({ issuer, clientId }: TestOidcProvider, index: number): string {
  return `  - name: ${index === 0 ? 'corp' : 'partner'}
    label: ${index === 0 ? 'Example Corp' : 'Partner'}
    issuer: ${issuer}
    client_id: ${clientId}
    client_secret_file: keys/client.secret
    scopes: [openid, profile, groups]
    roles: { claim: /groups, map: ${ROLES} }
`
}
