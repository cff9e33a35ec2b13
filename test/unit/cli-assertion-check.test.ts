import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { assertionCheck } from '../../src/cli/assertion-check.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { run } from '../../src/cli/run.ts'
import { memoryIo } from '../support/memory-io.ts'

const line = (change: Record<string, unknown> = {}): string =>
  JSON.stringify({
    rpId: 'example.org',
    origins: ['https://example.org'],
    challenge: 'AAAA',
    requireUserVerification: false,
    credential: { id: 'AAAA', publicKey: 'AAAA', signCount: 0, backupEligible: false },
    response: {},
    ...change,
  })

async function check(stdin: string) {
  const io = memoryIo({ stdin })
  const code = await run(['assertion', 'check', '-'], [assertionCheck], io)
  return { code, out: io.stdout.map((text) => JSON.parse(text) as unknown), err: io.stderr }
}

describe('assertion check', () => {
  test('answers each line with one line, and exits 1 when one is denied', async () => {
    const { code, out, err } = await check(`${line({ name: 'a' })}\n\n${line({ name: 'b' })}\n`)
    assert.equal(code, EXIT.refused)
    assert.deepEqual(out, [
      { name: 'a', verdict: 'denied', reason: 'sig_malformed' },
      { name: 'b', verdict: 'denied', reason: 'sig_malformed' },
    ])
    assert.deepEqual(err, [])
  })

  test('names the line that is no input on stderr, goes on, and exits 2', async () => {
    const { code, out, err } = await check(`not json\n${line()}\n${line({ surprise: 1 })}\n`)
    assert.equal(code, EXIT.usage)
    assert.equal(out.length, 1)
    assert.deepEqual(
      err.map((text) => text.split(': ')[0]),
      ['-:1', '-:3'],
    )
  })

  test('has nothing to say about nothing', async () => {
    assert.deepEqual(await check(''), { code: EXIT.ok, out: [], err: [] })
  })

  test('reads a file, and exits 2 when it cannot', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-assertion-'))
    const path = join(dir, 'refused.jsonl')
    writeFileSync(path, `${line({ name: 'a' })}\n`)
    const io = memoryIo()
    assert.equal(await run(['assertion', 'check', path], [assertionCheck], io), EXIT.refused)
    assert.equal(io.stdout.length, 1)
    assert.equal(await run(['assertion', 'check', join(dir, 'absent')], [assertionCheck], memoryIo()), EXIT.usage)
    rmSync(dir, { recursive: true })
  })
})
