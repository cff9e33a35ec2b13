/**
 * Secrets of legacy users against bcrypt hashes, at a price that somebody who guesses cannot make the others pay: one thread
 * compares, sources take turns, each has only so many waiting, and what was compared once is not compared again.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { truncates } from 'bcryptjs'
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

/** `dummyHash` is compared where there is no hash, so that a name that nobody has costs the same. `now` is monotonic, in ms. */
export function legacySecrets(options: { thread: BcryptThread; dummyHash(): string; now?: () => number }): LegacySecrets {
  const { thread, dummyHash, now = () => performance.now() } = options
  // Only this process can make these keys, so that nothing it remembers lets anybody guess elsewhere.
  const remembering = randomBytes(32)
  const right = new Set<string>()
  const wrong = new Set<string>()
  const queues = new Map<string, Waiting[]>()
  const asking = new Map<string, Promise<Answer>>()
  let waiting = 0
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

  function inTurn(asked: Asked, comparison: Waiting['comparison'], key: string): Promise<Answer> {
    const queue = queues.get(asked.source) ?? []
    if (waiting >= LEGACY_LIMITS.waitingMax || queue.length >= LEGACY_LIMITS.waitingPerSourceMax) return Promise.resolve('busy')
    const answer = new Promise<Answer>((answered, failed) => {
      queue.push({ key, comparison, before: now() + asked.msLeft, answered, failed })
    })
    queues.set(asked.source, queue)
    waiting++
    if (!running) void work()
    return answer
  }

  return {
    async compare(asked) {
      const { secret } = asked
      // bcrypt ignores what comes after 72 bytes: a secret that only begins right is none.
      if (truncates(secret)) return 'wrong'
      const hash = asked.hash ?? dummyHash()
      const key = createHmac('sha256', remembering)
        .update(JSON.stringify([hash, secret]))
        .digest('base64url')
      if (right.has(key)) return 'right'
      if (wrong.has(key)) return 'wrong'
      // Connections of one client come back together with one secret.
      const same = asking.get(key)
      if (same !== undefined) return same
      const answer = inTurn(asked, { secret, hash }, key).finally(() => asking.delete(key))
      asking.set(key, answer)
      return answer
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
