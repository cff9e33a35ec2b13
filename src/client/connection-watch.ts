/** What a live connection tells about itself, in the words of either client library. */
import type { ReconnectPace, ServerCount } from '../core/reconnect-pace.ts'
import { refusalAfter } from '../core/session-evidence.ts'
import type { Attempts } from './attempts.ts'
import type { NatsConnectionLike } from './authenticator.ts'

// A verdict is seldom slower than this, and nats-server waits for two seconds at least, unless it is told otherwise.
const verdictMs = 1_900

// `reconnect()` of the program, as `nats` 2.x and `@nats-io/transport-node` 3.x report it.
const WANTED: ReadonlySet<string> = new Set(['client initiated reconnect', 'forceReconnect'])

/** Tells the attempts what became of them, and the pace who is out there. Ends with the connection. */
export async function followConnection(
  connection: NatsConnectionLike,
  { attempts, pace }: { attempts: Attempts<unknown>; pace: ReconnectPace },
): Promise<void> {
  let acceptedMs = 0
  const up = () => {
    const now = performance.now()
    acceptedMs = attempts.sinceBegun(now)
    attempts.worked()
    pace.up(serverCount(connection), now)
  }
  up()
  attempts.watch(true)
  try {
    for await (const status of connection.status()) {
      if (status.type === 'reconnect') up()
      else if (status.type === 'disconnect') pace.lost('broken')
      else if (WANTED.has(status.type)) pace.lost('wanted')
      else if (saysExpired(status)) pace.lost('expired')
      else if (saysRefused(status)) attempts.refused(refusalAfter(attempts.sinceBegun(performance.now()), { acceptedMs, verdictMs, pace }))
    }
  } finally {
    attempts.watch(false)
  }
}

function serverCount(connection: NatsConnectionLike): ServerCount | null {
  const info: unknown = 'info' in connection ? connection.info : undefined
  if (typeof info !== 'object' || info === null || !('server_id' in info) || !('client_id' in info)) return null
  const { server_id: serverId, client_id: clientId } = info
  return typeof serverId === 'string' && typeof clientId === 'number' && Number.isSafeInteger(clientId) && clientId > 0
    ? { serverId, clientId }
    : null
}

const saysExpired = (status: { type: string }) => errorOf(status, 'AUTHENTICATION_EXPIRED', /user authentication expired/i)
const saysRefused = (status: { type: string }) => errorOf(status, 'AUTHORIZATION_VIOLATION', /authorization violation/i)

// `nats` 2.x reports a code in `data`, `@nats-io/transport-node` 3.x an Error in `error`.
function errorOf(status: { type: string }, code: string, words: RegExp): boolean {
  if (status.type !== 'error') return false
  if ('data' in status && status.data === code) return true
  return 'error' in status && status.error instanceof Error && words.test(status.error.message)
}
