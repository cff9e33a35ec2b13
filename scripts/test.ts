/**
 * Every test there is. What `npm test` runs after build, lint and types: first unit and integration tests with line
 * coverage of src/core held at 95 %, then the whole product in processes of its own, which coverage would only slow down.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findNatsServer, NATS_SERVER_SUITES, type NatsServerLine } from './nats-server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const coreLinesPercentMin = 95

function run(args: string[]): void {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

// Before two test files could fetch the same one at once.
for (const line of Object.keys(NATS_SERVER_SUITES) as NatsServerLine[]) findNatsServer(line)

const folders = ['--import', 'tsx', 'scripts/test-folders.ts']
const coverage = ['--include', 'src/core/**', '--reporter', 'text-summary', '--check-coverage', '--lines', String(coreLinesPercentMin)]

run(['node_modules/c8/bin/c8.js', ...coverage, process.execPath, ...folders, 'unit', 'integration'])
run([...folders, 'e2e'])
