import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createUser } from 'nkeys.js'
import { createLogger, verdictLine } from '../../src/observability/logger.ts'
import { ALL_VERDICTS, unverifiedDenial, verdictEvent } from '../support/audit-events.ts'

function capture(level = 'info') {
  const lines: string[] = []
  const log = createLogger({ level, name: 'nats-webauthn', stream: { write: (line: string) => void lines.push(line) } })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') }
}
const seed = new TextDecoder().decode(createUser().getSeed())
const jwt = 'eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJhIn0.c2lnbmF0dXJl'

describe('the log', () => {
  for (const member of [
    'seed',
    'jwt',
    'sig',
    'nonce',
    'ticket',
    'token',
    'auth_token',
    'assertion',
    'resume',
    'password',
    'authorization',
    'signature',
  ]) {
    test(`shows no member called ${member}, at any depth`, () => {
      const { log, lines } = capture()
      const secret = 'a "quoted\\" secret-value'
      log.info({ [member]: secret, a: { [member]: secret, b: { c: [{ [member]: secret }] } } }, 'x')
      assert.doesNotMatch(lines.join(''), /secret-value/)
      assert.equal(JSON.parse(lines[0] ?? '').a.b.c[0][member], '[redacted]')
    })
  }

  for (const [name, secret] of [
    ['seed', seed],
    ['JWT', jwt],
  ] as const) {
    test(`shows no ${name} in a message, a value, an error or its cause`, () => {
      const { log, lines } = capture()
      log.info({ value: `x${'='}${secret}` }, `text ${secret} text`)
      log.error(new Error(`reading ${secret}`, { cause: new Error(secret) }))
      log.error({ err: new Error('a', { cause: new Error(secret) }), [secret]: 1 }, 'x')
      assert.equal(lines.length, 3)
      assert(!lines.join('').includes(secret))
    })
  }

  test('keeps public keys, which look alike', () => {
    const { log, last } = capture()
    const key = createUser().getPublicKey()
    log.info({ key }, 'x')
    assert.equal(last().key, key)
  })

  test('tells the cause of an error', () => {
    const { log, last } = capture()
    log.error({ err: new Error('loading the policy', { cause: new Error('no such file') }) }, 'x')
    assert.equal(last().err.cause.message, 'no such file')
  })

  test('is one JSON object a line, with level and time in words', () => {
    const { log, lines, last } = capture()
    log.warn({ a: 'x\n{"level":"fatal"}' }, 'two\nlines')
    assert.equal(lines.join('').trimEnd().split('\n').length, 1)
    assert.equal(last().level, 'warn')
    assert.match(last().time, /^\d{4}-\d\d-\d\dT/)
  })
})

describe('the line of a verdict', () => {
  test('is one line for every verdict there is, at the level of its severity', () => {
    for (const verdict of ALL_VERDICTS) {
      const { log, lines, last } = capture()
      verdictLine(log, verdictEvent(verdict))
      assert.equal(lines.length, 1)
      assert.equal(last().reason, verdict.reason)
      const level = {
        granted: 'info',
        denied: { notice: 'info', warning: 'warn', alert: 'warn' }[last().severity as 'notice'],
        reported: { notice: 'info', warning: 'warn', alert: 'warn' }[last().severity as 'notice'],
        error: 'error',
      }[verdict.outcome]
      assert.equal(last().level, level)
    }
  })

  test('names who, where and what was granted', () => {
    const { log, last } = capture()
    verdictLine(log, verdictEvent({ outcome: 'granted', reason: 'proof' }))
    const { outcome, handle, client_id, account, roles, stage, duration_ms } = last()
    assert.deepEqual(
      { outcome, handle, client_id, account, roles, stage, duration_ms },
      {
        outcome: 'granted',
        handle: 'alice',
        client_id: 12,
        account: 'APP',
        roles: ['orders-reader'],
        stage: 'record',
        duration_ms: 3.4,
      },
    )
  })

  test('works when nothing is known of the request', () => {
    const { log, last } = capture()
    verdictLine(log, unverifiedDenial('', { connection: null, verdict: { outcome: 'denied', reason: 'request_malformed' } }))
    assert.equal(last().reason, 'request_malformed')
    assert.equal('handle' in last(), false)
  })

  test('spells out what a client host could smuggle', () => {
    const { log, lines } = capture()
    verdictLine(log, unverifiedDenial('evil\u202e\u009b'))
    assert.doesNotMatch(lines[0]?.trimEnd() ?? '', /[\p{Cc}\p{Cf}]/u)
  })
})
