/**
 * Secrets of legacy users against bcrypt hashes, at a price that somebody who guesses cannot make the others pay: one thread
 * compares, sources take turns, each has only so many waiting, and what was compared once is not compared again.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { truncates } from 'bcryptjs'
import type { LegacyUsers } from '../core/legacy/legacy-users.ts'
import type { LegacyPort } from '../core/ports.ts'
import type { BcryptThread } from './bcrypt-thread.ts'

type Asked = Parameters<LegacyPort['compare']>[0]
type Answer = Awaited<ReturnType<LegacyPort['compare']>>

export interface LegacySecrets {
  compare(asked: Asked): Promise<Answer>
  stop(): Promise<void>
}

export const LEGACY_LIMITS = { waitingMax: 64, waitingPerSourceMax: 16, rightMax: 10_000, wrongMax: 1_000 } as const

interface Waiting {
  key: string
  comparison: { secret: string; hash: string }
  /** By `now`: later than this the answer is of no use. */
  before: number
  answered(answer: Answer): void
  failed(cause: unknown): void
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
  const queues = new Map<string, Waiting[]>()
  const asking = new Map<string, Promise<Answer>>()
  let waiting = 0
  let asked = 0
  let running = false

  /** The next source's oldest: whoever has just been served goes to the end. */
  function next(): Waiting | null {
    for (const [source, queue] of queues) {
      queues.delete(source)
      const first = queue.shift()
      if (first === undefined) continue
      if (queue.length > 0) queues.set(source, queue)
      waiting--
      return first
    }
    return null
  }

  async function work(): Promise<void> {
    running = true
    for (let one = next(); one !== null; one = next()) {
      if (now() >= one.before) {
        one.answered('busy')
        continue
      }
      try {
        const matches = await thread.compare(one.comparison)
        remember(matches ? right : wrong, one.key, matches ? LEGACY_LIMITS.rightMax : LEGACY_LIMITS.wrongMax)
        one.answered(matches ? 'right' : 'wrong')
      } catch (cause) {
        one.failed(cause)
      }
    }
    running = false
  }

  function inTurn(one: Asked, comparison: Waiting['comparison'], key: string): Promise<Answer> {
    const queue = queues.get(one.source) ?? []
    if (waiting >= LEGACY_LIMITS.waitingMax || queue.length >= LEGACY_LIMITS.waitingPerSourceMax) return Promise.resolve('busy')
    const answer = new Promise<Answer>((answered, failed) => {
      queue.push({ key, comparison, before: now() + one.msLeft, answered, failed })
    })
    queues.set(one.source, queue)
    waiting++
    if (!running) void work()
    return answer
  }

  function answerOf(one: Asked, hash: string, key: string): Promise<Answer> {
    // Connections of one client come back together with one secret.
    const same = asking.get(key)
    if (same !== undefined) return same
    const answer = inTurn(one, { secret: one.secret, hash }, key).finally(() => asking.delete(key))
    asking.set(key, answer)
    return answer
  }

  return {
    async compare(one) {
      const { name, secret } = one
      // bcrypt ignores what comes after 72 bytes: a secret that only begins right is none.
      if (truncates(secret)) return 'wrong'
      const hash = one.hash ?? dummyHash(name)
      // With the name: if names that nobody has shared an answer, one that is slow would be somebody's.
      const key = createHmac('sha256', remembering)
        .update(JSON.stringify([name, hash, secret]))
        .digest('base64url')
      if (right.has(key)) return 'right'
      if (wrong.has(key)) return 'wrong'
      if (asked >= askedMax) return 'busy'
      asked++
      return answerOf(one, hash, key).finally(() => asked--)
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
