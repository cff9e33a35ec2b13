import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { ConfigInvalid, readConfig, secretProblems } from '../../src/config.ts'
import { makeConfigDir } from '../support/config-dir.ts'

const PROVIDER = `identity_providers:
  - name: corp
    label: Example Corp
    issuer: https://login.example.com/realms/corp
    client_id: nats
    client_secret_file: keys/idp/corp.secret
    roles:
      claim: /groups
      map: { orders: orders-writer }
`
const shared = makeConfigDir((text) => `${text.replace(/^ *#.*\n/gm, '')}${PROVIDER}`)
after(() => shared.remove())

/** Problems of the configuration after `change` of the section of providers, or of everything. */
function problemsOf(change: (text: string) => string): string[] {
  let whole = ''
  shared.edit((text) => {
    whole = text
    return change(text)
  })
  try {
    readConfig(shared.file)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigInvalid, String(error))
    return error.problems.map((problem) => problem.replace(`${shared.file}:`, ''))
  } finally {
    shared.edit(() => whole)
  }
}

/** Another provider, or the same once more. */
const second = (name: string, issuer: string) =>
  PROVIDER.replace('identity_providers:\n', '')
    .replace('name: corp', `name: ${name}`)
    .replace(/issuer: .*/, `issuer: ${issuer}`)

