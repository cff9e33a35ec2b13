import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { ConfigInvalid, dangers, readConfig, readSeed, secretProblems } from '../../src/config.ts'
import { parseDuration, parseSize } from '../../src/config-units.ts'
import { DEFAULT_ALGORITHMS } from '../../src/core/rules.ts'
import { makeConfigDir } from '../support/config-dir.ts'

const shared = makeConfigDir()
const shipped = readFileSync(shared.file, 'utf8')
after(() => shared.remove())

/** Problems of the shipped configuration after `change`, without the path in front. */
function problemsOf(change: (text: string) => string): string[] {
  shared.edit(() => change(shipped))
  try {
    readConfig(shared.file)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigInvalid, String(error))
    return error.problems.map((problem) => problem.replace(`${shared.file}:`, ''))
  } finally {
    shared.edit(() => shipped)
  }
}

const withPerson = (person: string) => (text: string) =>
  text.replace(/ {2}person:\n {4}rp_id: localhost\n {4}origins: .*\n/, `  person: ${person}\n`)

describe('nats-webauthn.yaml', () => {
  test('as init writes it is a configuration, with the documented defaults', () => {
    const config = readConfig(shared.file)
    assert.equal(config.policyFile, join(shared.dir, 'policy.yaml'))
    assert.deepEqual(config.accounts, { auth: 'AUTH', audit: 'AUDIT', system: 'SYS', targets: ['APP'] })
    assert.deepEqual(config.rules.algorithms, [...DEFAULT_ALGORITHMS])
    assert.equal(config.rules.rolesMaxAgeSeconds, 24 * 3600)
    assert.equal(config.rules.leewaySeconds, 5)
    assert.deepEqual(config.rules.person, { rpId: 'localhost', origins: ['http://localhost:8780'], requireUserVerification: true })
    assert.equal(config.audit.ackBudgetMs, 400)
    assert.deepEqual(config.enrolment?.listen, { host: '127.0.0.1', port: 8780 })
    assert.deepEqual(secretProblems(config), [])
    assert.deepEqual(dangers(config), [])
  })

  test('says the line of an unknown key, at any depth', () => {
    assert.deepEqual(
      problemsOf((text) => `surprise: 1\n${text}`),
      ['1: surprise: unknown key "surprise"'],
    )
    const [problem] = problemsOf((text) => text.replace('    targets: [APP]', '    targets: [APP]\n    target: APP'))
    assert.match(problem ?? '', /^\d+: callout\.accounts\.target: unknown key "target": did you mean "targets"\?$/)
    const line = Number((problem ?? '').split(':')[0])
    assert.equal(shipped.replace('    targets: [APP]', '    targets: [APP]\n    target: APP').split('\n')[line - 1], '    target: APP')
  })

  test('reports every mistake at once', () => {
    const problems = problemsOf((text) => text.replace('servers: [', 'servers: 7 #').replace('policy_file: policy.yaml', 'policy_files: x'))
    assert.equal(problems.length, 3, problems.join('\n'))
  })

  test('gives YAML mistakes their line: syntax, a key twice, an alias', () => {
    assert.match(problemsOf((text) => `${text}\nx: [`)[0] ?? '', /^\d+: /)
    assert.match(problemsOf((text) => `${text}\nnats: {}`)[0] ?? '', /^\d+: .*nats.*(twice|unique)/)
    assert.match(problemsOf((text) => `${text}\nx: &a 1\ny: *a\n`).join('\n'), /alias is refused/)
  })

  for (const [name, change, expected] of [
    [
      'an address that is not in canonical spelling, with the right one',
      (t) => t.replace('- nats://localhost:4222', '- nats://LocalHost'),
      /urls\[0\]: .*write nats:\/\/localhost:4222/,
    ],
    ['something that is no address', (t) => t.replace('- nats://localhost:4222', '- http://localhost'), /urls\[0\]: not an address/],
    [
      'plaintext addresses beyond loopback',
      (t) => t.replace('- nats://localhost:4222', '- nats://nats.example:4222'),
      /urls\[0\]: without TLS/,
    ],
    [
      'tls_terminated_upstream without behind_proxy',
      (t) => `${t}tls_terminated_upstream: true\n`,
      /tls_terminated_upstream: means nothing/,
    ],
    [
      'a target that is the account of the callout',
      (t) => t.replace('[APP]', '[APP, AUTH]'),
      /callout\.accounts\.targets\[1\]: AUTH belongs/,
    ],
    ['a target that is the audit account', (t) => t.replace('[APP]', '[AUDIT]'), /targets\[0\]: AUDIT belongs/],
    ['a target that is the system account by its real name', (t) => t.replace('[APP]', '[$SYS]'), /targets\[0\]: \$SYS belongs/],
    [
      'one account for two purposes',
      (t) => t.replace('targets: [APP]', 'targets: [APP]\n    audit: AUTH'),
      /callout\.accounts: .*three accounts/,
    ],
    ['neither xkey nor `xkey: none`', (t) => t.replace(/ {2}xkey_seed_file.*\n/, ''), /callout(\.xkey)?: .*xkey: none/],
    ['both xkey and `xkey: none`', (t) => t.replace('  xkey_seed_file', '  xkey: none\n  xkey_seed_file'), /callout\.xkey: .*xkey: none/],
    ['no statement about who reads the metrics', (t) => t.replace(/ {2}auth:\n {4}basic:\n.*\n/, ''), /operations\.auth: write auth as/],
    [
      'an unknown way to protect the metrics',
      (t) => t.replace(/ {2}auth:\n {4}basic:\n.*\n/, '  auth: open\n'),
      /operations\.auth: write auth as/,
    ],
    [
      'mtls without TLS',
      (t) => t.replace(/ {2}auth:\n {4}basic:\n.*\n/, '  auth: { mtls: { client_ca_file: ca.pem } }\n'),
      /operations\.auth: mtls needs/,
    ],
    ['a duration without a unit', (t) => `${t}leeway: "5"\n`, /leeway: write leeway as/],
    ['a duration out of range', (t) => `${t}leeway: 5m\n`, /leeway: .*60s/],
    ['a number where a duration belongs', (t) => `${t}leeway: 5\n`, /leeway: /],
    ['a size without a unit', (t) => `${t}audit: { max_bytes: "100" }\n`, /audit\.max_bytes: write a size/],
    ['a listener without a port', (t) => t.replace('listen: 127.0.0.1:9464', 'listen: 127.0.0.1'), /operations\.listen: write an address/],
    [
      'a listener with an impossible port',
      (t) => t.replace('listen: 127.0.0.1:9464', 'listen: 127.0.0.1:99999'),
      /operations\.listen: write an address/,
    ],
    [
      'tickets over plain HTTP beyond loopback',
      (t) => t.replace('listen: 127.0.0.1:8780', 'listen: 0.0.0.0:8780'),
      /enrolment\.listen: without TLS/,
    ],
    [
      'an http origin beyond loopback',
      (t) => t.replace('origin: http://localhost:8780', 'origin: http://auth.example'),
      /enrolment\.origin: /,
    ],
    [
      'an enrolment origin with a path',
      (t) => t.replace('origin: http://localhost:8780', 'origin: https://auth.example/x'),
      /enrolment\.origin: /,
    ],
    [
      'an origin of people on another domain',
      withPerson('{ rp_id: id.example, origins: ["https://evil.example"] }'),
      /person\.origins\[0\]: not a page of id\.example/,
    ],
    [
      'an origin of people whose name only ends alike',
      withPerson('{ rp_id: id.example, origins: ["https://notid.example"] }'),
      /origins\[0\]: not a page/,
    ],
    [
      'an origin of people without TLS',
      withPerson('{ rp_id: id.example, origins: ["http://id.example"] }'),
      /origins\[0\]: not a web origin/,
    ],
    [
      'one rpId for people and machines',
      withPerson('{ rp_id: machines.internal, origins: ["https://machines.internal"] }'),
      /person\.rp_id: people and machines/,
    ],
    ['an algorithm nobody knows', (t) => `${t}algorithms: [none]\n`, /algorithms\[0\]: /],
    ['no algorithm at all', (t) => `${t}algorithms: []\n`, /algorithms: /],
    [
      'a server id that is none',
      (t) => t.replace('  accounts:', '  server_ids: [NABC]\n  accounts:'),
      /callout\.server_ids\[0\]: not a server id/,
    ],
    ['an even number of replicas', (t) => `${t}audit: { replicas: 2 }\n`, /audit\.replicas: /],
  ] satisfies [string, (text: string) => string, RegExp][]) {
    test(`refuses ${name}`, () => {
      const problems = problemsOf(change)
      assert.equal(problems.length, 1, problems.join('\n'))
      assert.match(problems[0] ?? '', /^\d+: /)
      assert.match(problems[0] ?? '', expected)
    })
  }

  test('refuses every plaintext address behind a proxy, where loopback proves nothing', () => {
    const problems = problemsOf((text) => `${text}behind_proxy: true\n`)
    assert.equal(problems.length, 2)
    for (const [index, problem] of problems.entries()) assert.match(problem, new RegExp(`urls\\[${index}\\]: without TLS`))
  })

  test('refuses a file that is not there, is empty, or is a list', () => {
    assert.throws(() => readConfig(join(shared.dir, 'absent.yaml')), /absent\.yaml:1: cannot be read \(ENOENT\)/)
    assert.equal(problemsOf(() => '').length, 1)
    assert.equal(problemsOf(() => '- nats\n').length, 1)
    assert.match(problemsOf(() => `#${'x'.repeat(300_000)}`)[0] ?? '', /larger than/)
  })

  test('never throws anything but ConfigInvalid, whatever is in the file', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.nat(shipped.length), (text, at) => {
        problemsOf((whole) => whole.slice(0, at) + text + whole.slice(at))
      }),
      { numRuns: 150 },
    )
  })

  test('accepts what is unsafe only by its name, and warns of it', () => {
    const dir = makeConfigDir(
      (text) =>
        `${text.replace('- nats://localhost:4222', '- nats://nats.example:4222').replace(/ {2}auth:\n {4}basic:\n.*\n/, '  auth: none\n')}dangerously_allow_plaintext_urls: true\ndangerously_allow_plain_sessions_without_tls: true\n`,
    )
    assert.equal(dangers(readConfig(dir.file)).length, 3)
    dir.remove()
  })

  test('reads urls with pins, person settings and mtls', () => {
    const dir = makeConfigDir((text) =>
      withPerson('{ rp_id: id.example, origins: ["https://login.id.example"], user_verification: preferred }')(text)
        .replace('- nats://localhost:4222', '- { url: "wss://nats.example:443", cluster: east, server_name: n1 }')
        .replace('origin: http://localhost:8780', 'origin: https://login.id.example')
        .replace(
          / {2}auth:\n {4}basic:\n.*\n/,
          '  auth: { mtls: { client_ca_file: ca.pem } }\n  tls: { cert_file: c.pem, key_file: k.pem }\n',
        ),
    )
    const { rules, operations } = readConfig(dir.file)
    assert.deepEqual(rules.urls[0], { url: 'wss://nats.example:443', cluster: 'east', serverName: 'n1' })
    assert.deepEqual(rules.person, { rpId: 'id.example', origins: ['https://login.id.example'], requireUserVerification: false })
    assert.deepEqual(operations.auth, { mode: 'mtls', clientCaFile: join(dir.dir, 'ca.pem'), allowedSans: null })
    dir.remove()
  })
})

