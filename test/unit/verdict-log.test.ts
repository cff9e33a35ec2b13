import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { VerdictEvent } from '../../src/core/audit-event.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { createVerdictLog } from '../../src/observability/verdict-log.ts'
import { unverifiedDenial, verdictEvent } from '../support/audit-events.ts'

interface Line {
  msg: string
  reason?: string
  verdicts?: number
}

function logged(add: (log: (event: VerdictEvent) => void, wait: (ms: number) => void) => void): Line[] {
  const lines: Line[] = []
  let now = 0
  const stream = { write: (line: string) => void lines.push(JSON.parse(line) as Line) }
  const log = createVerdictLog(createLogger({ level: 'info', name: 'test', stream }), () => now)
  add(log.verdict, (ms) => {
    now += ms
  })
  log.settle()
  return lines
}

const missing = () => unverifiedDenial('192.0.2.66', { verdict: { outcome: 'denied', reason: 'sig_missing' } })

describe('verdicts in the log', () => {
  test('of a flood are twenty a second and reason, and then one line counts the others', () => {
    const lines = logged((log, wait) => {
      for (let i = 0; i < 1_000; i++) log(missing())
      wait(1_000)
      log(missing())
    })
    assert.equal(lines.filter(({ msg }) => msg === 'verdict').length, 21)
    assert.deepEqual(
      lines.filter(({ msg }) => msg !== 'verdict').map(({ verdicts }) => verdicts),
      [980],
    )
  })

  test('of another reason, and whatever was proven, are not drowned by it', () => {
    const lines = logged((log) => {
      for (let i = 0; i < 100; i++) log(missing())
      log(unverifiedDenial('192.0.2.7', { verdict: { outcome: 'denied', reason: 'url_not_allowed' } }))
      for (let i = 0; i < 100; i++) log(verdictEvent({ outcome: 'granted', reason: 'proof' }))
      for (let i = 0; i < 100; i++) log({ ...missing(), verified: true })
    })
    const count = (wanted: string) => lines.filter(({ reason }) => reason === wanted).length
    assert.deepEqual([count('url_not_allowed'), count('proof'), count('sig_missing')], [1, 100, 120])
  })

  test('have no line that counts nothing', () => {
    const lines = logged((log, wait) => {
      for (let i = 0; i < 5; i++) {
        log(missing())
        wait(1_000)
      }
    })
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      Array(5).fill('verdict'),
    )
  })
})
