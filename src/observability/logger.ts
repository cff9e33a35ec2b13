/** The verifier's log: JSON lines by pino on stderr, without secrets. */
import { type DestinationStream, destination, type Logger, pino, stdSerializers } from 'pino'
import type { VerdictEvent } from '../core/audit-event.ts'
import { DENIALS } from '../core/denial.ts'
import { safeText } from '../core/safe-text.ts'

export type { Logger }

// Members that hold secrets, wherever they occur.
const SECRET_MEMBERS = [
  'seed',
  'jwt',
  'sig',
  'nonce',
  'ticket',
  'token',
  'auth_token',
  'assertion',
  'resume',
  'password',
  'pass',
  'issued',
  'authorization',
  'cookie',
  'signature',
  'clientDataJSON',
  'authenticatorData',
  'challenge',
]
const REDACTED = '[redacted]'

/** Log lines of one program. `level` is one of pino's; `stream` replaces stderr. */
export function createLogger(options: { level: string; name: string; stream?: DestinationStream }): Logger {
  const out = options.stream ?? stderr()
  return pino(
    {
      name: options.name,
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.errWithCause },
      redact: { paths: SECRET_MEMBERS, censor: REDACTED },
    },
    { write: (line: string) => out.write(scrub(line)) },
  )
}

const heldCharsMax = 16 * 1024

let shared: DestinationStream | null = null

/** One for all loggers of the process, as it has one stderr. */
function stderr(): DestinationStream {
  shared ??= heldStderr()
  return shared
}

/** Lines of one turn of the event loop are written together; at the end of the process nothing is left. */
function heldStderr(): DestinationStream {
  const out = destination({ fd: 2, sync: true })
  let held = ''
  const flush = () => {
    if (held !== '') out.write(held)
    held = ''
  }
  process.once('exit', flush)
  return {
    write(line) {
      if (held === '') setImmediate(flush)
      held += line
      if (held.length >= heldCharsMax) flush()
    },
  }
}

// pino's wildcard paths would cost ten times the line itself, so members further down are found in the finished line;
// and nkey seeds and JWTs by their shape, wherever no member's name gives them away.
const SECRET_MEMBER = new RegExp(`"(${SECRET_MEMBERS.join('|')})":"(?:[^"\\\\]|\\\\.)*"`, 'g')
const SEED_OR_JWT = /\bS[ACNOUX][A-Z2-7]{56}\b|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?/g

/** A finished JSON line without the secrets that it should not have been given. */
function scrub(line: string): string {
  return line.replace(SECRET_MEMBER, `"$1":"${REDACTED}"`).replace(SEED_OR_JWT, REDACTED)
}

const LEVELS = { notice: 'info', warning: 'warn', alert: 'warn' } as const

/** One line a verdict, at the level that its severity asks for. */
export function verdictLine(log: Logger, event: VerdictEvent): void {
  const { verdict, connection, identity, grant } = event
  const severity = verdict.outcome === 'denied' || verdict.outcome === 'reported' ? DENIALS[verdict.reason].severity : undefined
  const level = verdict.outcome === 'granted' ? 'info' : severity === undefined ? 'error' : LEVELS[severity]
  log[level](
    {
      id: event.id,
      outcome: verdict.outcome,
      reason: verdict.reason,
      severity,
      legacy: verdict.outcome === 'reported' ? safeText(verdict.legacy.name, 80) : undefined,
      stage: event.stage,
      verified: event.verified,
      duration_ms: Math.round(event.durationMs * 100) / 100,
      handle: identity?.handle,
      credential: identity?.credentialId.slice(0, 16),
      class: identity?.class,
      session: identity?.sessionNkey ?? undefined,
      server_id: connection?.serverId,
      client_id: connection?.clientId,
      client_host: connection === null ? undefined : safeText(connection.clientHost, 256),
      client_type: connection?.clientType,
      account: grant?.account,
      roles: grant?.roles,
      expires_at: grant?.expiresAt,
      policy: event.policyHash.slice(0, 12),
    },
    'verdict',
  )
}
