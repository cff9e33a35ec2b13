/** What parsePolicy accepts, and every way in which it refuses: longer than 300 lines because each is a row of its own. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { type PolicyIssue, parsePolicy } from '../../src/core/policy/policy-document.ts'
import { anyText } from '../support/any-text.ts'
import { accountName } from '../support/policy-subject.ts'

const options = { targetAccounts: [accountName('APP'), accountName('AUTH'), accountName('OPS')], reservedAccounts: ['OPS'] }
const parse = (text: string) => parsePolicy(text, options)
function issues(text: string): PolicyIssue[] {
  const parsed = parse(text)
  return parsed.ok ? [] : parsed.issues
}
/** A policy of one role `r`, written in flow style on line 3. */
const role = (body: string) => `version: 1\nroles:\n  r: { account: APP, ${body} }\n`
const where = (text: string) => issues(text).map(({ line, path }) => `${line} ${path}`)

describe('a valid policy', () => {
  const text = `
version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.{{user}}.>"], deny: ["orders.{{user}}.no"] }
    subscribe: { allow: ["orders.replies.{{user}}", "work.* queue"] }
    allow_responses: { max: 2, ttl: 60s }
    ttl: 20m
    session: 12h
    plain_sessions: true
    login_by_code: true
    limits: { connections: 10 }
    require:
      class: machine
      user_verification: true
      device_bound: true
      aaguids: [AAAAAAAA-0000-0000-0000-000000000001]
      attestation: mds
      approval: true
      client_types: [nats, websocket]
      source_cidrs: [10.0.0.0/8, "FD00::/8"]
      time_windows: [{ days: [mon, tue], from: "08:00", to: "24:00", timezone: "Europe/Berlin" }]
  bare: { account: APP }
  crown: { account: APP, privileged: true }
enrolment:
  person:
    attestation: direct
    aaguids: [AAAAAAAA-0000-0000-0000-000000000002]
    device_bound: true
    devices_max: 3
    another_device: device
`
  test('becomes roles', () => {
    const parsed = parse(text)
    assert.ok(parsed.ok)
    const [full, bare, crown] = [...parsed.policy.roles.values()]
    assert.deepEqual(full, {
      name: 'orders-writer',
      account: 'APP',
      publish: { allow: ['orders.{{user}}.>'], deny: ['orders.{{user}}.no'] },
      subscribe: { allow: ['orders.replies.{{user}}', 'work.* queue'], deny: [] },
      allowResponses: { max: 2, ttlSeconds: 60 },
      ttlSeconds: 1200,
      sessionSeconds: 43_200,
      plainSessions: true,
      loginByCode: true,
      privileged: false,
      limits: { connections: 10 },
      require: {
        class: 'machine',
        userVerification: true,
        deviceBound: true,
        aaguids: ['aaaaaaaa-0000-0000-0000-000000000001'],
        attestation: 'mds',
        approval: true,
        clientTypes: ['nats', 'websocket'],
        sourceCidrs: ['10.0.0.0/8', 'fd00::/8'],
        timeWindows: [{ days: [1, 2], fromMinute: 480, toMinute: 1440, timeZone: 'Europe/Berlin' }],
      },
    })
    assert.deepEqual(bare, {
      name: 'bare',
      account: 'APP',
      publish: { allow: [], deny: [] },
      subscribe: { allow: [], deny: [] },
      allowResponses: null,
      ttlSeconds: 900,
      sessionSeconds: null,
      plainSessions: false,
      loginByCode: false,
      privileged: false,
      limits: { connections: null },
      require: {
        class: null,
        userVerification: false,
        deviceBound: false,
        aaguids: null,
        attestation: null,
        approval: false,
        clientTypes: null,
        sourceCidrs: null,
        timeWindows: null,
      },
    })
    assert.equal(crown?.privileged, true)
    assert.deepEqual(parsed.policy.personEnrolment, {
      attestation: 'direct',
      aaguids: ['aaaaaaaa-0000-0000-0000-000000000002'],
      deviceBound: true,
      devicesMax: 3,
      anotherDevice: 'device',
    })
    assert.deepEqual(parsed.warnings, [])
    assert.equal(parsed.policy.hash, createHash('sha256').update(text).digest('hex'))
  })
  test('may ask for responses as nats-server does by default, or for none', () => {
    const responses = (value: string) => {
      const parsed = parse(role(`allow_responses: ${value}`))
      return parsed.ok ? [...parsed.policy.roles.values()][0]?.allowResponses : 'refused'
    }
    assert.deepEqual(responses('true'), { max: 1, ttlSeconds: 120 })
    assert.deepEqual(responses('{}'), { max: 1, ttlSeconds: 120 })
    assert.equal(responses('false'), null)
  })
  test('asks nothing of the devices of people where it says nothing, and ten of them are enough', () => {
    for (const text of [
      'version: 1\nroles: {}',
      'version: 1\nroles: {}\nenrolment: {}',
      'version: 1\nroles: {}\nenrolment: { person: {} }',
    ]) {
      const parsed = parse(text)
      assert.deepEqual(parsed.ok && parsed.policy.personEnrolment, DEFAULT_PERSON_ENROLMENT)
    }
  })
  test('may have no roles', () => assert.equal(parse('version: 1\nroles: {}').ok, true))
  test('may reach reserved subjects where it says so, and is warned', () => {
    const parsed = parse(role('publish: { allow: ["$JS.API.INFO", ok.x] }, dangerously_allow_reserved_subjects: true'))
    assert.ok(parsed.ok)
    assert.deepEqual(
      parsed.warnings.map(({ line, path }) => `${line} ${path}`),
      ['3 roles.r.publish.allow[0]'],
    )
  })
  test('may rely on a newer nats-server where it says so', () => {
    const body = 'subscribe: { allow: ["o.>", "d.*.*"], deny: ["o.s.>", "o.q reserved"] }'
    assert.deepEqual(where(role(body)), ['3 roles.r.subscribe.deny[0]', '3 roles.r.subscribe.deny[1]', '3 roles.r.subscribe.allow[1]'])
    for (const version of ['2.15', '2.16', '3.0']) assert.equal(parse(`nats_server_min: "${version}"\n${role(body)}`).ok, true)
    assert.equal(where(`nats_server_min: "2.14"\n${role(body)}`).length, 3)
  })
  test("finds a deny that another role's allow lets subscribers around", () => {
    const text =
      'version: 1\nroles:\n  a: { account: APP, subscribe: { allow: ["o.>"] } }\n  b: { account: APP, subscribe: { deny: ["o.s.>"] } }\n'
    assert.deepEqual(where(text), ['4 roles.b.subscribe.deny[0]'])
  })
})

