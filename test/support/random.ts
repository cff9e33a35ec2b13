/** Pseudo-random numbers from a seed: the same seed, the same run. For choosing test cases, never for anything secret. */

export interface Random {
  /** Uniform in [0, 2^32). */
  next(): number
  /** Uniform in [0, `end`). */
  below(end: number): number
  /** True once in `oneIn` times. */
  once(oneIn: number): boolean
  pick<T>(list: readonly T[]): T
  bytes(length: number): Uint8Array
}

/** A generator for case number `index` of `seed`: any case can be made again without those before it. */
export function seededRandom(seed: number, index = 0): Random {
  // Mulberry32; the seed and the index are mixed first, so that neighbours have nothing in common.
  let state = mixed(mixed(seed >>> 0) ^ Math.imul(index + 1, 0x9e3779b1))
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    return mixed(state)
  }
  const below = (end: number) => Math.floor((next() / 2 ** 32) * end)
  return {
    next,
    below,
    once: (oneIn) => below(oneIn) === 0,
    pick<T>(list: readonly T[]): T {
      if (list.length === 0) throw new Error('picking from an empty list')
      return list[below(list.length)] as T
    },
    bytes(length) {
      const out = new Uint8Array(length)
      for (let i = 0; i < length; i++) out[i] = next()
      return out
    },
  }
}

function mixed(value: number): number {
  let t = Math.imul(value ^ (value >>> 15), value | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return (t ^ (t >>> 14)) >>> 0
}
