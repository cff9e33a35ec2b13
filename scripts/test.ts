/**
 * Every test there is, in one run of node's test runner, with line coverage of src/core held at 95 %. What `npm test`
 * runs after lint, types and build.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const coreLinesPercentMin = 95

// Unit tests first: what is broken shows early. Real servers and their deadlines want the machine to themselves,
// so one file runs after the other.
const files = ['unit', 'integration', 'e2e'].flatMap((folder) =>
  readdirSync(`${root}test/${folder}`)
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => `test/${folder}/${name}`),
)

const { status } = spawnSync(
  process.execPath,
  [
    'node_modules/c8/bin/c8.js',
    '--include',
    'src/core/**',
    '--reporter',
    'text-summary',
    '--check-coverage',
    '--lines',
    String(coreLinesPercentMin),
    process.execPath,
    '--import',
    'tsx',
    '--test',
    '--test-concurrency=1',
    ...files,
  ],
  { cwd: root, stdio: 'inherit' },
)
process.exitCode = status ?? 1
