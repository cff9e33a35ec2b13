/**
 * Every test there is. What `npm test` runs after build, lint and types: first unit and integration tests with line
 * coverage of src/core held at 95 %, then the whole product in processes of its own, which coverage would only slow down.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { findNatsServer, NATS_SERVER_SUITES, type NatsServerLine } from './nats-server.ts'
import { runTestFiles } from './test-files.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const coreLinesPercentMin = 95
// Real servers have deadlines: more files at once than cores would miss them.
const concurrency = 2
// The slowest file takes about two minutes.
const fileMsMax = 480_000

function filesOf(folder: string): string[] {
  const names = readdirSync(`${root}test/${folder}`).filter((name) => name.endsWith('.test.ts'))
  return names.sort().map((name) => `test/${folder}/${name}`)
}

function run(args: string[]): void {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

// Before two test files could fetch the same one at once.
for (const line of Object.keys(NATS_SERVER_SUITES) as NatsServerLine[]) findNatsServer(line)

const testRunner = ['--import', 'tsx', '--test']
const together = [...testRunner, `--test-concurrency=${concurrency}`, `--test-timeout=${fileMsMax}`]
const coverage = ['--include', 'src/core/**', '--reporter', 'text-summary', '--check-coverage', '--lines', String(coreLinesPercentMin)]

run(['node_modules/c8/bin/c8.js', ...coverage, process.execPath, ...together, ...filesOf('unit'), ...filesOf('integration')])

const write = (text: string) => void process.stdout.write(text)
const { passed, failed } = await runTestFiles({ args: testRunner, files: filesOf('e2e'), concurrency, stallMsMax: fileMsMax, write })
process.stdout.write(`${passed} passed, ${failed} failed\n`)
if (failed > 0 || passed === 0) process.exit(1)
