/** Thousands of clients of the SDK that lose their connections at one moment, and how they come back. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet, StormFigures } from '../test/support/fleet.ts'
import { type StormField, startFieldVerifier, startStormField } from '../test/support/storm-field.ts'
import { endsLater } from './cleanup.ts'
import { startResponder } from './responders.ts'

export interface StormResult extends StormFigures {
  what: 'reload' | 'expiry' | 'restart'
  responder: 'verifier' | 'signing responder'
}

export interface StormPlan {
  /** Clients of the reload and of the expiry. */
  clients: number
  /** Clients of the restart. */
  restartClients: number
  /** How often the restart is repeated with either responder. */
  rounds: number
  /** To the end of all grants, besides what rewriting the sessions takes. */
  expirySecondsMin: number
}

const connectsPerSecond = 400
const stormMsMax = 120_000
const sessionsRewrittenPerSecond = 250
const hourMs = 3_600_000
const library = 'nats'

export async function benchStorms(plan: StormPlan, progress: (text: string) => void): Promise<StormResult[]> {
  return [...(await reloadAndExpiry(plan, progress)), ...(await restarts(plan, progress))]
}

async function startField(): Promise<StormField> {
  const field = await startStormField()
  return { ...field, stop: endsLater(field.stop) }
}

async function reloadAndExpiry({ clients, expirySecondsMin }: StormPlan, progress: (text: string) => void): Promise<StormResult[]> {
  progress(`storms: connecting ${clients} clients`)
  const field = await startField()
  const fleet = await field.fleet({ clients, library, perSecond: connectsPerSecond })
  progress('storms: reload of nats-server')
  const reload = await storm(fleet, () => field.reload())
  progress('storms: simultaneous expiries')
  const seconds = Math.ceil(clients / sessionsRewrittenPerSecond) + expirySecondsMin
  const expiry = await expire(field, fleet, seconds)
  await field.stop()
  return [
    { what: 'reload', responder: 'verifier', ...reload },
    { what: 'expiry', responder: 'verifier', ...expiry },
  ]
}

/** A grant ends no later than its session: once all came back to sessions that end together, so do their grants. */
async function expire(field: StormField, fleet: Fleet, seconds: number): Promise<StormFigures> {
  const at = Math.ceil(Date.now() / 1000 + seconds) * 1000
  await field.endSessionsAt(new Date(at))
  await storm(fleet, () => field.reload())
  // The sessions themselves go on, so nobody has to prove.
  await field.endSessionsAt(new Date(Date.now() + hourMs))
  const waitMs = Math.max(0, at - Date.now())
  const figures = await storm(fleet, () => delay(waitMs))
  return { ...figures, allBackMs: Math.max(0, figures.allBackMs - waitMs) }
}

/** The same clients and the same nats-server, with the verifier and with a responder that checks nothing, in turn. */
async function restarts({ restartClients: clients, rounds }: StormPlan, progress: (text: string) => void): Promise<StormResult[]> {
  progress(`storms: connecting ${clients} clients`)
  const field = await startField()
  const fleet = await field.fleet({ clients, library, perSecond: connectsPerSecond })
  const results: StormResult[] = []
  for (let round = 1; round <= rounds; round++) {
    progress(`storms: restart of nats-server, verifier, ${round} of ${rounds}`)
    results.push({ what: 'restart', responder: 'verifier', ...(await storm(fleet, () => field.restart())) })
    progress(`storms: restart of nats-server, signing responder, ${round} of ${rounds}`)
    results.push({ what: 'restart', responder: 'signing responder', ...(await withoutVerifier(field, fleet)) })
  }
  await field.stop()
  return results
}

async function withoutVerifier(field: StormField, fleet: Fleet): Promise<StormFigures> {
  const [verifier] = field.verifiers
  if (verifier === undefined) throw new Error('benching storms without a verifier')
  const { dir, deployment, url } = field.product
  const responder = await startResponder('signing', { dir, deployment, url }, [])
  await verifier.stop()
  const figures = await storm(fleet, () => field.restart())
  field.verifiers[0] = await startFieldVerifier(field.product, 0)
  await responder.stop()
  return figures
}

function storm(fleet: Fleet, cause: () => unknown): Promise<StormFigures> {
  return fleet.storm(cause, { withinMs: stormMsMax })
}
