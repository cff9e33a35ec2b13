/**
 * Secrets of legacy users against bcrypt hashes, at a price that somebody who guesses cannot make the others pay: one thread
 * compares, sources take turns and share the places, and what was compared once is not compared again.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { truncates } from 'bcryptjs'
import type { LegacyUsers } from '../core/legacy/legacy-users.ts'
import type { LegacyPort } from '../core/ports.ts'
import { createWaitingRoom } from '../core/waiting-room.ts'
import type { BcryptThread, Comparison } from './bcrypt-thread.ts'
import { HeldPlaces } from './held-places.ts'

type Asked = Parameters<LegacyPort['compare']>[0]
type Answer = Awaited<ReturnType<LegacyPort['compare']>>

export interface LegacySecrets {
  compare(asked: Asked): Promise<Answer>
  stop(): Promise<void>
}

export const LEGACY_LIMITS = { waitingMax: 64, waitingPerSourceMax: 16, rightMax: 10_000, wrongMax: 1_000 } as const

/** A request that waits for an answer. */
interface Ask {
  source: string
  of: Comparing
  answered(answer: Answer): void
  failed(cause: unknown): void
}

/** A comparison that waits or runs. Connections of one client come back together with one secret, so many may wait for it. */
interface Comparing {
  /** Whose turn it takes: who asked first. */
  source: string
  key: string
  comparison: Comparison
  /** By `now`: later than this the answer is of no use to anybody. */
  before: number
  asks: Set<Ask>
}

/**
 * `dummyHash` is compared where there is no hash, so that a name that nobody has costs the same. `askedMax`: how many may wait
 * for an answer at once, those that wait for the same one too, for each of them is a request that is being decided. `now` is
 * monotonic, in ms.
 */
export function legacySecrets(options: {
  thread: BcryptThread
  dummyHash(name: string): string
  askedMax: number
  now?: () => number
}): LegacySecrets {
  const { thread, dummyHash, askedMax, now = () => performance.now() } = options
  // Only this process can make these keys, so that nothing it remembers lets anybody guess elsewhere.
  const remembering = randomBytes(32)
  const right = new Set<string>()
  const wrong = new Set<string>()
  const comparing = new Map<string, Comparing>()
  const room = createWaitingRoom<Comparing>({ isLost: ({ asks, before }, nowMs) => asks.size === 0 || nowMs >= before })
  const asked = new HeldPlaces<Ask>(askedMax, (source) => room.isKnown(source, now()))
  let running = false

  function settle(one: Comparing, tell: (ask: Ask) => void): void {
    comparing.delete(one.key)
    for (const ask of one.asks) {
      asked.leave(ask)
      tell(ask)
    }
  }

  const giveUp = (one: Comparing): void => settle(one, (ask) => ask.answered('busy'))

  async function work(): Promise<void> {
    running = true
    for (let one = room.next(now(), giveUp); one !== null; one = room.next(now(), giveUp)) {
      try {
        const matches = await thread.compare(one.comparison)
        remember(matches ? right : wrong, one.key, matches ? LEGACY_LIMITS.rightMax : LEGACY_LIMITS.wrongMax)
        settle(one, (ask) => {
          if (matches) room.proved(ask.source, now())
          ask.answered(matches ? 'right' : 'wrong')
        })
      } catch (cause) {
        settle(one, (ask) => ask.failed(cause))
      }
    }
    running = false
  }

  /** Takes one of the places of those that wait for an answer; false where there is none for it. */
  function takePlace(ask: Ask): boolean {
    const leaves = asked.enter(ask)
    if (leaves === ask) return false
    leaves?.of.asks.delete(leaves)
    leaves?.answered('busy')
    return true
  }

  function inTurn({ source, secret, msLeft }: Asked, hash: string, key: string): Promise<Answer> {
    return new Promise((answered, failed) => {
      const there = comparing.get(key)
      const of = there ?? { source, key, comparison: { secret, hash }, before: 0, asks: new Set() }
      const ask: Ask = { source, of, answered, failed }
      const isFull = there === undefined && room.waitingFrom(source) >= LEGACY_LIMITS.waitingPerSourceMax
      if (isFull || !takePlace(ask)) return answered('busy')
      of.asks.add(ask)
      of.before = Math.max(of.before, now() + msLeft)
      if (there !== undefined) return
      comparing.set(key, of)
      const leaves = room.enter(of, { nowMs: now(), placesMax: LEGACY_LIMITS.waitingMax })
      if (leaves !== null) giveUp(leaves)
      if (!running) void work()
    })
  }

  return {
    async compare(one) {
      const { name, secret, source } = one
      // bcrypt ignores what comes after 72 bytes: a secret that only begins right is none.
      if (truncates(secret)) return 'wrong'
      const hash = one.hash ?? dummyHash(name)
      // With the name: if names that nobody has shared an answer, one that is slow would be somebody's.
      const key = createHmac('sha256', remembering)
        .update(JSON.stringify([name, hash, secret]))
        .digest('base64url')
      if (right.has(key)) {
        room.proved(source, now())
        return 'right'
      }
      return wrong.has(key) ? 'wrong' : inTurn(one, hash, key)
    },
    stop: () => thread.stop(),
  }
}

function remember(keys: Set<string>, key: string, max: number): void {
  if (keys.size >= max)
    for (const oldest of keys) {
      keys.delete(oldest)
      break
    }
  keys.add(key)
}

/**
 * A well-formed hash of nothing that anyone knows, at the price of one that the file holds: the name decides of which, as it
 * does for those that somebody has. The dearest for all would tell a cheaper one from nobody's.
 */
export function dummyHashOf({ byPassword, byToken, hash }: LegacyUsers, name: string): string {
  const costs = [...byPassword.values(), ...(byToken === null ? [] : [byToken])].map(({ secret }) => secret.hash.slice(4, 6))
  const pick = createHmac('sha256', hash).update(name).digest().readUInt32BE(0)
  return `$2b$${costs[pick % Math.max(1, costs.length)] ?? '10'}$9VQxWkB0nTzYt3hLr5eGuOc7dPj1sMa8iHf2yKx4vNq6bEgDwRZUS`
}
