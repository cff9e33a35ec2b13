/** What `check` says of identity providers: a real one, and what is easily got wrong about it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { providerChecks } from '../../src/cli/provider-checks.ts'
import { type Config, readConfig } from '../../src/config.ts'
import { makeConfigDir } from '../support/config-dir.ts'
import { startOidcProvider, type TestOidcProvider } from '../support/oidc-provider.ts'

const shipped = (() => {
  const dir = makeConfigDir()
  const config = readConfig(dir.file)
  dir.remove()
  return config
})()

async function outcome(issuer: string, change: Partial<Config> = {}): Promise<string[]> {
  const provider: Config['identityProviders'][number] = {
    name: 'staff',
    label: 'Example',
    issuer,
    clientId: 'nats',
    clientSecretFile: null,
    tokenEndpointAuth: 'none',
    scopes: ['openid'],
    freshPrompt: 'login',
    acrValues: [],
    amr: [],
    claimsFrom: 'id_token',
    mapping: {
      roles: { pointer: '/groups', map: new Map(), listMax: null },
      handle: { pointer: '/sub', prefix: '' },
      displayName: { pointer: '/name' },
      claims: {},
    },
    caFile: null,
  }
  const results: string[] = []
  for await (const { name, passed } of providerChecks({ ...shipped, identityProviders: [provider], ...change }))
    results.push(`${name} ${passed}`)
  return results
}

describe('check of an identity provider', () => {
  let idp: TestOidcProvider
  before(async () => {
    idp = await startOidcProvider({ redirectUris: ['http://localhost:8780/v1/login/callback'] })
  })
  after(() => idp.stop())

  test('passes where the issuer is what the provider calls itself', async () => {
    assert.deepEqual(await outcome(idp.issuer), ['identity provider staff true'])
  })

  for (const [name, change] of [
    ['a slash too many', (issuer: string) => `${issuer}/`],
    ['a path that is not there', (issuer: string) => `${issuer}/realms/none`],
    ['another name of the same host', (issuer: string) => issuer.replace('localhost', '127.0.0.1')],
  ] as const) {
    test(`fails with ${name}`, async () => {
      assert.deepEqual(await outcome(change(idp.issuer)), ['identity provider staff false'])
    })
  }

  test('fails while the provider is down', async () => {
    await idp.down()
    assert.deepEqual(await outcome(idp.issuer), ['identity provider staff false'])
    await idp.up()
  })

  test('asks nobody where there is no page to come back to', async () => {
    assert.deepEqual(await outcome(idp.issuer, { enrolment: null }), [])
  })
})