describe('secret files', () => {
  test('are refused when group or others may read them, and their content is not repeated', () => {
    const dir = makeConfigDir()
    const seed = join(dir.dir, 'keys/verifier/issuer.seed')
    for (const mode of [0o640, 0o604, 0o644, 0o660]) {
      chmodSync(seed, mode)
      assert.deepEqual(secretProblems(readConfig(dir.file)), [`${seed}: readable by group or others: chmod 600`])
    }
    chmodSync(seed, 0o600)
    const text = readFileSync(seed, 'utf8').trim()
    writeFileSync(seed, text.slice(0, -1))
    assert.deepEqual(secretProblems(readConfig(dir.file)), [`${seed}: not the seed of an account (SA…)`])
    unlinkSync(seed)
    assert.deepEqual(secretProblems(readConfig(dir.file)), [`${seed}: cannot be read (ENOENT)`])
    // Nobody waits for what may never be written into a pipe.
    execFileSync('mkfifo', ['-m', '600', seed])
    assert.deepEqual(secretProblems(readConfig(dir.file)), [`${seed}: not a file`])
    unlinkSync(seed)
    // A link is judged by what it leads to.
    symlinkSync(join(dir.dir, 'nats-server.conf'), seed)
    assert.deepEqual(secretProblems(readConfig(dir.file)), [`${seed}: readable by group or others: chmod 600`])
    dir.remove()
  })

  test('of another kind are refused', () => {
    assert.throws(() => readSeed(join(shared.dir, 'keys/admin.seed'), 'A'), /not the seed of an account/)
    assert.throws(() => readSeed(join(shared.dir, 'keys/verifier/issuer.seed'), 'X'), /not the seed of a curve key/)
    assert.match(readSeed(join(shared.dir, 'keys/verifier/xkey.seed'), 'X'), /^SX/)
  })
})

describe('units', () => {
  test('are whole numbers with a unit', () => {
    assert.equal(parseDuration('15m'), 900_000)
    assert.equal(parseDuration('400ms'), 400)
    assert.equal(parseDuration('0s'), 0)
    assert.equal(parseSize('1GB'), 1e9)
    assert.equal(parseSize('64KiB'), 65_536)
    for (const wrong of ['', '5', 's', '1.5s', '-1s', '1 s', '1S', '1e3s', '1y', '1constructor', '9999999999s', ' 1s'])
      assert.equal(parseDuration(wrong), null, wrong)
    for (const wrong of ['', '1', 'GB', '1gb', '1toString']) assert.equal(parseSize(wrong), null, wrong)
  })
})
