/** What `check` looks at in a running deployment: each server, the state in JetStream, and one refused connection. */
import { randomBytes } from 'node:crypto'
import { RequestStrategy } from 'nats'
import { z } from 'zod'
import { inspectStreams } from '../audit/stream.ts'
import { tailTrail } from '../audit/tail.ts'
import { type Config, readSeed } from '../config.ts'
import type { DenialReason } from '../core/denial.ts'
import { type Link, openLink } from '../nats/connection.ts'
import { BUCKETS } from '../nats/stores.ts'
import { inboxPrefixes, tlsOptions } from '../verifier-links.ts'
import { auditStreamOptions } from '../verifier-parts.ts'
import type { CheckResult } from './check.ts'
import { openProbe } from './probe.ts'
import { staticUsersCheck } from './rollout-checks.ts'

const serverMin = [2, 10, 27] as const
const skewMsMax = 2_000
const controlLineBytesMin = 4_096
const timeoutSecondsMin = 2
const timeoutSecondsMax = 60
const answersMsMax = 1_500
const recordMsMax = 3_000

/**
 * Every check, as its result is known. A deployment that cannot be reached fails the first. `natsServerMin` is the policy's
 * promise about every server, or null.
 */
export async function* liveChecks(config: Config, natsServerMin: string | null): AsyncGenerator<CheckResult> {
  const links: Link[] = []
  try {
    for (const role of ['auth', 'audit', 'system'] as const) {
      const link = await connectAs(config, role)
      if ('detail' in link) return yield link
      links.push(link)
      yield { name: `nats account ${role}`, passed: true, detail: `connected to ${link.nats.getServer()}` }
    }
    const [auth, audit, system] = links
    if (auth === undefined || audit === undefined || system === undefined) return
    yield* serverChecks(system, natsServerMin?.split('.').map(Number) ?? serverMin)
    yield await bucketCheck(auth)
    yield await streamCheck(audit, config)
    yield await nonceCheck(config)
    yield await roundTripCheck(config)
    yield await staticUsersCheck(system, config)
  } finally {
    await Promise.all(links.map((link) => link.drain()))
  }
}

async function connectAs(config: Config, role: 'auth' | 'audit' | 'system'): Promise<Link | CheckResult> {
  const { name, servers, seedFiles, tls } = config.nats
  try {
    return await openLink({
      name: `nats-webauthn check (${role})`,
      servers,
      seed: readSeed(seedFiles[role], 'U'),
      inboxPrefix: inboxPrefixes(name)[role],
      tls: tlsOptions(tls),
      waitForServer: false,
      onEvent: () => {},
    })
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : 'no connection'
    return { name: `nats account ${role}`, passed: false, detail: `${servers.join(', ')}: ${cause}` }
  }
}

const varzSchema = z.looseObject({
  server: z.looseObject({ name: z.string(), time: z.string() }),
  data: z.looseObject({ version: z.string(), auth_timeout: z.number(), max_control_line: z.number() }),
})

/** Version, timeouts, limits and clock of every server that answers. */
async function* serverChecks(system: Link, versionMin: readonly number[]): AsyncGenerator<CheckResult> {
  const answers = await system.nats.requestMany('$SYS.REQ.SERVER.PING.VARZ', '', {
    strategy: RequestStrategy.JitterTimer,
    maxWait: answersMsMax,
    jitter: 250,
  })
  let servers = 0
  for await (const message of answers) {
    const varz = varzSchema.safeParse(message.json())
    if (!varz.success) continue
    servers++
    const { server, data } = varz.data
    const about = (name: string, passed: boolean, detail: string): CheckResult => ({ name: `${server.name} ${name}`, passed, detail })
    yield about('version', isAtLeast(data.version, versionMin), `${data.version}, at least ${versionMin.join('.')} is needed`)
    const seconds = data.auth_timeout
    yield about(
      'authorization.timeout',
      seconds >= timeoutSecondsMin && seconds <= timeoutSecondsMax,
      `${seconds} s, ${timeoutSecondsMin} to ${timeoutSecondsMax} is sane`,
    )
    yield about('max_control_line', data.max_control_line >= controlLineBytesMin, `${data.max_control_line} bytes`)
    const skewMs = Date.parse(server.time) - Date.now()
    yield about('clock', Math.abs(skewMs) <= skewMsMax, `${Math.round(Math.abs(skewMs))} ms ${skewMs < 0 ? 'behind' : 'ahead'}`)
  }
  if (servers === 0) yield { name: 'servers', passed: false, detail: 'none answered in the system account' }
}

function isAtLeast(version: string, versionMin: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number)
  for (const [index, least] of versionMin.entries()) {
    const part = parts[index] ?? 0
    if (part !== least) return part > least
  }
  return true
}

