import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { AccountName, UserNkey } from '../../src/core/identifiers.ts'
import { parseLegacyUsers } from '../../src/core/legacy/legacy-document.ts'
import { testNkey } from '../support/authorization-request.ts'

const HASH = '$2a$11$abcdefghijklmnopqrstuuN9Tq0Zl1YxW2vU3tS4rQ5pO6nM7lK8j'
const { publicKey: nkey } = testNkey('U')
const targetAccounts = ['APP', 'OTHER'] as AccountName[]
const permissions = 'permissions: { publish: [a.>], subscribe: [b] }'

const parse = (text: string) => parseLegacyUsers(text, { targetAccounts })
const problems = (text: string) => {
  const parsed = parse(text)
  return parsed.ok ? [] : parsed.issues.map(({ line, message }) => `${line}: ${message}`)
}
const one = (members: string) => `users:\n  - { ${members} }\n`

describe('the file of legacy users', () => {
  test('holds users by password, by nkey, and the one token, with what nats-server gave them', () => {
    const parsed = parse(`users:
  - user: billing
    password: "${HASH}"
    account: APP
    permissions:
      publish: { allow: [billing.>, "*.done"], deny: [billing.secret] }
      subscribe: ["jobs workers", ">"]
      allow_responses: { max: 5, ttl: 1m }
  - { name: sensors, nkey: ${nkey}, account: OTHER, permissions: { publish: [], subscribe: [] } }
  - { name: board, token: "${HASH}", account: APP, ${permissions}, }
`)
    assert.ok(parsed.ok, JSON.stringify(parsed))
    const { users } = parsed
    assert.deepEqual(users.byPassword.get('billing'), {
      name: 'legacy:billing',
      account: 'APP',
      permissions: {
        publish: { allow: ['billing.>', '*.done'], deny: ['billing.secret'] },
        subscribe: { allow: ['jobs workers', '>'], deny: [] },
        responses: { max: 5, ttlSeconds: 60 },
      },
      secret: { kind: 'password', hash: HASH },
    })
    assert.equal(users.byNkey.get(nkey as UserNkey)?.name, 'legacy:sensors')
    assert.equal(users.byToken?.name, 'legacy:board')
    assert.equal(users.count, 3)
    assert.match(users.hash, /^[0-9a-f]{64}$/)
  })

  test('may hold nobody any more', () => {
    const parsed = parse('users: []\n')
    assert.ok(parsed.ok)
    assert.equal(parsed.users.count, 0)
  })

  const refused: [string, string, RegExp][] = [
    ['a password that is none but the secret itself', one(`user: a, password: hunter2, account: APP, ${permissions}`), /bcrypt hash/],
    [
      'a hash that would take too long',
      one(`user: a, password: "${HASH.replace('$11$', '$13$')}", account: APP, ${permissions}`),
      /cost 12/,
    ],
    ['a hash that is cut', one(`user: a, password: "${HASH.slice(0, -1)}", account: APP, ${permissions}`), /bcrypt/],
    ['a token in the clear', one(`name: a, token: s3cret, account: APP, ${permissions}`), /bcrypt/],
    ['a seed instead of a public key', one(`name: a, nkey: SUAABC, account: APP, ${permissions}`), /public user nkey/],
    ['an account key', one(`name: a, nkey: ${testNkey('A').publicKey}, account: APP, ${permissions}`), /public user nkey/],
    ['a token without a name', one(`token: "${HASH}", account: APP, ${permissions}`), /write user and password/],
    ['a user without anything to show', one(`user: a, account: APP, ${permissions}`), /write user and password/],
    ['two ways in of one user', one(`user: a, password: "${HASH}", nkey: ${nkey}, account: APP, ${permissions}`), /no two of these/],
    [
      'an account that is no target',
      one(`user: a, password: "${HASH}", account: AUTH, ${permissions}`),
      /not among callout\.accounts\.targets/,
    ],
    ['no account', one(`user: a, password: "${HASH}", ${permissions}`), /write the account/],
    ['no permissions, which nats-server takes for all', one(`user: a, password: "${HASH}", account: APP`), /may do everything/],
    ['permissions without subscribe', one(`user: a, password: "${HASH}", account: APP, permissions: { publish: [a] }`), /subjects/],
    [
      'a side without allow',
      one(`user: a, password: "${HASH}", account: APP, permissions: { publish: { deny: [a] }, subscribe: [] }`),
      /./,
    ],
    [
      'a template',
      one(`user: a, password: "${HASH}", account: APP, permissions: { publish: ["{{user}}.>"], subscribe: [] }`),
      /no templates/,
    ],
    [
      'a subject that is none',
      one(`user: a, password: "${HASH}", account: APP, permissions: { publish: ["a..b"], subscribe: [] }`),
      /empty token/,
    ],
    [
      'a queue to publish to',
      one(`user: a, password: "${HASH}", account: APP, permissions: { publish: ["a b"], subscribe: [] }`),
      /white space/,
    ],
    ['a name with a space', one(`user: "a b", password: "${HASH}", account: APP, ${permissions}`), /without a space/],
    ['a name beyond ASCII', one(`user: ä, password: "${HASH}", account: APP, ${permissions}`), /printable/],
    ['an unknown key', one(`user: a, password: "${HASH}", account: APP, ${permissions}, role: admin`), /unknown key/],
    ['no list at all', 'users:\n', /./],
    ['another file', 'roles: {}\n', /./],
    ['a second document', `users: []\n---\nusers: []\n`, /./],
  ]
  for (const [what, text, message] of refused)
    test(`refuses ${what}`, () => {
      const found = problems(text)
      assert.ok(found.length > 0)
      assert.match(found.join('\n'), message)
    })

  test('refuses whoever would be found twice: a name, an nkey, a second token', () => {
    const user = (name: string) => `  - { user: ${name}, password: "${HASH}", account: APP, ${permissions} }\n`
    const key = (name: string) => `  - { name: ${name}, nkey: ${nkey}, account: APP, ${permissions} }\n`
    const token = (name: string) => `  - { name: ${name}, token: "${HASH}", account: APP, ${permissions} }\n`
    for (const two of [user('a') + user('a'), user('a') + key('a'), key('a') + key('b'), token('a') + token('b')])
      assert.deepEqual(
        problems(`users:\n${two}`).map((problem) => problem.slice(0, 2)),
        ['3:'],
        two,
      )
  })

  test('says the line of each mistake and never a hash or a password', () => {
    const text = `users:
  - { user: a, password: hunter2, account: APP, ${permissions} }
  - { user: b, password: "${HASH}", account: AUTH, ${permissions} }
`
    const all = [...problems(text), ...problems(text.replace('hunter2', `"${HASH}"`))].join('\n')
    assert.match(all, /^2: /m)
    assert.match(all, /^3: /m)
    assert.equal(all.includes('hunter2') || all.includes(HASH), false)
  })

  test('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        parse(text)
        parse(`users:\n  - ${text}`)
      }),
      { numRuns: 500 },
    )
  })
})
