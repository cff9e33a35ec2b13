/** docs/bench.md: what stands between its markers is made from a result, and a test compares the two. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { tableOf } from './report.ts'
import type { Run } from './result.ts'

export const PAGE = fileURLToPath(new URL('../docs/bench.md', import.meta.url))
const BEGIN = '<!-- begin: made by npm run bench -- --chart bench/results.json -->'
const END = '<!-- end -->'

/** The page with the figures of `run` in it. Throws when it has no markers. */
export function pageWith(page: string, run: Run): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error('writing the figures into docs/bench.md: its markers are gone')
  return `${page.slice(0, begin)}${BEGIN}\n${sectionOf(run)}${page.slice(end)}`
}

export function writePage(run: Run): void {
  writeFileSync(PAGE, pageWith(readFileSync(PAGE, 'utf8'), run))
}

function sectionOf(run: Run): string {
  const { cpus, model, memoryGiB, os, node, natsServer, crypto } = run.machine
  const by = crypto === 'libsodium' ? 'libsodium' : 'node:crypto alone'
  return `
${cpus} × ${model}, ${memoryGiB} GiB, ${os}, Node ${node.replace(/^v/, '')}, nats-server ${natsServer}; the verifier signs with ${by}. The run took
${Math.round(run.seconds / 60)} minutes: ${run.load.connections} connections for each row in ${run.load.rounds} rounds, ${run.load.concurrency} at once.

\`\`\`
${tableOf(run)}\`\`\`

`
}