describe('identity_providers', () => {
  test('are read with their defaults, and paths beside the file', () => {
    const [provider] = readConfig(shared.file).identityProviders
    assert.deepEqual(provider, {
      name: 'corp',
      label: 'Example Corp',
      issuer: 'https://login.example.com/realms/corp',
      clientId: 'nats',
      clientSecretFile: join(shared.dir, 'keys/idp/corp.secret'),
      tokenEndpointAuth: 'client_secret_basic',
      scopes: ['openid', 'profile', 'email'],
      freshPrompt: 'login',
      acrValues: [],
      amr: [],
      mapping: {
        roles: { pointer: '/groups', map: new Map([['orders', ['orders-writer']]]), listMax: null },
        handle: { pointer: '/preferred_username', prefix: '' },
        displayName: { pointer: '/name' },
        claims: {},
      },
      claimsFrom: 'id_token',
      caFile: null,
    })
  })

  test('are none where nothing is written', () => {
    const dir = makeConfigDir()
    assert.deepEqual(readConfig(dir.file).identityProviders, [])
    dir.remove()
  })

  test('may be several, public, on loopback, and map a value to several roles', () => {
    const dir = makeConfigDir(
      (text) =>
        `${text}${PROVIDER}${second('dev', 'http://localhost:8081/realms/dev')
          .replace(/ {4}client_secret_file.*\n/, '')
          .replace('orders-writer', '[orders-writer, support]')}`,
    )
    const [, dev] = readConfig(dir.file).identityProviders
    assert.equal(dev?.tokenEndpointAuth, 'none')
    assert.deepEqual(dev.mapping.roles.map.get('orders'), ['orders-writer', 'support'])
    dir.remove()
  })

  const refusals: [string, (text: string) => string, RegExp][] = [
    ['two of one name', (t) => t + second('corp', 'https://other.example'), /\[1\]\.name: identity_providers\[0\] has the same name/],
    [
      'two of one issuer: one subject would be two people, or two people one',
      (t) => t + second('other', 'https://login.example.com/realms/corp'),
      /\[1\]\.issuer: identity_providers\[0\] has the same issuer/,
    ],
    ['a name that is none', (t) => t.replace('name: corp', 'name: Corp'), /\[0\]\.name: write lower-case/],
    [
      'a label that reorders what stands beside it',
      (t) => t.replace('label: Example Corp', 'label: "a\\u202eb"'),
      /\[0\]\.label: write plain text/,
    ],
    ['an issuer without TLS', (t) => t.replace('https://login', 'http://login'), /\[0\]\.issuer: write https:/],
    ['an issuer that is no address', (t) => t.replace('https://login.example.com/realms/corp', 'corp'), /\[0\]\.issuer: write https:/],
    ['an issuer that is a file', (t) => t.replace('https://login.example.com/realms/corp', 'file:///etc'), /\[0\]\.issuer: write https:/],
    ['an issuer with a query', (t) => t.replace('realms/corp', 'realms/corp?x=1'), /\[0\]\.issuer: an issuer has no query/],
    ['an issuer with a user', (t) => t.replace('https://login', 'https://me:you@login'), /\[0\]\.issuer: an issuer has no query/],
    [
      'the address of metadata in place of an issuer',
      (t) => t.replace('realms/corp', 'realms/corp/.well-known/openid-configuration'),
      /\[0\]\.issuer: write the issuer alone/,
    ],
    [
      'an issuer that stands for many tenants',
      (t) => t.replace('https://login.example.com/realms/corp', 'https://login.microsoftonline.com/common/v2.0'),
      /\[0\]\.issuer: write the id of one tenant/,
    ],
    ['scopes without openid', (t) => t.replace('    roles:', '    scopes: [profile]\n    roles:'), /\[0\]\.scopes: openid must/],
    ['a scope with a space', (t) => t.replace('    roles:', '    scopes: ["openid x"]\n    roles:'), /\[0\]\.scopes/],
    ['a claim that is no pointer', (t) => t.replace('/groups', 'groups'), /\[0\]\.roles\.claim: write a JSON pointer/],
    ['a claim that is all claims', (t) => t.replace('/groups', '""'), /\[0\]\.roles\.claim: write a JSON pointer/],
    ['a pointer with a bare tilde', (t) => t.replace('/groups', '/a~b'), /\[0\]\.roles\.claim: write a JSON pointer/],
    ['a map without a value', (t) => t.replace('{ orders: orders-writer }', '{}'), /\[0\]\.roles\.map: map at least one/],
    ['a map to something that names no role', (t) => t.replace('orders-writer', '"orders writer"'), /\[0\]\.roles\.map\.orders/],
    ['a map to no role', (t) => t.replace('orders-writer', '[]'), /\[0\]\.roles\.map\.orders/],
    ['a value that stands twice in a map', (t) => t.replace('{ orders: orders-writer }', '{ orders: a, orders: b }'), /orders/],
    ['no map at all', (t) => t.replace(/ {6}map: .*\n/, ''), /\[0\]\.roles\.map: /],
    ['a list_max of nothing', (t) => t.replace('      map:', '      list_max: 0\n      map:'), /\[0\]\.roles\.list_max/],
    [
      'a prefix that is no part of a handle',
      (t) => t.replace('    roles:', '    handle: { prefix: "A." }\n    roles:'),
      /\[0\]\.handle\.prefix: /,
    ],
    [
      'a template claim of no pointer',
      (t) => t.replace('    roles:', '    claims: { team: team }\n    roles:'),
      /\[0\]\.claims\.team: write a JSON/,
    ],
    ['a template claim with a dot', (t) => t.replace('    roles:', '    claims: { "a.b": /a }\n    roles:'), /\[0\]\.claims/],
    ['no demand where one is written', (t) => t.replace('    roles:', '    acr_values: []\n    roles:'), /\[0\]\.acr_values/],
    ['an unknown key', (t) => t.replace('client_id:', 'clientid:'), /unknown key "clientid": did you mean "client_id"/],
    [
      'a way to send a secret that is not there',
      (t) => t.replace(/ {4}client_secret_file.*\n/, '    token_endpoint_auth: client_secret_post\n'),
      /\[0\]\.token_endpoint_auth: client_secret_post needs client_secret_file/,
    ],
    [
      'a secret that is never sent',
      (t) => t.replace('    roles:', '    token_endpoint_auth: none\n    roles:'),
      /\[0\]\.client_secret_file: none sends no secret/,
    ],
    [
      'a secret in the file itself',
      (t) => t.replace('client_secret_file: keys/idp/corp.secret', 'client_secret: x'),
      /unknown key "client_secret"/,
    ],
    [
      'providers without a relying party for people',
      (t) => t.replace(/ {2}person:\n( {4}.*\n)+/, ''),
      /identity_providers: people need relying_parties\.person/,
    ],
    ['providers without a page', (t) => t.replace(/^enrolment:\n( {2}.*\n)+/m, ''), /identity_providers: .*they need enrolment/],
    [
      'a page on another origin than the people',
      (t) => t.replace('origins: ["http://localhost:8780"]', 'origins: ["http://localhost:9999"]'),
      /person\.origins: people sign in at enrolment\.origin: http:\/\/localhost:8780 must be among them/,
    ],
  ]
  for (const [name, change, expected] of refusals) {
    test(`with ${name} are refused`, () => {
      const problems = problemsOf(change)
      assert.ok(problems.length > 0, 'accepted')
      assert.match(problems.join('\n'), expected)
      for (const problem of problems) assert.match(problem, /^\d+: /)
    })
  }

  test('do not lose a value that is called like a member of every object', () => {
    for (const value of ['constructor', 'toString']) {
      const dir = makeConfigDir((text) => text + PROVIDER.replace('orders: orders-writer', `${value}: orders-writer`))
      assert.deepEqual([...(readConfig(dir.file).identityProviders[0]?.mapping.roles.map.keys() ?? [])], [value])
      dir.remove()
    }
    // It could only be lost silently.
    assert.ok(problemsOf((text) => text.replace('{ orders: orders-writer }', '{ __proto__: orders-writer }')).length > 0)
    assert.ok(problemsOf((text) => text.replace('    roles:', '    claims: { __proto__: /a }\n    roles:')).length > 0)
  })
})

describe('the secret of a client', () => {
  test('must be there, for its owner alone, and is not repeated', () => {
    const path = join(shared.dir, 'keys/idp/corp.secret')
    const config = readConfig(shared.file)
    assert.deepEqual(secretProblems(config), [`${path}: cannot be read (ENOENT)`])
    mkdirSync(join(shared.dir, 'keys/idp'), { recursive: true })
    writeFileSync(path, 'the secret\n')
    chmodSync(path, 0o640)
    assert.deepEqual(secretProblems(config), [`${path}: readable by group or others: chmod 600`])
    chmodSync(path, 0o600)
    assert.deepEqual(secretProblems(config), [])
    writeFileSync(path, '\n')
    assert.deepEqual(secretProblems(config), [`${path}: empty`])
  })
})
