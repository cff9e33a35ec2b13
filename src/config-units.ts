/** Durations and sizes as people write them: a whole number and its unit, always both. */

const DURATION_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE_BYTES = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const

function parse(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d{1,9})([A-Za-z]{1,3})$/.exec(text)
  const unit = match === null ? undefined : units[match[2] as string]
  return match === null || unit === undefined ? null : Number(match[1]) * unit
}

/** Milliseconds of `15m`, `400ms`, `24h`, or null. */
export function parseDuration(text: string): number | null {
  return parse(text, DURATION_MS)
}

/** Bytes of `1GB` or `64KiB`, or null. */
export function parseSize(text: string): number | null {
  return parse(text, SIZE_BYTES)
}
