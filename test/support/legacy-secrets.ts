/** Secrets of legacy users on a thread that answers when a test says so. */
import type { Comparison } from '../../src/policy/bcrypt-thread.ts'
import { legacySecrets } from '../../src/policy/legacy-secrets.ts'

export const DUMMY = 'dummy hash'

/** A thread that answers when it is told to; a secret is right when its hash is `hash of SECRET`. */
function threadByHand() {
  const compared: Comparison[] = []
  const waiting: { one: Comparison; done(matches: boolean): void; fail(cause: Error): void }[] = []
  return {
    compared,
    thread: {
      compare: (one: Comparison) =>
        new Promise<boolean>((done, fail) => {
          compared.push(one)
          waiting.push({ one, done, fail })
        }),
      stop: async () => undefined,
    },
    answer: () => {
      const next = waiting.shift()
      next?.done(next.one.hash === `hash of ${next.one.secret}`)
    },
    fail: () => waiting.shift()?.fail(new Error('breaking on purpose')),
  }
}

export function secretsByHand({ nowMs = { value: 0 }, askedMax = 10_000 } = {}) {
  const hand = threadByHand()
  const secrets = legacySecrets({ thread: hand.thread, dummyHash: () => DUMMY, askedMax, now: () => nowMs.value })
  const ask = (secret: string, changes: { name?: string; hash?: string | null; source?: string; msLeft?: number } = {}) =>
    secrets.compare({ name: 'billing', secret, hash: `hash of ${secret}`, source: '192.0.2.1', msLeft: 4_000, ...changes })
  return { ...hand, ask, nowMs }
}

/** Lets everything that is due run. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
