/** Whether every nats-server has taken up what a rotation began: asked before the old keys go. */
import { statSync } from 'node:fs'
import { RequestStrategy } from 'nats'
import { z } from 'zod'
import { type Config, readSeed } from '../config.ts'
import { type Link, openLink } from '../nats/connection.ts'
import { inboxPrefixes, tlsOptions } from '../verifier-links.ts'
import { type RotatingKey, seedsOf } from './rotation-plan.ts'

const answersMsMax = 2_000
const answersJitterMs = 500

const varzSchema = z.looseObject({ server: z.looseObject({ name: z.string() }), data: z.looseObject({ start: z.string() }) })

/** What stands in the way of taking the old keys out, a sentence each. */
export async function unfinished(keys: readonly RotatingKey[], config: Config): Promise<string[]> {
  const { seeds } = seedsOf(keys, config)
  const begunAt = Math.max(...seeds.map(({ next }) => statSync(next, { throwIfNoEntry: false })?.mtimeMs ?? 0))
  const problems: string[] = []
  for (const key of keys) {
    const refused = key === 'issuer' ? null : await signIn(key, config)
    if (refused !== null) problems.push(`nats-server does not know the next nkey of ${key} yet: ${refused}`)
  }
  const system = await open(config, config.nats.seedFiles.system, inboxPrefixes(config.nats.name).system)
  try {
    const servers = await startedServers(system)
    if (servers.length === 0) problems.push('no nats-server answers in the system account')
    for (const { name, startedAt } of servers) {
      if (startedAt < begunAt) problems.push(`${name} was not restarted since the rotation began: nats-server cannot reload auth_callout`)
    }
  } finally {
    await system.drain()
  }
  return problems
}

async function startedServers(system: Link): Promise<{ name: string; startedAt: number }[]> {
  const answers = await system.nats.requestMany('$SYS.REQ.SERVER.PING.VARZ', '', {
    strategy: RequestStrategy.JitterTimer,
    maxWait: answersMsMax,
    jitter: answersJitterMs,
  })
  const servers: { name: string; startedAt: number }[] = []
  for await (const message of answers) {
    const varz = varzSchema.safeParse(message.json())
    if (varz.success) servers.push({ name: varz.data.server.name, startedAt: Date.parse(varz.data.data.start) })
  }
  return servers
}

/** Why the next nkey cannot sign in, or null. */
async function signIn(key: RotatingKey, config: Config): Promise<string | null> {
  const next = seedsOf([key], config).seeds[0]?.next
  if (next === undefined) return 'no seed'
  try {
    await (await open(config, next, '_INBOX')).drain()
    return null
  } catch (error) {
    return error instanceof Error && error.cause instanceof Error ? error.cause.message : 'refused'
  }
}

function open(config: Config, seedFile: string, inboxPrefix: string): Promise<Link> {
  return openLink({
    name: 'nats-webauthn CLI (rotate)',
    servers: config.nats.servers,
    seed: readSeed(seedFile, 'U'),
    inboxPrefix,
    tls: tlsOptions(config.nats.tls),
    waitForServer: false,
    onEvent: () => {},
  })
}
