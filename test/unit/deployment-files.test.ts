import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import bcrypt from 'bcryptjs'
import { parse } from 'yaml'
import { NODE_OPTIONS } from '../../bench/verifier.ts'
import { findNatsServer } from '../../scripts/nats-server.ts'
import { BREAK_GLASS_FILE, BREAK_GLASS_NEEDS, switchedOn } from '../../src/cli/break-glass-files.ts'
import { COPIED_FILES, KEY_FILES, publicKeyOf } from '../../src/cli/deployment-files.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { init } from '../../src/cli/init.ts'
import { run } from '../../src/cli/run.ts'
import { readConfig, secretProblems } from '../../src/config.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { lintPolicy } from '../../src/core/policy/policy-lint.ts'
import { parseUsers } from '../../src/observability/basic-verifier.ts'
import { staticUserRules } from '../../src/verifier-break-glass.ts'
import { memoryIo } from '../support/memory-io.ts'

const at = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-init-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function runInit(...args: string[]) {
  const io = memoryIo()
  const code = await run(['init', ...args], [init], io)
  return { code, out: io.stdout, err: io.stderr.join('\n') }
}

describe('init', () => {
  test('writes a configuration, a policy and keys that the verifier accepts', async () => {
    assert.equal((await runInit(dir)).code, EXIT.ok)
    const config = readConfig(join(dir, 'nats-webauthn.yaml'))
    assert.deepEqual(secretProblems(config), [])
    const policy = parsePolicy(readFileSync(config.policyFile, 'utf8'), { targetAccounts: config.accounts.targets, reservedAccounts: [] })
    assert.equal(policy.ok && policy.policy.roles.size > 0, true)
    const users = parseUsers(readFileSync(join(dir, 'keys/verifier/metrics.users'), 'utf8'))
    assert.equal(await bcrypt.compare(readFileSync(join(dir, 'keys/metrics.password'), 'utf8'), users.get('prometheus') ?? ''), true)
  })

  test('serves people on this machine: an rpId and a page of localhost, and roles that only people hold', async () => {
    await runInit(dir)
    const { rules, enrolment, accounts, policyFile } = readConfig(join(dir, 'nats-webauthn.yaml'))
    assert.deepEqual(rules.person, { rpId: 'localhost', origins: [enrolment?.origin], requireUserVerification: true })
    assert.deepEqual(
      rules.urls.map(({ url }) => url),
      ['nats://localhost:4222', 'ws://localhost:8080'],
    )
    const parsed = parsePolicy(readFileSync(policyFile, 'utf8'), { targetAccounts: accounts.targets, reservedAccounts: [] })
    assert.ok(parsed.ok)
    const people = [...parsed.policy.roles.values()].filter(({ require }) => require.class === 'person')
    assert.deepEqual(
      people.map(({ name, plainSessions, loginByCode }) => [name, plainSessions, loginByCode]),
      [
        ['orders-desk', false, false],
        ['orders-terminal', true, false],
      ],
    )
    for (const { require, publish, subscribe } of people) {
      assert.equal(require.userVerification, true)
      assert.ok(publish.allow.length > 0 && subscribe.allow.length > 0)
    }
    // Roles without a class would be open to either; these say whose they are.
    for (const { name, require } of parsed.policy.roles.values()) assert.notEqual(require.class, null, name)
    assert.deepEqual(
      lintPolicy(parsed).filter(({ severity }) => severity === 'warning'),
      [],
    )
  })

  test('shows how an identity provider is written, in comments that are right once they are none', async () => {
    await runInit(dir)
    const file = join(dir, 'nats-webauthn.yaml')
    const text = readFileSync(file, 'utf8')
    const example = /^# identity_providers:\n(?:# .*\n)+/m.exec(text)?.[0] ?? ''
    writeFileSync(file, text.replace(example, example.replace(/^# /gm, '')))
    const config = readConfig(file)
    assert.deepEqual(
      config.identityProviders.map(({ name }) => name),
      ['staff'],
    )
    const { policyFile, accounts } = config
    const parsed = parsePolicy(readFileSync(policyFile, 'utf8'), { targetAccounts: accounts.targets, reservedAccounts: [] })
    const given = config.identityProviders.flatMap(({ mapping }) => [...mapping.roles.map.values()].flat())
    for (const role of given) assert.ok(parsed.ok && [...parsed.policy.roles.keys()].some((name) => name === role), role)
  })

  for (const line of ['2.15', '2.10'] as const) {
    test(`writes a configuration that nats-server ${line} accepts`, async () => {
      await runInit(dir)
      execFileSync(findNatsServer(line), ['-t', '-c', join(dir, 'nats-server.conf')], { stdio: 'pipe' })
    })
  }

  test('copies the files of the repository as they are', async () => {
    await runInit(dir)
    for (const [path, source] of Object.entries(COPIED_FILES)) assert.equal(readFileSync(join(dir, path), 'utf8'), at(source), path)
  })

  test('keeps every secret to its owner', async () => {
    await runInit(dir)
    for (const folder of ['keys', 'keys/verifier', 'data']) assert.equal(statSync(join(dir, folder)).mode & 0o777, 0o700, folder)
    for (const file of [...KEY_FILES.map((key) => key.file), 'metrics.password', 'verifier/metrics.users']) {
      assert.equal(statSync(join(dir, 'keys', file)).mode & 0o777, 0o600, file)
    }
    assert.doesNotMatch(readFileSync(join(dir, 'nats-server.keys.conf'), 'utf8'), /\bS[AUX][A-Z2-7]{40}/)
  })

  test('prints no secret', async () => {
    const { out, err } = await runInit(dir, '--json')
    for (const { file } of KEY_FILES) assert.equal((out.join() + err).includes(readFileSync(join(dir, 'keys', file), 'utf8').trim()), false)
    assert.equal((out.join() + err).includes(readFileSync(join(dir, 'keys/metrics.password'), 'utf8')), false)
  })

  test('makes the keys for emergencies, switched off, each with a seed of its own', async () => {
    await runInit(dir)
    const text = readFileSync(join(dir, BREAK_GLASS_FILE), 'utf8')
    assert.deepEqual(switchedOn(text), [])
    assert.equal(new Set(text.match(/U[A-Z2-7]{55}/g)).size, Object.keys(BREAK_GLASS_NEEDS).length)
    assert.doesNotMatch(text, /\bS[AUX][A-Z2-7]{40}/)
    for (const need of Object.keys(BREAK_GLASS_NEEDS)) {
      const file = join(dir, `keys/break-glass/${need}.seed`)
      assert.equal(statSync(file).mode & 0o777, 0o600, need)
      assert.ok(text.includes(`BREAK_GLASS_${need.toUpperCase()}: "${publicKeyOf(file)}"`), need)
    }
  })

  test('makes no new seeds where those for emergencies were taken away', async () => {
    await runInit(dir)
    rmSync(join(dir, 'keys/break-glass'), { recursive: true })
    const { code, out } = await runInit(dir, '--json')
    assert.equal(code, EXIT.ok)
    assert.equal(existsSync(join(dir, 'keys/break-glass')), false)
    const { files } = JSON.parse(out[0] ?? '') as { files: { action: string }[] }
    assert.deepEqual(new Set(files.map(({ action }) => action)), new Set(['kept']))
  })

  test('expects the users that it wrote, and the keys for emergencies never', async () => {
    await runInit(dir)
    const config = readConfig(join(dir, 'nats-webauthn.yaml'))
    const rules = staticUserRules(config)
    for (const name of ['admin', 'auditor', 'verifier/auth', 'verifier/audit', 'verifier/system'])
      assert.ok(rules?.expected.has(publicKeyOf(join(dir, `keys/${name}.seed`))), name)
    for (const need of Object.keys(BREAK_GLASS_NEEDS))
      assert.equal(rules?.expected.has(publicKeyOf(join(dir, `keys/break-glass/${need}.seed`))), false, need)
  })

  test('touches nothing that exists, and says so', async () => {
    await runInit(dir)
    writeFileSync(join(dir, 'policy.yaml'), 'mine\n')
    const before = [...Object.keys(COPIED_FILES), 'nats-server.keys.conf', ...KEY_FILES.map(({ file }) => `keys/${file}`)].map((path) =>
      readFileSync(join(dir, path), 'utf8'),
    )
    const { code, out } = await runInit(dir, '--json')
    assert.equal(code, EXIT.ok)
    const { files } = JSON.parse(out[0] ?? '') as { files: { action: string }[] }
    assert.deepEqual(new Set(files.map(({ action }) => action)), new Set(['kept']))
    const after = [...Object.keys(COPIED_FILES), 'nats-server.keys.conf', ...KEY_FILES.map(({ file }) => `keys/${file}`)].map((path) =>
      readFileSync(join(dir, path), 'utf8'),
    )
    assert.deepEqual(after, before)
  })

  test('completes what is missing', async () => {
    await runInit(dir)
    unlinkSync(join(dir, 'policy.yaml'))
    unlinkSync(join(dir, 'nats-server.keys.conf'))
    assert.equal((await runInit(dir)).code, EXIT.ok)
    assert.equal(existsSync(join(dir, 'policy.yaml')), true)
    assert.deepEqual(secretProblems(readConfig(join(dir, 'nats-webauthn.yaml'))), [])
  })

  test('refuses to pair new keys with public keys that stay', async () => {
    await runInit(dir)
    unlinkSync(join(dir, 'keys/verifier/issuer.seed'))
    const { code, err } = await runInit(dir)
    assert.equal(code, EXIT.refused)
    assert.match(err, /nats-server\.keys\.conf/)
  })

  test('refuses seeds that others may read, and a directory that is a file', async () => {
    await runInit(dir)
    chmodSync(join(dir, 'keys/admin.seed'), 0o644)
    assert.equal((await runInit(dir)).code, EXIT.configInvalid)
    writeFileSync(join(dir, 'file'), '')
    assert.equal((await runInit(join(dir, 'file'))).code, EXIT.refused)
  })
})

interface Service {
  image: string
  user: string
  read_only: boolean
  network_mode: string
  cap_drop: string[]
  security_opt: string[]
  volumes: string[]
  healthcheck: { test: string[] }
  depends_on?: Record<string, { condition: string }>
}

describe('docker-compose.yml', () => {
  const { services } = parse(at('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> }

  test('runs NATS, the verifier and Prometheus, none of them as root, all read-only and without capabilities', () => {
    assert.deepEqual(Object.keys(services), ['nats', 'verifier', 'prometheus'])
    for (const [name, service] of Object.entries(services)) {
      assert.match(service.user, /:-65532:65532\}$/, name)
      assert.equal(service.read_only, true, name)
      assert.deepEqual(service.cap_drop, ['ALL'], name)
      assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name)
      assert.ok(service.healthcheck.test.length > 1, name)
      assert.doesNotMatch(service.image, /:latest$/, name)
    }
    assert.equal(services['verifier']?.depends_on?.['nats']?.condition, 'service_healthy')
    assert.equal(services['prometheus']?.depends_on?.['verifier']?.condition, 'service_healthy')
  })

  test('mounts only files that init writes, and gives the verifier no key of anybody else', async () => {
    await runInit(dir)
    for (const { volumes } of Object.values(services)) {
      for (const volume of volumes) assert.equal(existsSync(join(dir, volume.split(':')[0] ?? '')), true, volume)
    }
    assert.equal(
      services['verifier']?.volumes.some((volume) => /^\.\/keys(:|\/admin|\/auditor)/.test(volume)),
      false,
    )
    const config = readConfig(join(dir, 'nats-webauthn.yaml'))
    const { seedFiles } = config.nats
    for (const path of [...Object.values(seedFiles), config.callout.issuerSeedFile, config.callout.xkeySeedFile ?? '']) {
      assert.equal(path.startsWith(join(dir, 'keys/verifier/')), true, path)
    }
  })

  test('has Prometheus scrape the address and with the user of the generated configuration', async () => {
    await runInit(dir)
    const { operations } = readConfig(join(dir, 'nats-webauthn.yaml'))
    const prometheus = parse(at('deploy/prometheus/prometheus.yml')) as {
      scrape_configs: { basic_auth: { username: string; password_file: string }; static_configs: { targets: string[] }[] }[]
    }
    const [scrape] = prometheus.scrape_configs
    assert.deepEqual(scrape?.static_configs[0]?.targets, [`${operations.listen.host}:${operations.listen.port}`])
    assert.equal(parseUsers(readFileSync(join(dir, 'keys/verifier/metrics.users'), 'utf8')).has(scrape?.basic_auth.username ?? ''), true)
    assert.ok(services['prometheus']?.volumes.some((volume) => volume.includes(`:${scrape?.basic_auth.password_file}:`)))
  })

  test('asks the monitoring port of nats-server.conf', () => {
    const port = /^http: "127\.0\.0\.1:(\d+)"/m.exec(at('nats-server.conf'))?.[1]
    assert.ok(services['nats']?.healthcheck.test.at(-1)?.includes(`127.0.0.1:${port}/`))
  })
})

describe('Dockerfile', () => {
  const dockerfile = at('Dockerfile')

  test('starts the verifier as the bench does, and as the operator is told', () => {
    const entrypoint: string[] = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)?.[1] ?? '[]')
    assert.deepEqual(entrypoint.slice(1, -1), NODE_OPTIONS)
    assert.ok(at('docs/operations.md').includes(`node ${NODE_OPTIONS.join(' ')} `))
  })

  test('has what `npm run build` runs', () => {
    const first = dockerfile.slice(0, dockerfile.lastIndexOf('\nFROM '))
    const { scripts } = JSON.parse(at('package.json')) as { scripts: { build: string } }
    const files = scripts.build.match(/[\w./-]+\.(?:ts|json)\b/g) ?? []
    assert.ok(files.length > 1)
    for (const file of files) {
      assert.match(first, new RegExp(`^COPY (.* )?${file.replaceAll('.', '\\.')} `, 'm'), file)
      assert.ok(at('.dockerignore').includes(`!${file}\n`), file)
    }
  })

  test('ends as nobody, without development dependencies, and copies what init needs', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
    assert.match(last, /^USER 65532:65532$/m)
    assert.match(dockerfile, /npm prune --omit=dev/)
    for (const source of Object.values(COPIED_FILES)) {
      const first = source.split('/')[0] ?? ''
      assert.ok(last.includes(` ${first}`), source)
      assert.ok(at('.dockerignore').includes(`!${first}\n`), source)
    }
  })
})
