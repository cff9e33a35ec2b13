import type { DenialReason } from './denial.ts'

/** The outcome of one check: an expected refusal is a value, broken machinery throws. */
export type Checked<T> = { ok: true; value: T } | { ok: false; denial: DenialReason }

export function passed<T>(value: T): Checked<T> {
  return { ok: true, value }
}

export function denied(denial: DenialReason): { ok: false; denial: DenialReason } {
  return { ok: false, denial }
}