/** Asks, and makes nothing: `serve` does that. */
async function bucketCheck(auth: Link): Promise<CheckResult> {
  const missing: string[] = []
  for (const bucket of BUCKETS) {
    const answer = z.looseObject({ error: z.unknown().optional() }).safeParse(await infoOf(auth, `KV_${bucket}`))
    if (!answer.success || answer.data.error !== undefined) missing.push(bucket)
  }
  return {
    name: 'buckets',
    passed: missing.length === 0,
    detail: missing.length === 0 ? `all ${BUCKETS.length} there` : `missing: ${missing.join(', ')}`,
  }
}

async function infoOf(link: Link, stream: string): Promise<unknown> {
  try {
    return (await link.nats.request(`$JS.API.STREAM.INFO.${stream}`, '{}', { timeout: answersMsMax })).json()
  } catch {
    return null
  }
}

async function streamCheck(audit: Link, config: Config): Promise<CheckResult> {
  try {
    const weaknesses = await inspectStreams(audit.nats, auditStreamOptions(config))
    const detail = weaknesses.map(({ stream, setting, wanted, live }) => `${stream} ${setting}: ${live} instead of ${wanted}`).join('; ')
    return { name: 'audit streams', passed: weaknesses.length === 0, detail: detail === '' ? 'there, and as strong as wanted' : detail }
  } catch {
    return { name: 'audit streams', passed: false, detail: 'JetStream does not answer in the audit account' }
  }
}

function firstServer(config: Config): string {
  return config.nats.servers[0] ?? ''
}

async function nonceCheck(config: Config): Promise<CheckResult> {
  try {
    const probe = await openProbe(firstServer(config), tlsOptions(config.nats.tls))
    probe.close()
    // INFO carries an xkey of the server's own in any case; whether requests are sealed, only the round trip shows.
    const { nonce } = probe.info
    if (typeof nonce !== 'string' || nonce === '')
      return { name: 'nonce', passed: false, detail: 'not offered: keep a user with an nkey in nats-server.conf' }
    return { name: 'nonce', passed: true, detail: 'offered' }
  } catch {
    return { name: 'nonce', passed: false, detail: `no connection to ${firstServer(config)}` }
  }
}

/**
 * Connects with a signature that is none. A verifier that could open and read the request says `sig_malformed` in the
 * trail; with another xkey it says that it could not, and without a verifier there is nothing.
 */
async function roundTripCheck(config: Config): Promise<CheckResult> {
  const name = 'callout round trip'
  const marker = `nats-webauthn check ${randomBytes(8).toString('hex')}`
  const since = new Date(Date.now() - skewMsMax)
  let answer: string | null
  try {
    const probe = await openProbe(firstServer(config), tlsOptions(config.nats.tls))
    answer = await probe.ask({ verbose: false, lang: 'check', version: '1', protocol: 1, name: marker, sig: 'AA' })
    probe.close()
  } catch {
    return { name, passed: false, detail: `no connection to ${firstServer(config)}` }
  }
  if (answer !== null && !answer.startsWith('-ERR')) return { name, passed: false, detail: 'somebody without a proof was let in' }
  if (config.auditor === null) return { name, passed: null, detail: 'refused, as it should be; auditor.seed_file would let check read why' }
  // Without a verifier there may be no stream to read either.
  const reason = await recordedReason(config, { marker, since }).catch(() => null)
  if (reason === null) return { name, passed: false, detail: 'refused, but no verifier recorded it: is one running?' }
  const advice = isUnread(reason) ? ': compare auth_callout.xkey of nats-server with callout.xkey_seed_file or `xkey: none`' : ''
  return { name, passed: reason === 'sig_malformed', detail: `refused and recorded as ${reason}${advice}` }
}

/** Reasons of requests that the verifier could not read, as happens with different xkeys: their records name no client. */
const UNREAD = ['request_unsealed', 'request_unopenable', 'request_malformed'] as const satisfies DenialReason[]

function isUnread(reason: string): boolean {
  return UNREAD.some((unread) => unread === reason)
}

/** The reason in the record of the connection that called itself `marker`, or else of one that nobody could read. */
async function recordedReason(config: Config, { marker, since }: { marker: string; since: Date }): Promise<string | null> {
  const link = await openLink({
    name: 'nats-webauthn check (auditor)',
    servers: config.nats.servers,
    seed: readSeed(config.auditor?.seedFile ?? '', 'U'),
    inboxPrefix: '_INBOX_auditor',
    tls: tlsOptions(config.nats.tls),
    waitForServer: false,
    onEvent: () => {},
  })
  const deadline = AbortSignal.timeout(recordMsMax)
  let unread: string | null = null
  try {
    for await (const entry of tailTrail(link.nats, { filter: 'request.>', since, follow: true, signal: deadline })) {
      const reason = entry.subject.split('.').at(-1) ?? ''
      if (entry.body.includes(marker)) return reason
      if (isUnread(reason)) unread = reason
    }
    return unread
  } finally {
    await link.drain()
  }
}
