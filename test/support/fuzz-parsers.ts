/** Every target of the coverage-guided fuzzer, without coverage: mutated seeds against each parser's promises. */
import { readdirSync } from 'node:fs'
import { mutated } from '../fuzz/coverage-loop.ts'
import type { FuzzTarget } from '../fuzz/fuzz-target.ts'
import { type FuzzArea, FuzzFailure, shown } from './fuzz-area.ts'

const folder = new URL('../fuzz/', import.meta.url)

export async function fuzzTargets(): Promise<FuzzTarget[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.fuzz.ts'))
  const loaded = await Promise.all(files.sort().map((name) => import(new URL(name, folder).href) as Promise<Record<string, FuzzTarget>>))
  return loaded.flatMap((module) => Object.values(module))
}

/** All targets, or the one of that name. */
export async function parsersArea(only?: string): Promise<FuzzArea> {
  const targets = (await fuzzTargets()).filter(({ name }) => only === undefined || name === only)
  const seeds = new Map<FuzzTarget, Uint8Array[]>()
  for (const target of targets) seeds.set(target, [...(await target.seeds())])
  return {
    name: 'parsers',
    share: 0.2,
    async one(random) {
      const target = random.pick(targets)
      const input = mutated(target, seeds.get(target) ?? [], random)
      try {
        await target.run(input)
      } catch (cause) {
        throw new FuzzFailure(`${target.name} broken by ${shown(input)}: ${cause instanceof Error ? cause.message : String(cause)}`, {
          cause,
        })
      }
      return target.name
    },
    close: async () => {},
  }
}
