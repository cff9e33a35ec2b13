/** `policy lint|test|explain|diff` as functions: exit codes, data on `out`, messages on `say`. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { policyDiff, policyExplain, policyLint, policyTest } from '../../src/cli/policy-verbs.ts'
import { parseRoleName, type RoleName } from '../../src/core/identifiers.ts'
import type { HypotheticalConnection } from '../../src/core/policy/hypothetical-connection.ts'
import { accountName, testNow } from '../support/policy-subject.ts'
import { handleOf } from '../support/records.ts'

const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-policy-'))
after(() => rmSync(dir, { recursive: true }))
function file(name: string, text: string): string {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}
function command(json = true) {
  const out: string[] = []
  const said: string[] = []
  const io = { out: (line: string) => out.push(line), say: (line: string) => said.push(line) }
  return {
    out,
    said,
    data: () => out.map((line) => JSON.parse(line)),
    base: { targetAccounts: [accountName('APP')], reservedAccounts: [], io, json },
  }
}
const connection = (roles: string[], more: Partial<HypotheticalConnection> = {}): HypotheticalConnection => ({
  handle: handleOf('alice'),
  class: 'machine',
  roles: roles.map((name) => ({ name: parseRoleName(name) as RoleName, ageSeconds: null })),
  claims: {},
  userVerified: false,
  deviceBound: false,
  attestation: 'none',
  approved: false,
  byCode: false,
  aaguid: '',
  clientType: 'nats',
  sourceAddress: null,
  rolesMaxAgeSeconds: 86_400,
  now: testNow,
  ...more,
})

const policy = file(
  'policy.yaml',
  `
version: 1
roles:
  writer: { account: APP, publish: { allow: ["orders.{{user}}.>"], deny: ["orders.{{user}}.no"] } }
  heads: { account: APP, subscribe: { allow: ["heads.*"] }, require: { class: person } }
  late: { account: APP, subscribe: { allow: [late] }, ttl: 2h }
  crown: { account: APP, publish: { allow: ["c.{{user}}"] }, privileged: true, require: { class: person, attestation: direct, approval: true } }
  terminal: { account: APP, publish: { allow: ["t.{{user}}"] }, session: 1h, plain_sessions: true, login_by_code: true }
`,
)
const broken = file('broken.yaml', 'version: 1\nroles:\n  r: { account: SYS }\n')

describe('policy lint', () => {
  test('0 for a valid policy, warnings or not', async () => {
    const { base, data } = command()
    assert.equal(await policyLint({ ...base, file: policy, strict: false }), 0)
    assert.equal(data()[0].valid, true)
    assert.deepEqual(
      data()[0].findings.map(({ rule }: { rule: string }) => rule),
      ['long-ttl', 'plain-sessions'],
    )
  })
  test('1 for warnings under --strict', async () => assert.equal(await policyLint({ ...command().base, file: policy, strict: true }), 1))
  test('1 for a policy that is not valid, with its line', async () => {
    const { base, out } = command(false)
    assert.equal(await policyLint({ ...base, file: broken, strict: false }), 1)
    assert.match(out[0] ?? '', /broken\.yaml:3:17: error invalid: roles\.r\.account/)
  })
  test('78 for a file that is not there, or is a directory', async () => {
    assert.equal(await policyLint({ ...command().base, file: join(dir, 'none'), strict: false }), 78)
    assert.equal(await policyLint({ ...command().base, file: dir, strict: false }), 78)
  })
})

describe('policy test', () => {
  const cases = (text: string) => [file('cases.yaml', `version: 1\ncases:\n${text}`)]
  const run = async (text: string) => {
    const { base, data } = command()
    const code = await policyTest({ ...base, file: policy, cases: cases(text), now: testNow })
    return { code, passed: data().map(({ passed }: { passed: boolean }) => passed) }
  }
  const writer = 'identity: { class: machine, handle: alice, roles: [writer] }'
  const good = {
    'a subject that is allowed': `{ name: n, ${writer}, publish: { allowed: [orders.alice.x, "orders.{{user}}.x"], denied: [orders.bob.x, orders.alice.no] } }`,
    'an inbox': `{ name: n, ${writer}, subscribe: { allowed: ["_INBOX_alice.x"], denied: ["_INBOX_bob.x", ">"] } }`,
    'an account': `{ name: n, ${writer}, account: APP }`,
    'a denial': '{ name: n, identity: { class: machine, roles: [heads] }, denial: roles_none }',
    'a stale role': '{ name: n, identity: { class: person, roles: [{ name: heads, age: 25h }] }, denial: roles_stale }',
    'a device that shows what it is, and is approved':
      '{ name: n, identity: { class: person, roles: [crown] }, connection: { attestation: attested, approved: true }, account: APP }',
    'a device that nobody approved':
      '{ name: n, identity: { class: person, roles: [crown] }, connection: { attestation: mds }, denial: roles_none }',
    'a device that shows nothing':
      '{ name: n, identity: { class: person, roles: [crown] }, connection: { approved: true }, denial: roles_none }',
    'a privileged role and a code':
      '{ name: n, identity: { class: person, roles: [crown] }, connection: { attestation: mds, approved: true, by_code: true }, denial: roles_none }',
    'a role that opted in to codes': '{ name: n, identity: { class: person, roles: [terminal] }, connection: { by_code: true } }',
    'a role that did not': '{ name: n, identity: { class: person, roles: [late] }, connection: { by_code: true }, denial: roles_none }',
    'a filtered subscription': '{ name: n, identity: { class: person, roles: [heads] }, subscribe: { filtered: ["heads.>"] } }',
  }
  for (const [name, text] of Object.entries(good))
    test(`0 for ${name}`, async () => assert.deepEqual(await run(`  - ${text}`), { code: 0, passed: [true] }))
  const bad = {
    'a subject that is not allowed': `{ name: n, ${writer}, publish: { allowed: [orders.bob.x] } }`,
    'a subject that is not denied': `{ name: n, ${writer}, publish: { denied: [orders.alice.x] } }`,
    'a wildcard to publish to': `{ name: n, ${writer}, publish: { denied: ["orders.*"] } }`,
    'a malformed subject': `{ name: n, ${writer}, subscribe: { denied: ["a..b"] } }`,
    'another account': `{ name: n, ${writer}, account: OTHER }`,
    'another denial': '{ name: n, identity: { class: machine, roles: [heads] }, denial: roles_stale }',
    'a grant where a denial was expected': `{ name: n, ${writer}, denial: roles_none }`,
    'a denial where a grant was expected': '{ name: n, identity: { class: machine, roles: [] } }',
    'filtered taken for allowed': '{ name: n, identity: { class: person, roles: [heads] }, subscribe: { allowed: ["heads.>"] } }',
  }
  for (const [name, text] of Object.entries(bad))
    test(`1 for ${name}`, async () => assert.deepEqual(await run(`  - ${text}`), { code: 1, passed: [false] }))
  const invalid = {
    'an unknown key': `{ name: n, ${writer}, publsh: {} }`,
    'an unknown denial': `{ name: n, ${writer}, denial: nope }`,
    'no identity': '{ name: n }',
    'no cases': '',
  }
  for (const [name, text] of Object.entries(invalid)) {
    test(`78 for ${name}`, async () => assert.equal((await run(text === '' ? '' : `  - ${text}`)).code, 78))
  }
  test('78 for a policy that is not valid', async () => {
    assert.equal(await policyTest({ ...command().base, file: broken, cases: cases(`  - ${good['an inbox']}`), now: testNow }), 78)
  })
})

describe('policy explain', () => {
  const explain = async (
    roles: string[],
    asked: { publish?: string[]; subscribe?: string[] },
    more: Partial<HypotheticalConnection> = {},
  ) => {
    const { base, data } = command()
    const code = await policyExplain({ ...base, file: policy, connection: connection(roles, more), publish: [], subscribe: [], ...asked })
    return { code, explanation: data()[0] }
  }
  test('0 and the rule that allows', async () => {
    const { code, explanation } = await explain(['writer'], { publish: ['orders.alice.x'] })
    assert.equal(code, 0)
    assert.deepEqual(explanation.subjects, [
      {
        action: 'publish',
        subject: 'orders.alice.x',
        verdict: 'allowed',
        because: [{ role: 'writer', list: 'allow', entry: 'orders.{{user}}.>' }],
      },
    ])
  })
  test('1 and the rule that denies', async () => {
    const { code, explanation } = await explain(['writer'], { publish: ['orders.alice.no', 'else'] })
    assert.equal(code, 1)
    assert.deepEqual(
      explanation.subjects.map(({ because }: { because: unknown }) => because),
      [[{ role: 'writer', list: 'deny', entry: 'orders.{{user}}.no' }], []],
    )
  })
  test('names what a role requires and does not get', async () => {
    const { code, explanation } = await explain(['heads', 'ghost'], {})
    assert.equal(code, 1)
    assert.deepEqual(explanation.roles, [
      { role: 'heads', status: 'unmet', unmet: ['class'] },
      { role: 'ghost', status: 'unknown' },
    ])
    assert.deepEqual(explanation.result, { granted: false, denial: 'roles_none' })
  })
  test('names what the device and the way of endorsing lack', async () => {
    const unmet = async (more: Partial<HypotheticalConnection>) =>
      (await explain(['crown'], {}, { class: 'person', ...more })).explanation.roles[0].unmet
    assert.deepEqual(await unmet({}), ['attestation', 'approval'])
    assert.deepEqual(await unmet({ attestation: 'attested' }), ['approval'])
    assert.deepEqual(await unmet({ attestation: 'mds', approved: true, byCode: true }), ['login_by_code'])
    assert.equal(await unmet({ attestation: 'mds', approved: true }), undefined)
  })
  test('says what the service adds by itself', async () => {
    const { explanation } = await explain(['heads'], { subscribe: ['heads.>', '_INBOX_alice.1'] }, { class: 'person' })
    assert.deepEqual(
      explanation.subjects.map(({ verdict, because }: { verdict: string; because: unknown }) => [verdict, because]),
      [
        ['filtered', [{ role: null, list: 'deny', entry: 'heads.*.>' }]],
        ['allowed', [{ role: null, list: 'allow', entry: '_INBOX_alice.>' }]],
      ],
    )
  })
  test('2 for what is no subject', async () => {
    assert.equal((await explain(['writer'], { publish: ['a..b'] })).code, 2)
    assert.equal((await explain(['writer'], { publish: ['a.*'] })).code, 2)
    assert.equal((await explain(['writer'], { subscribe: ['a b c'] })).code, 2)
  })
})

describe('policy diff', () => {
  const diff = async (before: string, after: string) => {
    const { base, data } = command()
    const code = await policyDiff({
      ...base,
      before: file('before.yaml', `version: 1\nroles:\n${before}`),
      after: file('after.yaml', `version: 1\nroles:\n${after}`),
    })
    return { code, diffs: data() }
  }
  test('0 where both mean the same, however written', async () => {
    const { code, diffs } = await diff(
      '  r: { account: APP, publish: { allow: [a, b] }, ttl: 60m }',
      '  # new\n  r: { ttl: 1h, account: APP, publish: { allow: [b, a] } }',
    )
    assert.deepEqual({ code, diffs }, { code: 0, diffs: [] })
  })
  test('1 with what is gained and lost, a lifted deny among the gains', async () => {
    const { code, diffs } = await diff(
      '  r: { account: APP, publish: { allow: ["a.>", b], deny: [a.no] }, subscribe: { allow: [c] }, ttl: 1m }',
      '  r: { account: APP, publish: { allow: ["a.x", c] }, subscribe: { allow: [c], deny: [c] }, ttl: 2m }',
    )
    assert.equal(code, 1)
    assert.deepEqual(diffs, [
      {
        role: 'r',
        change: 'changed',
        gained: [
          { side: 'publish', list: 'allow', entry: 'c' },
          { side: 'publish', list: 'deny', entry: 'a.no' },
        ],
        lost: [
          { side: 'publish', list: 'allow', entry: 'a.>' },
          { side: 'publish', list: 'allow', entry: 'b' },
          { side: 'subscribe', list: 'deny', entry: 'c' },
        ],
        settings: [{ name: 'ttl', from: 60, to: 120 }],
      },
    ])
  })
  test('1 with roles that came and went, and the denies that went with them', async () => {
    const { diffs } = await diff(
      '  old: { account: APP, publish: { allow: [x], deny: [y] } }',
      '  new: { account: APP, publish: { allow: [x] } }',
    )
    assert.deepEqual(
      diffs.map(({ role, change, gained, lost }) => [role, change, gained.length, lost.length]),
      [
        ['new', 'added', 1, 0],
        ['old', 'removed', 1, 1],
      ],
    )
  })
  test('1 with what a role asks of people otherwise', async () => {
    const { code, diffs } = await diff(
      '  r: { account: APP, publish: { allow: [x] } }',
      '  r: { account: APP, publish: { allow: [x] }, privileged: true, require: { approval: true, attestation: mds } }',
    )
    assert.equal(code, 1)
    assert.deepEqual(diffs[0].settings, [
      { name: 'privileged', from: false, to: true },
      { name: 'require.attestation', from: null, to: 'mds' },
      { name: 'require.approval', from: false, to: true },
    ])
    const opened = await diff('  r: { account: APP }', '  r: { account: APP, login_by_code: true }')
    assert.deepEqual(opened.diffs[0].settings, [{ name: 'login_by_code', from: false, to: true }])
  })
  test('1 with what is asked of new devices otherwise, also where no role differs', async () => {
    const person = (body: string) => `  r: { account: APP, publish: { allow: [x] } }\nenrolment: { person: { ${body} } }`
    const { code, diffs } = await diff(person(''), person('attestation: mds, device_bound: true, devices_max: 3, another_device: device'))
    assert.equal(code, 1)
    assert.deepEqual(diffs, [
      {
        enrolment: 'person',
        settings: [
          { name: 'attestation', from: 'none', to: 'mds' },
          { name: 'device_bound', from: false, to: true },
          { name: 'devices_max', from: 10, to: 3 },
          { name: 'another_device', from: 'login', to: 'device' },
        ],
      },
    ])
    assert.deepEqual(await diff(person('devices_max: 10'), person('')), { code: 0, diffs: [] })
  })
  test('78 where one is not valid', async () => assert.equal(await policyDiff({ ...command().base, before: policy, after: broken }), 78))
})
