/**
 * npm run storm -- [--clients 2000] [--kind reload|restart|expiry|sessions] [--library nats|transport-node] [--verifiers 1] [--json]
 *
 * Connects a fleet through the SDK to a verifier and a nats-server of its own on this machine, drops everybody at once,
 * and prints who came back, when, and at what cost (docs/client.md).
 */
import { parseArgs } from 'node:util'
import type { StormFigures } from '../test/support/fleet.ts'
import { type StormField, startStormField } from '../test/support/storm-field.ts'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '2000' },
    kind: { type: 'string', default: 'reload' },
    library: { type: 'string', default: 'nats' },
    verifiers: { type: 'string', default: '1' },
    // First connections a second.
    'per-second': { type: 'string', default: '300' },
    json: { type: 'boolean', default: false },
  },
})
const clients = Number(values.clients)
const library = values.library === 'transport-node' ? 'transport-node' : 'nats'
const withinMs = 300_000
const sessionSecondsLeft = Math.max(20, Math.ceil(clients / 60))
const hour = 3_600_000
const progress = (text: string) => void process.stderr.write(`${text}\n`)

/** Everything that drops everybody. Each prepares what it needs and resolves when it has begun. */
const KINDS: Record<string, (field: StormField, storm: (cause: () => unknown) => Promise<StormFigures>) => Promise<StormFigures>> = {
  reload: (field, storm) => storm(() => field.reload()),
  restart: (field, storm) => storm(() => field.restart()),
  // Every grant ends in the same second, and the sessions go on.
  expiry: async (field, storm) => {
    const at = await endTogether(field, storm)
    await field.endSessionsAt(new Date(Date.now() + hour))
    return storm(() => at)
  },
  // Every grant and every session ends in the same second, so everybody proves once.
  sessions: async (field, storm) => {
    const at = await endTogether(field, storm)
    return storm(() => at)
  },
}

/** A grant ends no later than its session: once all came back to sessions that end together, so do their grants. */
async function endTogether(field: StormField, storm: (cause: () => unknown) => Promise<StormFigures>): Promise<number> {
  const at = Math.ceil(Date.now() / 1000 + sessionSecondsLeft) * 1000
  await field.endSessionsAt(new Date(at))
  const { back, allBackMs } = await storm(() => field.reload())
  progress(`${back} have grants that end together (after ${allBackMs} ms)`)
  return at
}

const kind = KINDS[values.kind]
if (kind === undefined) throw new Error(`reading --kind: one of ${Object.keys(KINDS).join(' ')}`)
progress('starting nats-server and the verifiers')
const field = await startStormField({ verifiers: Number(values.verifiers) })
try {
  const begun = performance.now()
  const fleet = await field.fleet({ clients, library, perSecond: Number(values['per-second']) })
  progress(`${clients} clients are connected after ${Math.round(performance.now() - begun)} ms`)
  // The last storm counts; what came before it was preparation.
  let verdicts = {}
  const figures = await kind(field, async (cause) => {
    const counted = await field.verdictsDuring(() => fleet.storm(cause, { withinMs }))
    verdicts = counted.verdicts
    return counted.result
  })
  const result = { kind: values.kind, library, verifiers: Number(values.verifiers), ...figures, verdicts }
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${lines(result)}\n`)
  if (figures.back < clients || figures.gaveUp > 0) process.exitCode = 1
} finally {
  await field.stop()
}

function lines(result: Record<string, unknown>): string {
  return Object.entries(result)
    .map(([name, value]) => `${name.padEnd(16)}${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join('\n')
}
