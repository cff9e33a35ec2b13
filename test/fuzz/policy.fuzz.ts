import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { denied } from '../../src/core/checked.ts'
import { DENIALS } from '../../src/core/denial.ts'
import type { AccountName } from '../../src/core/identifiers.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { lintPolicy } from '../../src/core/policy/policy-lint.ts'
import { resolveGrant } from '../../src/core/policy/resolve.ts'
import { grantSubject } from '../support/policy-subject.ts'
import { POLICY } from '../support/scenario.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const RESERVED = ['AUTH', 'AUDIT', 'SYS']
const options = { targetAccounts: ['APP', 'OTHER'] as AccountName[], reservedAccounts: RESERVED }

/** A policy, or what is wrong with it and where. What is a policy grants nothing to nobody's surprise: no reserved account, no empty list. */
export const policy: FuzzTarget = {
  name: 'policy',
  seeds: () => [
    bytesOf(POLICY),
    new Uint8Array(readFileSync(new URL('../support/policies/orders.yaml', import.meta.url))),
    bytesOf(
      'version: 1\nroles:\n  a: {account: APP, require: {time_windows: [{days: [mon], from: "08:00", to: "18:00", timezone: UTC}]}}\n',
    ),
  ],
  dictionary: [
    'roles:',
    'account: APP',
    'allow: [',
    'deny: [">"]',
    '"{{user}}"',
    '{{claim.x}}',
    '&a ',
    '*a',
    '!!js ',
    '? ',
    '- ',
    '| ',
    '>-\n',
    '%YAML 1.1\n',
    '---\n',
    '__proto__',
    '<<:',
    'require:',
    '\t',
    '# ',
  ],
  shape: 'text',
  run(input) {
    const text = textOf(input)
    const parsed = parsePolicy(text, options)
    const lines = text.split(/\r\n|\n|\r/).length + 1
    if (!parsed.ok) {
      assert.ok(parsed.issues.length > 0)
      for (const { line, column, message } of parsed.issues) assert.ok(line >= 1 && line <= lines && column >= 1 && message !== '')
      return
    }
    const names = [...parsed.policy.roles.keys()]
    lintPolicy(parsed)
    for (const roles of [names, ...names.map((name) => [name])]) {
      const granted =
        roles.length > 256 ? denied('roles_none') : resolveGrant(parsed.policy, grantSubject({ roles, claims: { team: 'blue' } }))
      if (!granted.ok) {
        assert.ok(['resolve'].includes(DENIALS[granted.denial].stage))
        continue
      }
      const { account, permissions, ttlSeconds, sessionSeconds } = granted.value
      assert.ok(options.targetAccounts.includes(account) && !RESERVED.includes(account))
      assert.ok(ttlSeconds >= 1 && ttlSeconds <= 86_400 && sessionSeconds >= 0 && sessionSeconds <= 30 * 86_400)
      assert.ok(permissions.subscribe.allow.includes('_INBOX_alice.>'))
      for (const subject of [...permissions.publish.allow, ...permissions.subscribe.allow]) assert.ok(!/[{}]|\.\.|^\.|\.$/.test(subject))
    }
  },
}
