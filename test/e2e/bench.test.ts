/** The bench as a process, as small as it gets: what it counts, and that ^C leaves nothing behind. Times are nobody's business here. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Part } from '../../bench/options.ts'
import type { Run } from '../../bench/result.ts'
import { until } from '../support/links.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-test-'))
after(() => rmSync(dir, { recursive: true }))

interface Bench {
  child: ChildProcess
  output(): string
  /** Resolves when stderr says so. */
  said(pattern: RegExp): Promise<void>
  ended: Promise<number | null>
}

/** In a process group of its own, as a shell starts it: what it starts is in the same one. */
function startBench(part: Part): Bench {
  const args = ['--import', 'tsx', MAIN, '--tiny', '--json', '--only', part]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, TMPDIR: dir } })
  process.once('exit', () => isGroupAlive(child) && signalGroup(child, 'SIGKILL'))
  let [output, progress] = ['', '']
  const watchers: (() => void)[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    progress += text
    for (const watcher of watchers.splice(0)) watcher()
  })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  let isOver = false
  void ended.then(() => {
    isOver = true
    for (const watcher of watchers.splice(0)) watcher()
  })
  return {
    child,
    ended,
    output: () => output,
    async said(pattern) {
      while (!pattern.test(progress)) {
        assert.ok(!isOver, `the bench ended:\n${progress}`)
        await new Promise<void>((resolve) => watchers.push(resolve))
      }
    },
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals | 0): void {
  process.kill(-(pid as number), signal)
}

function isGroupAlive(child: ChildProcess): boolean {
  try {
    signalGroup(child, 0)
    return true
  } catch {
    return false
  }
}

async function assertNothingLeft({ child }: Bench): Promise<void> {
  await until('every process has ended', () => !isGroupAlive(child))
}

async function runOf(part: Part): Promise<Run> {
  const bench = startBench(part)
  assert.equal(await bench.ended, 0)
  await assertNothingLeft(bench)
  return JSON.parse(bench.output()) as Run
}

// A storm mostly waits.
describe('the bench', { concurrency: 3 }, () => {
  test('counts the clients that came back from each storm, all of them, without a proof', async () => {
    const { storms, flood, populations } = await runOf('storms')
    const counts = storms.map(({ what, responder, clients, up, back, gaveUp, proofs }) => [
      what,
      responder,
      { clients, up, back, gaveUp, proofs },
    ])
    const all = (clients: number) => ({ clients, up: clients, back: clients, gaveUp: 0, proofs: 0 })
    assert.deepEqual(counts, [
      ['reload', 'verifier', all(20)],
      ['expiry', 'verifier', all(20)],
      ['restart', 'verifier', all(30)],
      ['restart', 'signing responder', all(30)],
    ])
    assert.deepEqual([flood, populations], [[], []])
  })

  test('counts good clients alone and beside the flood, all of them granted, and bad ones, none of them admitted', async () => {
    const { flood, storms, populations, rows } = await runOf('flood')
    const counts = flood.map(({ quiet, flooded, bad }) => ({
      quiet: [quiet.granted, quiet.refused],
      flooded: [flooded.granted, flooded.refused],
      bad,
    }))
    assert.deepEqual(counts, [{ quiet: [30, 0], flooded: [30, 0], bad: { connections: 300, admitted: 0 } }])
    assert.deepEqual([storms, populations, rows], [[], [], []])
  })

  test('times each kind of connection at each size, and refuses nobody', async () => {
    const { populations, storms, flood } = await runOf('populations')
    const counts = populations.map(({ credentials, sessions, figures }) => ({
      credentials,
      sessions,
      refused: Object.entries(figures).map(([kind, rounds]) => [kind, rounds.map(({ refused }) => refused)]),
    }))
    const refused = [
      ['first', [0]],
      ['again', [0]],
      ['resume', [0]],
    ]
    assert.deepEqual(counts, [
      { credentials: 150, sessions: 150, refused },
      { credentials: 300, sessions: 300, refused },
    ])
    assert.deepEqual([storms, flood], [[], []])
  })

  for (const [when, part, pattern] of [
    ['while a fleet connects', 'storms', /connecting 20 clients/],
    ['in a flood', 'flood', /round 1 of 1/],
    ['while buckets are filled', 'populations', /writing 150/],
  ] as const) {
    test(`interrupted ${when} ends all that it started, with 130 and no result`, async () => {
      const bench = startBench(part)
      await bench.said(pattern)
      // ^C is for everybody in the group.
      signalGroup(bench.child, 'SIGINT')
      assert.equal(await bench.ended, 130)
      await assertNothingLeft(bench)
      assert.equal(bench.output(), '')
    })
  }

  test('told alone to end, ends the others', async () => {
    const bench = startBench('storms')
    await bench.said(/reload of nats-server/)
    bench.child.kill('SIGTERM')
    assert.equal(await bench.ended, 130)
    await assertNothingLeft(bench)
    assert.equal(bench.output(), '')
  })
})

test('the bench has left no files', () => {
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.startsWith('nats-webauthn-')),
    [],
  )
})
