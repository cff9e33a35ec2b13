import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { BREAK_GLASS_FILE, switchedOn } from '../../src/cli/break-glass-files.ts'
import { breakGlassCheck, migrationCheck } from '../../src/cli/rollout-checks.ts'
import { ConfigInvalid, dangers, readConfig, secretProblems } from '../../src/config.ts'
import { type ConfigDir, makeConfigDir } from '../support/config-dir.ts'

let dir: ConfigDir
afterEach(() => dir.remove())

function problemsOf(section: string): string[] {
  dir = makeConfigDir((text) => `${text}${section}`)
  try {
    readConfig(dir.file)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigInvalid, String(error))
    return error.problems.map((problem) => problem.replace(/^.*nats-webauthn\.yaml:\d+: /, ''))
  }
}

describe('section migration', () => {
  test('is made of a file, an end and a decision', () => {
    dir = makeConfigDir((text) => `${text}migration: { report_only: true, legacy_users_file: old.yaml, until: 2026-12-31 }\n`)
    assert.deepEqual(readConfig(dir.file).migration, {
      reportOnly: true,
      legacyUsersFile: join(dir.dir, 'old.yaml'),
      untilMs: Date.parse('2026-12-31T00:00:00Z'),
      connectionTtlSeconds: 24 * 3600,
    })
  })

  test('has no end by itself, no file by itself, and is not on by itself', () => {
    const [problem = ''] = problemsOf('migration: { report_only: true, legacy_users_file: old.yaml }\n')
    assert.match(problem, /migration\.until/)
    dir.remove()
    assert.match(problemsOf('migration: { legacy_users_file: old.yaml, until: 2026-12-31 }\n')[0] ?? '', /migration\.report_only/)
    dir.remove()
    assert.match(problemsOf('migration: { report_only: true, until: 2026-12-31 }\n')[0] ?? '', /migration\.legacy_users_file/)
  })

  for (const until of [
    'soon',
    '2026-13-01',
    '2026-02-30',
    '31.12.2026',
    '2026-12-31T24:00',
    '2026-12-31T18:00:00+01:00',
    '2026-12-31 18:00',
    '99999-01-01',
  ])
    test(`refuses ${until} as an end`, () => {
      assert.deepEqual(problemsOf(`migration: { report_only: true, legacy_users_file: old.yaml, until: "${until}" }\n`), [
        'migration.until: write a day as 2026-12-31, or a moment as 2026-12-31T18:00:00Z',
      ])
    })

  for (const ttl of ['0s', '59s', '8d', '1', 'forever'])
    test(`refuses ${ttl} as the time of a connection`, () => {
      const section = `migration: { report_only: true, legacy_users_file: old.yaml, until: 2026-12-31, connection_ttl: ${ttl} }\n`
      assert.equal(problemsOf(section).length, 1)
    })

  test('is told as a danger at every start while it is on, and its file is a secret one', () => {
    const section = (on: boolean) => `migration: { report_only: ${on}, legacy_users_file: old.yaml, until: 2026-12-31 }\n`
    dir = makeConfigDir((text) => text + section(true))
    const on = readConfig(dir.file)
    assert.equal(dangers(on).length, 1)
    assert.match(dangers(on)[0] ?? '', /report_only is on until 2026-12-31T00:00:00\.000Z/)
    assert.equal(secretProblems(on).length, 1)
    writeFileSync(join(dir.dir, 'old.yaml'), 'users: []\n', { mode: 0o644 })
    assert.match(secretProblems(on)[0] ?? '', /readable by group or others/)
    dir.edit((text) => text.replace(section(true), section(false)))
    const off = readConfig(dir.file)
    assert.deepEqual([dangers(off), secretProblems(off)], [[], []])
  })

  test('check tells how many are left and until when, and fails once it is over or the file is none', () => {
    dir = makeConfigDir((text) => `${text}migration: { report_only: true, legacy_users_file: old.yaml, until: 2026-12-31 }\n`)
    const config = readConfig(dir.file)
    const early = new Date('2026-12-30T00:00:00Z')
    assert.equal(migrationCheck(config, early)?.passed, false)
    writeFileSync(join(dir.dir, 'old.yaml'), 'users: []\n', { mode: 0o600 })
    assert.deepEqual(migrationCheck(config, early), {
      name: 'migration',
      passed: true,
      detail: '0 legacy users until 2026-12-31T00:00:00.000Z',
    })
    assert.equal(migrationCheck(config, new Date('2026-12-31T00:00:00Z'))?.passed, false)
    writeFileSync(
      join(dir.dir, 'old.yaml'),
      'users: [{ user: a, password: plain, account: APP, permissions: { publish: [], subscribe: [] } }]\n',
    )
    const { passed, detail } = migrationCheck(config, early) ?? {}
    assert.equal(passed, false)
    assert.equal(detail?.includes('plain'), false)
  })
})

describe('section static_users', () => {
  test('is not there by itself, and refuses what it does not know', () => {
    dir = makeConfigDir((text) => text.replace(/^static_users:\n {2}keys_file: .*\n/m, ''))
    assert.equal(readConfig(dir.file).staticUsers, null)
    dir.remove()
    dir = makeConfigDir((text) => text.replace(/^static_users:\n {2}keys_file: .*\n/m, 'static_users: { expected: [billing], keys: x }\n'))
    assert.throws(() => readConfig(dir.file), ConfigInvalid)
  })
})

describe('the switches of the keys for emergencies', () => {
  const conf = (value: string) => `BREAK_GLASS_SYSTEM: "UABC"\n  BREAK_GLASS_SYSTEM_BY: ${value}\n`

  test('are off in one spelling alone', () => {
    assert.deepEqual(switchedOn(conf('["MQTT"]')), [])
    assert.deepEqual(switchedOn(conf('[ "MQTT" ] # off')), [])
    for (const value of ['["STANDARD"]', '["MQTT", "STANDARD"]', '["WEBSOCKET"]', '[]', '["mqtt"]', '$OTHER', '', '[ # off: ["MQTT"]'])
      assert.deepEqual(switchedOn(conf(value)), ['system'], value)
  })

  test('fail the check while one is on, and are not looked at where there are none', () => {
    dir = makeConfigDir()
    assert.equal(breakGlassCheck(dir.file)?.passed, true)
    writeFileSync(join(dir.dir, BREAK_GLASS_FILE), conf('["STANDARD"]'))
    const found = breakGlassCheck(dir.file)
    assert.equal(found?.passed, false)
    assert.match(found?.detail ?? '', /system/)
    assert.equal(breakGlassCheck('/nowhere/nats-webauthn.yaml'), null)
  })
})
