import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { identityProviders, toIdpConfigs } from '../../src/config-identity-providers.ts'
import { LIFECYCLE } from '../../src/core/audit-event.ts'
import { readClaims } from '../../src/core/people/claim-mapping.ts'
import type { IdpStatement } from '../../src/core/people/people.ts'
import { parseYaml } from '../../src/core/policy/yaml-document.ts'
import type { IdpConfig } from '../../src/idp/idp-config.ts'

function statement(claims: Record<string, unknown>): IdpStatement {
  return { provider: 'corp', issuer: 'https://login.example.com', subject: 'person-1', authenticatedAt: null, claims }
}

describe('docs/identity-providers.md', () => {
  const page = readFileSync(new URL('../../docs/identity-providers.md', import.meta.url), 'utf8')
  const configs = new Map<string, IdpConfig>()
  for (const [, yaml = ''] of page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)) {
    const parsed = parseYaml(yaml, { bytesMax: 10_000 })
    assert.ok(parsed.ok)
    const { identity_providers } = z.strictObject({ identity_providers: identityProviders }).parse(parsed.document.data)
    for (const config of toIdpConfigs(identity_providers, (name) => name)) configs.set(config.name, config)
  }
  const preset = (name: string): IdpConfig => {
    const config = configs.get(name)
    assert.ok(config, name)
    return config
  }
  const apply = (name: string, token: string) => readClaims(statement(tokenClaims(token)), preset(name).mapping)
  const applied = (name: string, token: string) => {
    const judged = apply(name, token)
    assert.ok(judged.ok, JSON.stringify(judged))
    return judged.value
  }
  const tokenClaims = (name: string): Record<string, unknown> =>
    z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(new URL(`../vectors/claims/${name}.json`, import.meta.url), 'utf8')))

  test('has presets that are all tested here', () => {
    assert.deepEqual([...configs.keys()], ['keycloak', 'okta', 'auth0', 'entra', 'google', 'staff', 'partners'])
  })

  test('has presets that name issuers exactly as the tokens do', () => {
    for (const name of ['keycloak', 'okta', 'auth0', 'entra', 'google']) {
      const { iss, aud } = tokenClaims(name)
      assert.equal(iss, preset(name).issuer, name)
      assert.equal(aud, preset(name).clientId, name)
    }
  })

  test('has a preset that reads a token of Keycloak: realm roles', () => {
    const { roles, handleHint, displayName } = applied('keycloak', 'keycloak')
    assert.deepEqual(roles, ['support', 'orders-reader'])
    assert.equal(handleHint, 'alice')
    assert.equal(displayName, 'Alice Example')
  })

  test('has a preset that gives nothing for a token of Keycloak without the mapper', () => {
    assert.deepEqual(applied('keycloak', 'keycloak-without-roles').roles, [])
  })

  test('has a preset that reads userinfo of Okta: filtered groups, and a login that is an address', () => {
    assert.equal(preset('okta').claimsFrom, 'userinfo')
    const { roles, handleHint } = applied('okta', 'okta')
    assert.deepEqual(roles, ['orders-writer'])
    assert.equal(handleHint, 'alice-example')
  })

  test('has a preset that refuses a list of Okta that is as long as it can be', () => {
    const claims = { ...tokenClaims('okta'), groups: Array.from({ length: 100 }, (_, i) => (i === 0 ? 'nats-orders' : `nats-${i}`)) }
    const judged = readClaims(statement(claims), preset('okta').mapping)
    assert.ok(!judged.ok && judged.refusal.reason === 'groups_overage')
  })

  test('has a preset that reads a token of Auth0: a namespaced claim', () => {
    const { roles, handleHint } = applied('auth0', 'auth0')
    assert.deepEqual(roles, ['orders-writer', 'support'])
    assert.equal(handleHint, 'alice')
  })

  test('has a preset that reads a token of Entra: app roles, also beside groups that were left out', () => {
    assert.deepEqual(applied('entra', 'entra').roles, ['orders-writer'])
    assert.deepEqual(applied('entra', 'entra-groups-overage').roles, ['orders-writer'])
  })

  test('has a preset whose like refuses a token of Entra whose groups were left out, where roles come from groups', () => {
    const { map } = preset('entra').mapping.roles
    const byGroup = { ...preset('entra').mapping, roles: { pointer: '/groups', map, listMax: null } }
    const judged = readClaims(statement(tokenClaims('entra-groups-overage')), byGroup)
    assert.ok(!judged.ok && judged.refusal.reason === 'groups_overage')
  })

  test('has a preset that reads a token of Google: the domain of the Workspace, which personal accounts have not', () => {
    assert.equal(preset('google').freshPrompt, 'select_account')
    const { roles, handleHint } = applied('google', 'google')
    assert.deepEqual(roles, ['support'])
    assert.equal(handleHint, 'alice')
    assert.deepEqual(applied('google', 'google-personal').roles, [])
  })

  test('has presets that tell the people of two providers apart by a prefix', () => {
    assert.equal(applied('staff', 'keycloak').handleHint, 'alice')
    assert.equal(applied('partners', 'keycloak').handleHint, 'partner-alice')
  })

  test('explains every reason to refuse what a provider says', () => {
    const table = page.slice(page.indexOf('## When somebody cannot sign in'))
    const explained = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, reason]) => reason),
    )
    // Those of the page's own login, and of passkeys.
    const elsewhere = /^(?:login_|passkey_|ceremony_|provider_unknown)/
    assert.deepEqual(explained.toSorted(), LIFECYCLE.login.refused.filter((reason) => !elsewhere.test(reason)).toSorted())
  })
})
