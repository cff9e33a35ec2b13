/** Closes the live connections of something that was revoked, and records each. */
import type { CredentialKey, Handle, UserNkey } from '../core/identifiers.ts'
import type { Kicks } from './admin-protocol.ts'
import type { Guard, LiveConnection } from './guard.ts'
import type { KickOutcome, System } from './system.ts'

export interface KickTarget {
  owner: { credential: CredentialKey } | { session: UserNkey } | { handle: Handle }
  /** When it is a whole identity, the servers are asked too: the guard may have missed a connection. */
  identity: Handle | null
}

export interface KickerOptions {
  guard: Guard
  system: System
  /** After this time again: a request that was being decided during the revocation may have been granted since. */
  againAfterMs(): number
  onFailure(cause: unknown): void
}

export interface Kicker {
  kickAll(target: KickTarget, record: (connection: LiveConnection, outcome: Exclude<KickOutcome, 'gone'>) => Promise<void>): Promise<Kicks>
  /** Kicks now what it would have kicked again later, and resolves when that is done: for SIGTERM, once nothing is being decided. */
  settle(): Promise<void>
  stop(): void
}

const kicksInFlightMax = 16

export function createKicker(options: KickerOptions): Kicker {
  const again = new Map<NodeJS.Timeout, () => Promise<unknown>>()
  const kickNow = async (target: KickTarget, record: Parameters<Kicker['kickAll']>[1]): Promise<Kicks> => {
    const { system, onFailure } = options
    const kicks: Kicks = { kicked: 0, failed: 0 }
    const waiting = await connectionsOf(target, options)
    const worker = async () => {
      for (let connection = waiting.pop(); connection !== undefined; connection = waiting.pop()) {
        const outcome = await system.kick(connection)
        if (outcome === 'gone') continue
        kicks[outcome]++
        // The connection is closed whether or not this can be recorded: the revocation itself was.
        await record(connection, outcome).catch(onFailure)
      }
    }
    await Promise.all(Array.from({ length: kicksInFlightMax }, worker))
    return kicks
  }
  const stop = () => {
    for (const timer of again.keys()) clearTimeout(timer)
    again.clear()
  }
  return {
    kickAll: async (target, record) => {
      const kick = () => kickNow(target, record).catch(options.onFailure)
      const timer = setTimeout(() => {
        again.delete(timer)
        void kick()
      }, options.againAfterMs())
      timer.unref()
      again.set(timer, kick)
      return kickNow(target, record)
    },
    settle: async () => {
      const kicks = [...again.values()]
      stop()
      await Promise.all(kicks.map((kick) => kick()))
    },
    stop,
  }
}

async function connectionsOf({ owner, identity }: KickTarget, { guard, system, onFailure }: KickerOptions): Promise<LiveConnection[]> {
  const found = new Map<string, LiveConnection>()
  const add = (connections: LiveConnection[]) => {
    for (const connection of connections) found.set(`${connection.serverId}.${connection.clientId}`, connection)
  }
  add(guard.connectionsWith(owner))
  if (identity !== null) {
    try {
      add(await system.connectionsOf(identity))
    } catch (cause) {
      onFailure(cause)
    }
  }
  return [...found.values()]
}
