/**
 * Runs test files in processes of their own and ends each that stalls, with all that it started: a browser that stops
 * answering would hold up everything behind it for good. A file that stalled is run once more; one that failed is not.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface TestRun {
  /** Arguments of node before the file. */
  args: string[]
  files: string[]
  concurrency: number
  /** How long a file may take. */
  stallMsMax: number
  write(text: string): void
}

export interface TestTotals {
  passed: number
  failed: number
}

type FileOutcome = TestTotals & { stalled: boolean }

/** Runs every file; what each printed is written when it has ended. */
export async function runTestFiles({ args, files, concurrency, stallMsMax, write }: TestRun): Promise<TestTotals> {
  const left = [...files]
  const totals: TestTotals = { passed: 0, failed: 0 }
  const worker = async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      let outcome = await runFile([...args, file], stallMsMax, write)
      if (outcome.stalled) {
        write(`# ${file} did not end within ${stallMsMax / 1000} s; it is run once more\n`)
        outcome = await runFile([...args, file], stallMsMax, write)
      }
      totals.passed += outcome.passed
      totals.failed += outcome.failed
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return totals
}

async function runFile(args: string[], stallMsMax: number, write: (text: string) => void): Promise<FileOutcome> {
  // A group of its own, so that ending it ends the servers and browsers that the tests started.
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
  }
  let stalled = false
  const timer = setTimeout(() => {
    stalled = true
    killGroup(child.pid)
  }, stallMsMax)
  const closed = once(child, 'close')
  const [status] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  // What outlives the tests would hold the pipes open.
  killGroup(child.pid)
  await closed
  write(printed)
  const passed = countOf(printed, 'pass')
  const failed = countOf(printed, 'fail') + countOf(printed, 'cancelled')
  // A process that ends badly without saying what failed has failed too.
  return { passed, failed: status === 0 || failed > 0 ? failed : 1, stalled }
}

/** The figure of node's closing summary. */
function countOf(printed: string, name: string): number {
  return Number(printed.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1] ?? 0)
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended, as it should.
  }
}