describe('what the parser refuses', () => {
  const one: Record<string, [string, string]> = {
    'an unknown key': [role('publsh: {}'), '3 roles.r.publsh'],
    'an unknown key at the top': ['version: 1\nroles: {}\nrole: {}\n', '3 role'],
    'an unknown requirement': [role('require: { uv: true }'), '3 roles.r.require.uv'],
    'another version': ['version: 2\nroles: {}', '1 version'],
    'a missing version': ['roles: {}', '1 version'],
    'missing roles': ['version: 1', '1 roles'],
    'a missing account': ['version: 1\nroles:\n  r: {}\n', '3 roles.r.account'],
    'a role of nothing': ['version: 1\nroles:\n  r:\n', '3 roles.r'],
    'a bad name for a role': ['version: 1\nroles:\n  "a b": { account: APP }\n', '3 roles'],
    'a role named with a dot': ['version: 1\nroles:\n  a.b: { account: APP }\n', '3 roles'],
    'a subject that is a number': [role('publish: { allow: [1] }'), '3 roles.r.publish.allow[0]'],
    'an allow that is no list': [role('publish: { allow: a }'), '3 roles.r.publish.allow'],
    'a malformed subject': [role('publish: { allow: [a, a..b] }'), '3 roles.r.publish.allow[1]'],
    'a malformed deny': [role('subscribe: { deny: ["a.>.b"] }'), '3 roles.r.subscribe.deny[0]'],
    'a queue in a publish entry': [role('publish: { allow: ["a q"] }'), '3 roles.r.publish.allow[0]'],
    'a template inside a token': [role('publish: { allow: ["a-{{user}}"] }'), '3 roles.r.publish.allow[0]'],
    'a template that does not exist': [role('publish: { allow: ["a.{{name}}"] }'), '3 roles.r.publish.allow[0]'],
    'an allow beside a star that cuts it': [role('subscribe: { allow: ["a.*", "a.b.c"] }'), '3 roles.r.subscribe.allow[1]'],
    'a ttl of nothing': [role('ttl: 0'), '3 roles.r.ttl'],
    'a ttl of a day and more': [role('ttl: 25h'), '3 roles.r.ttl'],
    'a ttl without a unit': [role('ttl: 900'), '3 roles.r.ttl'],
    'a negative ttl': [role('ttl: -5m'), '3 roles.r.ttl'],
    'a ttl in milliseconds': [role('ttl: 5000ms'), '3 roles.r.ttl'],
    'a session of more than 30 days': [role('session: 31d'), '3 roles.r.session'],
    'responses without end': [role('allow_responses: { max: -1 }'), '3 roles.r.allow_responses.max'],
    'responses for more than an hour': [role('allow_responses: { ttl: 2h }'), '3 roles.r.allow_responses.ttl'],
    'no connections at all': [role('limits: { connections: 0 }'), '3 roles.r.limits.connections'],
    'half a connection': [role('limits: { connections: 1.5 }'), '3 roles.r.limits.connections'],
    'subs, which nobody enforces': [role('limits: { subs: 5 }'), '3 roles.r.limits.subs'],
    'data, which nobody enforces': [role('limits: { data: 5 }'), '3 roles.r.limits.data'],
    'payload, which nobody enforces': [role('limits: { payload: 5 }'), '3 roles.r.limits.payload'],
    'an unknown class': [role('require: { class: robot }'), '3 roles.r.require.class'],
    'a yes that is no boolean': [role('require: { device_bound: yes }'), '3 roles.r.require.device_bound'],
    'an AAGUID that is none': [role('require: { aaguids: [abc] }'), '3 roles.r.require.aaguids[0]'],
    'an attestation that is none of the two': [role('require: { attestation: none }'), '3 roles.r.require.attestation'],
    'an approval that names who approves': [role('require: { approval: admin }'), '3 roles.r.require.approval'],
    'a privileged role that a code could endorse': [role('privileged: true, login_by_code: true'), '3 roles.r.login_by_code'],
    'a code where it means nothing': ['version: 1\nlogin_by_code: true\nroles: {}\n', '2 login_by_code'],
    'an unknown class of enrolment': ['version: 1\nenrolment: { machine: {} }\nroles: {}\n', '2 enrolment.machine'],
    'an unknown demand on devices': ['version: 1\nenrolment: { person: { uv: true } }\nroles: {}\n', '2 enrolment.person.uv'],
    'no room for any device': ['version: 1\nenrolment: { person: { devices_max: 0 } }\nroles: {}\n', '2 enrolment.person.devices_max'],
    'room for too many devices': ['version: 1\nenrolment: { person: { devices_max: 101 } }\nroles: {}\n', '2 enrolment.person.devices_max'],
    'a way to another device that is none': [
      'version: 1\nenrolment: { person: { another_device: none } }\nroles: {}\n',
      '2 enrolment.person.another_device',
    ],
    'no models of devices at all': ['version: 1\nenrolment: { person: { aaguids: [] } }\nroles: {}\n', '2 enrolment.person.aaguids'],
    'an empty list of AAGUIDs': [role('require: { aaguids: [] }'), '3 roles.r.require.aaguids'],
    'an unknown client type': [role('require: { client_types: [mqtt] }'), '3 roles.r.require.client_types[0]'],
    'a CIDR with bits behind its prefix': [role('require: { source_cidrs: [10.0.0.1/8] }'), '3 roles.r.require.source_cidrs[0]'],
    'an unknown day': [
      role('require: { time_windows: [{ days: [someday], from: "08:00", to: "09:00", timezone: UTC }] }'),
      '3 roles.r.require.time_windows[0].days[0]',
    ],
    'a window over midnight': [
      role('require: { time_windows: [{ days: [mon], from: "22:00", to: "06:00", timezone: UTC }] }'),
      '3 roles.r.require.time_windows[0]',
    ],
    'a 25th hour': [
      role('require: { time_windows: [{ days: [mon], from: "08:00", to: "24:01", timezone: UTC }] }'),
      '3 roles.r.require.time_windows[0].to',
    ],
    'an unknown time zone': [
      role('require: { time_windows: [{ days: [mon], from: "08:00", to: "09:00", timezone: Mars/Base }] }'),
      '3 roles.r.require.time_windows[0].timezone',
    ],
    'a window without a time zone': [
      role('require: { time_windows: [{ days: [mon], from: "08:00", to: "09:00" }] }'),
      '3 roles.r.require.time_windows[0].timezone',
    ],
    'an unquoted server version': ['version: 1\nnats_server_min: 2.15\nroles: {}', '2 nats_server_min'],
  }
  for (const [name, [text, at]] of Object.entries(one)) test(name, () => assert.deepEqual(where(text), [at]))

  for (const account of ['AUTH', 'AUDIT', 'SYS', '$SYS', 'OPS']) {
    test(`the reserved account ${account}, listed or not`, () =>
      assert.deepEqual(where(`version: 1\nroles:\n  r: { account: ${account} }\n`), ['3 roles.r.account']))
  }
  test('an account that is not a target', () =>
    assert.deepEqual(where('version: 1\nroles:\n  r: { account: ELSE }\n'), ['3 roles.r.account']))

  for (const subject of ['$SYS.>', '$SYS', '$JS.API.>', '$KV.x.>', '$O.x.>', '>', '*', '*.x', '$MQTT.x']) {
    test(`the reserved reach of ${subject} without opt-in`, () => {
      assert.deepEqual(where(role(`publish: { allow: ["${subject}"] }`)), ['3 roles.r.publish.allow[0]'])
      assert.deepEqual(where(role(`subscribe: { allow: ["${subject}"] }`)), ['3 roles.r.subscribe.allow[0]'])
      assert.equal(parse(role(`publish: { deny: ["${subject}"] }`)).ok, true)
    })
  }
  for (const subject of ['_INBOX.>', '_INBOX_bob.>', '_INBOX_bob.x q', '_INBOX']) {
    test(`the inbox ${subject}, opt-in or not`, () => {
      const body = `subscribe: { allow: ["${subject}"] }`
      assert.deepEqual(where(role(body)), ['3 roles.r.subscribe.allow[0]'])
      assert.deepEqual(where(role(`${body}, dangerously_allow_reserved_subjects: true`)), ['3 roles.r.subscribe.allow[0]'])
    })
  }
  test("an inbox that a role's name would spell", () => {
    assert.deepEqual(where('version: 1\nroles:\n  _INBOX_bob: { account: APP, subscribe: { allow: ["{{role}}.>"] } }\n'), [
      '3 roles._INBOX_bob.subscribe.allow[0]',
    ])
  })

  const yaml: Record<string, [string, number]> = {
    'a key that stands twice': ['version: 1\nroles: {}\nversion: 1\n', 3],
    'a role that stands twice': ['version: 1\nroles:\n  r: { account: APP }\n  r: { account: APP }\n', 4],
    'an anchor': ['version: 1\nroles:\n  r: &a { account: APP }\n', 3],
    'an alias': ['version: 1\nroles:\n  r: *a\n', 3],
    'a merge key': ['version: 1\nroles:\n  r: { <<: { account: APP } }\n', 3],
    'a tag': ['version: 1\nroles: !!map {}\n', 2],
    'an unknown tag': ['version: !js 1\nroles: {}\n', 1],
    'a directive': ['%YAML 1.1\n---\nversion: 1\nroles: {}\n', 1],
    'two documents': ['version: 1\nroles: {}\n---\nversion: 1\nroles: {}\n', 3],
    'the name __proto__': ['version: 1\nroles:\n  __proto__: { account: APP }\n', 3],
    'broken syntax': ['version: 1\nroles: {\n', 3],
    'no mapping at all': ['- 1\n', 1],
    'an empty file': ['', 1],
  }
  for (const [name, [text, line]] of Object.entries(yaml)) {
    test(name, () => {
      const found = issues(text)
      assert.ok(found.length > 0)
      assert.equal(found[0]?.line, line)
    })
  }
  test('a file of more than 256 KiB, before reading it', () =>
    assert.equal(issues(`version: 1\nroles: {} #${'x'.repeat(262_144)}`).length, 1))
  for (const [name, text] of Object.entries({
    brackets: '['.repeat(200_000),
    braces: '{'.repeat(200_000),
    dashes: '- '.repeat(100_000),
    keys: Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
  })) {
    test(`endless nesting of ${name}`, () => assert.equal(issues(text).length, 1))
  }
  test('more than 1000 roles', () => {
    const text = `version: 1\nroles:\n${Array.from({ length: 1001 }, (_, i) => `  r${i}: { account: APP }\n`).join('')}`
    assert.deepEqual(
      where(text),
      ['3 roles'].map((at) => at.replace('3', '2')),
    )
  })
  test('more than 500 subjects in a role', () => {
    const list = (n: number) => `[${Array.from({ length: n }, (_, i) => `s${i}`).join(', ')}]`
    assert.deepEqual(where(role(`publish: { allow: ${list(501)} }`)), ['3 roles.r.publish.allow'])
    assert.deepEqual(where(role(`publish: { allow: ${list(300)} }, subscribe: { allow: ${list(201)} }`)), ['3 roles.r'])
  })

  test('says everything that is wrong at once, each with its line and column', () => {
    const text =
      'version: 1\nroles:\n  a:\n    account: SYS\n    ttl: 99h\n  b:\n    account: APP\n    publish:\n      allow:\n        - fine\n        - a..b\n'
    assert.deepEqual(
      issues(text).map(({ line, column, path }) => `${line}:${column} ${path}`),
      ['5:10 roles.a.ttl', '11:11 roles.b.publish.allow[1]'],
    )
  })
  test('suggests the key that was meant', () => {
    const message = (text: string) => issues(text)[0]?.message ?? ''
    assert.match(message(role('pubish: {}')), /"publish"/)
    assert.match(message(role('plain-session: true')), /"plain_sessions"/)
    assert.doesNotMatch(message(role('xyzzyx: 1')), /did you mean/)
  })
  test('never throws, whatever the text', () => {
    const pieces = fc.constantFrom(
      'version: 1\n',
      'roles:\n',
      '  r:\n',
      '    account: APP\n',
      '    publish: { allow: [',
      '"a.b"',
      ']',
      '}',
      '{',
      ': ',
      '- ',
      '"',
      "'",
      '&a',
      '*a',
      '!!',
      '|',
      '>\n',
      '\t',
      '\u0000',
      '\ud800',
      '{{user}}',
      '?',
      '#',
      '\n',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (text) => typeof parse(text.join('')).ok === 'boolean'),
      { numRuns: 1500 },
    )
    fc.assert(
      fc.property(anyText(), (text) => typeof parse(text).ok === 'boolean'),
      { numRuns: 500 },
    )
  })
})
