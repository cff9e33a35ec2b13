/** What `npm test` makes of files that pass, fail, stall, or end without a word. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runTestFiles, type TestTotals } from '../../scripts/test-files.ts'

const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-test-files-'))
after(() => rmSync(dir, { recursive: true }))

// Plain programs that print node's closing summary, so that each ends at once or never.
const SUMMARY = (passed: number, failed: number) => `console.log('# pass ${passed}\\n# fail ${failed}\\n# cancelled 0')`
const NEVER = 'setInterval(() => {}, 1000)'

async function run(sources: string[], { stallMsMax = 60_000 } = {}): Promise<TestTotals & { printed: string }> {
  const files = sources.map((source, i) => {
    const file = join(dir, `${i}.mjs`)
    writeFileSync(file, source)
    return file
  })
  let printed = ''
  const totals = await runTestFiles({ args: [], files, concurrency: 2, stallMsMax, write: (text) => (printed += text) })
  return { ...totals, printed }
}

test('sums up what all files say', async () => {
  const { passed, failed, printed } = await run([SUMMARY(3, 0), SUMMARY(4, 0), SUMMARY(5, 0)])
  assert.deepEqual({ passed, failed }, { passed: 12, failed: 0 })
  assert.equal(printed.match(/^# pass/gm)?.length, 3)
})

test('does not run a file again that failed', async () => {
  const { passed, failed, printed } = await run([`${SUMMARY(3, 1)}; process.exitCode = 1`])
  assert.deepEqual({ passed, failed }, { passed: 3, failed: 1 })
  assert.equal(printed.match(/^# pass/gm)?.length, 1)
})

test('counts a file as failed that ends badly without saying what failed', async () => {
  const { failed } = await run(['process.exit(7)', "process.kill(process.pid, 'SIGKILL')", `${SUMMARY(2, 0)}; process.exitCode = 1`])
  assert.equal(failed, 3)
})

test('ends a file that stalls, runs it once more, and counts it as failed when it stalls again', async () => {
  const { passed, failed, printed } = await run([`console.log('begun'); ${NEVER}`], { stallMsMax: 500 })
  assert.deepEqual({ passed, failed }, { passed: 0, failed: 1 })
  assert.equal(printed.match(/^begun$/gm)?.length, 2)
})

test('takes the word of the second run of a file that stalled', async () => {
  const mark = join(dir, 'mark')
  const source = `import { existsSync, writeFileSync } from 'node:fs'
    if (existsSync(${JSON.stringify(mark)})) ${SUMMARY(6, 0)}
    else { writeFileSync(${JSON.stringify(mark)}, ''); ${NEVER} }`
  const { passed, failed } = await run([source], { stallMsMax: 2000 })
  assert.deepEqual({ passed, failed }, { passed: 6, failed: 0 })
})

test('ends what a file leaves behind', async () => {
  const source = `import { spawn } from 'node:child_process'
    spawn(process.execPath, ['-e', ${JSON.stringify(NEVER)}], { stdio: 'inherit' })
    ${SUMMARY(1, 0)}
    process.exit(0)`
  // It holds the output open: without its end there would be no answer.
  const { passed, failed } = await run([source])
  assert.deepEqual({ passed, failed }, { passed: 1, failed: 0 })
})
