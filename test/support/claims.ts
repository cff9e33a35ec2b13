/** What tests of claims ask, and of whom. */
import { run } from './decision.ts'
import type { MemoryWorld } from './memory-world.ts'
import { NOW, type Scenario, scenario } from './scenario.ts'

export const LATER = NOW + 20_000

/** From now on as a verifier that no watch has told of anything: only the leader knows of claims. */
export function untold(world: MemoryWorld): void {
  const { find } = world.guard
  world.guard.find = async (key, from) => (from === 'leader' ? find(key) : null)
}

/** One request of the server about the scenario's connection, made when it is decided. */
export function ask(s: Scenario, world: MemoryWorld, how: Parameters<typeof run>[2]): ReturnType<typeof run> {
  return run({ ...s, request: { ...s.request, now: Math.floor((how.now ?? NOW) / 1000) } }, world, how)
}

export const verdictOf = ({ event }: Awaited<ReturnType<typeof run>>) => event && `${event.verdict.outcome}.${event.verdict.reason}`

/** A device-bound key that counts; its count is used by the first ask. */
export function counting(signCountAt = NOW - 3_600_000): Scenario {
  const s = scenario()
  Object.assign(s.credential, { signCount: 4, signCountAt, backupEligible: false })
  s.assertion = { signCount: 5, flags: 0 }
  return s
}
