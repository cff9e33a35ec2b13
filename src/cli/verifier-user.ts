/** The verifier's own users, for the commands that work on its state: who runs them holds its seeds. */
import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { systemClock } from '../audit/clock.ts'
import { createAuditPublisher } from '../audit/publisher.ts'
import { jetStreamSink } from '../audit/record-sink.ts'
import { type Config, ConfigInvalid, readSeed, secretProblems } from '../config.ts'
import type { LifecycleEvent } from '../core/audit-event.ts'
import { type Link, openLink } from '../nats/connection.ts'
import { inboxPrefixes, type Links, tlsOptions } from '../verifier-links.ts'
import { VERSION } from '../version.ts'
import type { CommandIo } from './command.ts'

/** Connects as the verifier in its three accounts, does `work`, and leaves. Throws ConfigInvalid, or when it cannot connect. */
export async function asVerifier<T>(config: Config, io: CommandIo, work: (links: Links) => Promise<T>): Promise<T> {
  const problems = secretProblems(config)
  if (problems.length > 0) throw new ConfigInvalid(problems)
  const { name, servers, seedFiles, tls } = config.nats
  const opened: Link[] = []
  const open = async (role: keyof Links): Promise<Link> => {
    const link = await openLink({
      name: `nats-webauthn CLI (${role})`,
      servers,
      seed: readSeed(seedFiles[role], 'U'),
      inboxPrefix: inboxPrefixes(name)[role],
      tls: tlsOptions(tls),
      waitForServer: false,
      onEvent: (event) => {
        if (event.kind === 'failed') io.say(`nats-webauthn: nats-server refused something to the verifier's ${role} user`)
      },
    })
    opened.push(link)
    return link
  }
  try {
    return await work({ auth: await open('auth'), audit: await open('audit'), system: await open('system') })
  } finally {
    for (const link of opened) await link.drain()
  }
}

/** Makes durable that somebody at this machine did this with the verifier's seeds. Throws AuditUnavailable: then it is not done. */
export async function recordOwnDoing(
  config: Config,
  audit: Link,
  { reason, detail, facts }: { reason: 'backed_up' | 'restored'; detail: string; facts: LifecycleEvent['facts'] },
): Promise<void> {
  const { lifecycle } = createAuditPublisher({
    sink: jetStreamSink(audit.nats, audit.ask),
    origin: { source: `nats-webauthn/${config.nats.name}`, version: VERSION },
    clock: systemClock,
    observer: { published: () => {}, coalesced: () => {} },
    ackBudgetMs: config.audit.ackBudgetMs,
  })
  await lifecycle.record({
    area: 'verifier',
    outcome: 'succeeded',
    reason,
    id: randomUUID(),
    at: Date.now(),
    actor: { kind: 'verifier', name: config.nats.name },
    target: { kind: 'none', id: '' },
    handle: null,
    roles: [],
    policyHash: '',
    detail,
    facts: { host: hostname(), user: userInfo().username, ...facts },
  })
}
