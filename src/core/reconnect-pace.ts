/**
 * When a client that lost its connection dials again, so that a fleet which lost them all at once does not return at
 * once: a server waits a few seconds for a verifier, and what comes faster than it is verified is refused. No clock and
 * no randomness of its own.
 *
 * Nobody tells a client how large its fleet is, but servers number their connections. Everybody whose grant is as long
 * as this one's came by once while it lasted: what the server counted meanwhile is about how many would return together.
 */

/** From INFO. Only how long to wait follows from it, so a hostile server gains nothing. */
export interface ServerCount {
  serverId: string
  /** The server's number of this connection. */
  clientId: number
}

/** `expired`: its grant's time was over. `wanted`: by the program. `broken`: by a server, a network, or whoever closed it. */
export type Loss = 'expired' | 'wanted' | 'broken'

export interface ReconnectPace {
  /** The connection is up. Null where the server did not say. */
  up(server: ServerCount | null, nowMs: number): void
  /** The connection is lost, or will be. The first reason counts, for it is the cause of the others. */
  lost(why: Loss): void
  /** Why the connection is not up, or null where nothing was told. */
  loss(): Loss | null
  /**
   * Milliseconds from now to the next dial, drawn anew at each call. `failures`: what was refused since it was up;
   * `isRedial`: a dial that did not get that far was made since.
   */
  pauseMs(moment: { nowMs: number; failures: number; isRedial: boolean }, random: () => number): number
  /** Over how long a fleet of this size is spread. */
  spreadMs(): number
}

// What a verifier answers with room to spare, on the machine of docs/bench.md.
const connectionsPerSecond = 500
const spreadMillisecondsMax = 20_000
// The number of the first connection says only how many came before: as many again may have come after.
const firstCountFactor = 2
// The verifier ends grants by up to a tenth early, at random.
const expiryJitterShare = 0.1
// A server that restarts is there before its verifiers, and whoever comes between waits in vain for as long as it lets them.
const headStartMilliseconds = 2_000
const stepMillisecondsMin = 1_000
const stepMillisecondsMax = 30_000

export function createReconnectPace(): ReconnectPace {
  let last: (ServerCount & { upAt: number }) | null = null
  let fleet: number | null = null
  let loss: Loss | null = null

  const spreadMs = () => Math.min(spreadMillisecondsMax, ((fleet ?? 0) / connectionsPerSecond) * 1_000)

  return {
    up(server, nowMs) {
      const isNext = loss === 'expired' && server !== null && last?.serverId === server.serverId && server.clientId > last.clientId
      if (isNext) fleet = server.clientId - (last?.clientId ?? 0)
      else if (server !== null) fleet ??= server.clientId * firstCountFactor
      last = server === null ? null : { ...server, upAt: nowMs }
      loss = null
    },
    lost(why) {
      loss ??= why
    },
    loss: () => loss,
    pauseMs({ nowMs, failures, isRedial }, random) {
      const jittered = loss === 'expired' && last !== null ? (nowMs - last.upAt) * expiryJitterShare : 0
      // All or nothing: a short grant may have ended with its session, to the second, and so have the others'.
      const spread = jittered >= spreadMs() ? 0 : spreadMs()
      if (failures === 0 && !isRedial) {
        if (loss === 'wanted') return 0
        return (loss === 'expired' ? 0 : headStartMilliseconds) + random() * spread
      }
      const step = stepMs(failures)
      // Half of the step is certain. The rest is chance, as wide as the step and as the fleet needs: each of its rounds is
      // as much work as the first.
      return 0.5 * step + random() * Math.max(step, spread)
    },
    spreadMs,
  }
}

function stepMs(failures: number): number {
  return Math.min(stepMillisecondsMax, stepMillisecondsMin * 2 ** Math.min(10, Math.max(0, failures - 1)))
}

/** Tells a client library when to dial again. */
export interface Redial {
  /** A connection of its own begins: the library dials at once. */
  begin(): void
  /** The library has dialled, and a server sent its INFO. */
  answered(): void
  /** What the library's `reconnectDelayHandler` returns. */
  delayMs(): number
}

/**
 * Both libraries ask before each dial, and again after each wait, and count from their last dial: a connection that was up
 * for longer than the delay is dialled again at once. What is told here is therefore the time from that dial to the next.
 */
export function createRedial(
  pace: ReconnectPace,
  { failures, now, random }: { failures: () => number; now: () => number; random: () => number },
): Redial {
  let dialledAt: number | null = null
  // When the next dial is due; null while there is nothing to wait for, so that being asked means that a dial came to its end.
  let dueAt: number | null = null
  let answered = false

  return {
    begin() {
      dialledAt = dueAt = null
      answered = false
    },
    answered() {
      answered = true
      if (dueAt !== null || dialledAt === null) dialledAt = now()
      dueAt = null
    },
    delayMs() {
      const nowMs = now()
      if (dialledAt !== null && dueAt === null) {
        dueAt = nowMs + pace.pauseMs({ nowMs, failures: failures(), isRedial: !answered }, random)
      }
      if (dialledAt !== null && dueAt !== null && nowMs < dueAt) return Math.floor(dueAt - dialledAt)
      dialledAt = nowMs
      dueAt = null
      answered = false
      return 0
    },
  }
}
