import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigInvalid, readConfig } from '../../src/config.ts'
import { makeConfigDir } from '../support/config-dir.ts'
import type { FuzzTarget } from './fuzz-target.ts'

let file: string | null = null

/** A configuration, or every problem of it with its line. What is one never lets people into the verifier's own accounts. */
export const configFile: FuzzTarget = {
  name: 'config-file',
  seeds() {
    const shipped = makeConfigDir()
    const text = readFileSync(shipped.file)
    shipped.remove()
    const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-fuzz-'))
    process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
    file = join(dir, 'nats-webauthn.yaml')
    return [new Uint8Array(text)]
  },
  dictionary: [
    'callout:',
    'targets: [',
    'AUTH',
    'urls:',
    '- url: tls://',
    'origins: [',
    'behind_proxy: true',
    'auth: none',
    '15m',
    '1GiB',
    '&a ',
    '!!js ',
    '"',
    '\t',
  ],
  shape: 'text',
  run(input) {
    if (file === null) throw new Error('running a target without its seeds')
    writeFileSync(file, input)
    try {
      const { accounts, rules } = readConfig(file)
      for (const name of [accounts.auth, accounts.audit, accounts.system]) assert.ok(!accounts.targets.includes(name))
      assert.notEqual(rules.person?.rpId, rules.machine.rpId)
      assert.ok(rules.leewaySeconds >= 0 && rules.rolesMaxAgeSeconds > 0 && rules.algorithms.length > 0)
    } catch (error) {
      if (!(error instanceof ConfigInvalid)) throw error
      for (const problem of error.problems) assert.match(problem, /^[^\n]*nats-webauthn\.yaml:[1-9][0-9]*: [^\n]+$/)
    }
  },
}
