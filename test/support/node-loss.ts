/** Asking all verifiers without a pause while a node of their cluster goes and comes back. */
import { setTimeout as delay } from 'node:timers/promises'
import { type TestIdentity, writeIdentity } from './product.ts'
import { proof } from './proofs.ts'
import { type AskedConnection, newConnection, RACE_URL, type RaceField, type Rival } from './race-field.ts'

/** A connection that was granted, as it may be asked about again. */
export interface Granted {
  connection: AskedConnection
  fields: { sig: string }
  exp: number
}

export interface Asking {
  granted: Granted[]
  /** How often each verdict was given. */
  verdicts: Record<string, number>
  /** Resolves when every verifier has current caches, and has granted something since now. */
  recovered(): Promise<void>
  stop(): Promise<void>
}

const pauseMs = 5

export const newRacer = ({ rivals: [rival] }: RaceField, handle: string): Promise<TestIdentity> => {
  if (rival === undefined) throw new Error('racing on an empty field')
  const change = { backupEligible: false, backupState: false }
  return writeIdentity(rival.link.nats, handle, { roles: ['racer'], change })
}

/** Every verifier is asked about new connections of a key of its own, whose counter goes on. */
export function keepAsking({ rivals }: RaceField, racers: readonly TestIdentity[]): Asking {
  const granted: Granted[] = []
  const verdicts: Record<string, number> = {}
  const last = rivals.map(() => 0)
  let running = true
  const loop = async (rival: Rival, n: number) => {
    const who = racers[n]
    if (who === undefined) throw new Error('asking for nobody')
    for (let signCount = 1; running; signCount++) {
      const connection = newConnection()
      const fields = proof(who, { nonce: connection.nonce, url: RACE_URL, assertion: { signCount, flags: 0 } })
      const { verdict, exp } = await rival.ask(connection, fields)
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
      if (exp !== null) {
        granted.push({ connection, fields, exp })
        last[n] = performance.now()
      }
      await delay(pauseMs)
    }
  }
  const loops = rivals.map(loop)
  return {
    granted,
    verdicts,
    recovered: async () => {
      const since = performance.now()
      while (!rivals.every(({ stores }, n) => stores.isHealthy() && Number(last[n]) > since)) await delay(pauseMs)
    },
    stop: async () => {
      running = false
      await Promise.all(loops)
    },
  }
}

/** The node that leads `bucket`. */
export async function leaderOf({ rivals: [rival], nodes }: RaceField, bucket: string): Promise<number> {
  const answer = await rival?.link.nats.request(`$JS.API.STREAM.INFO.KV_webauthn_${bucket}`)
  const name = answer?.json<{ cluster?: { leader?: string } }>().cluster?.leader
  const node = nodes.findIndex((_, n) => name === `nats-${n + 1}`)
  if (node < 0) throw new Error(`looking for the leader of ${bucket}`)
  return node
}
