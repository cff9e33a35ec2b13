/**
 * Races between verifiers, counted (docs/cluster.md): `node --import tsx scripts/races.ts [OPTIONS]`. What must hold is
 * checked in each race; one that breaks makes the exit code 1. Talks to 127.0.0.1 alone.
 */
import { parseArgs } from 'node:util'
import { CONNECTION_RACES } from '../test/support/connection-races.ts'
import { ENROLMENT_RACES } from '../test/support/enrolment-races.ts'
import { GROUNDS, type Ground, startRaceField } from '../test/support/race-field.ts'
import { type RaceCounts, runRaces } from '../test/support/races.ts'
import { startSocketField } from '../test/support/socket-field.ts'
import { SOCKET_RACES } from '../test/support/socket-races.ts'

const { values } = parseArgs({
  options: {
    // Of each kind, over the verifiers' own stores.
    races: { type: 'string', default: '1000' },
    // Of each kind, through real sockets.
    sockets: { type: 'string', default: '150' },
    on: { type: 'string', multiple: true, default: [...GROUNDS] },
    json: { type: 'boolean', default: false },
  },
})
const progress = (text: string) => void process.stderr.write(`${text}\n`)
const results: (RaceCounts & { on: Ground })[] = []

async function runOn(on: Ground): Promise<void> {
  const field = await startRaceField(on)
  const note = (counts: RaceCounts) => {
    results.push({ on, ...counts })
    progress(`${on}: ${counts.kind}: ${counts.races} races in ${counts.seconds} s, ${counts.violations} violations`)
    for (const example of counts.examples) progress(`  ${example}`)
  }
  try {
    for (const kind of [...CONNECTION_RACES, ...ENROLMENT_RACES]) note(await runRaces(kind, field, Number(values.races)))
    const sockets = await startSocketField(field)
    try {
      for (const kind of SOCKET_RACES) note(await runRaces(kind, sockets, Number(values.sockets)))
    } finally {
      await sockets.stop()
    }
  } finally {
    await field.stop()
  }
}

function tableOf(): string {
  return results
    .map(({ on, kind, races, violations, outcomes }) => {
      const counted = Object.entries(outcomes).map(([outcome, count]) => `    ${String(count).padStart(5)}  ${outcome}\n`)
      return `${on}: ${kind}: ${races} races, ${violations} violations\n${counted.join('')}`
    })
    .join('\n')
}

for (const ground of GROUNDS) if (values.on.includes(ground)) await runOn(ground)
process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : tableOf())
process.exitCode = results.length > 0 && results.every(({ violations }) => violations === 0) ? 0 : 1
