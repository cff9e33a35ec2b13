/** node --import tsx scripts/test-folders.ts FOLDER…: the tests of these folders of test/, and how many passed. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runTestFiles } from './test-files.ts'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const files = process.argv.slice(2).flatMap((folder) => {
  const names = readdirSync(`test/${folder}`).filter((name) => name.endsWith('.test.ts'))
  return names.sort().map((name) => `test/${folder}/${name}`)
})
const { passed, failed } = await runTestFiles({
  args: ['--import', 'tsx', '--test-reporter=tap'],
  files,
  // Real servers have deadlines: more files at once than cores would miss them.
  concurrency: 2,
  // The slowest file takes about two minutes.
  stallMsMax: 480_000,
  write: (text) => void process.stdout.write(text),
})
process.stdout.write(`${passed} passed, ${failed} failed\n`)
// Nothing that passed is no success: then nothing was run.
if (failed > 0 || passed === 0) process.exitCode = 1
