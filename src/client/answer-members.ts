/** The members of a verifier's answer, read one by one: they come from the network. */
import { fromBase64url } from '../core/encoding.ts'

export interface AnswerReader {
  objectOf(value: unknown, name: string): Record<string, unknown>
  listOf(value: unknown, name: string): unknown[]
  textOf(value: unknown, name: string, pattern: RegExp): string
  bytesOf(value: unknown, name: string): Uint8Array
  /** Epoch milliseconds. */
  timeOf(value: unknown, name: string): number
}

const listMax = 100

/** What members may look like. */
export const PATTERNS = {
  handle: /^[a-z0-9_-]{1,64}$/,
  role: /^[A-Za-z0-9_-]{1,64}$/,
  url: /^[\x21-\x7e]{1,300}$/,
  inboxPrefix: /^[\x21-\x7e]{1,128}$/,
  id: /^[A-Za-z0-9_-]{1,64}$/,
} as const

/** `unexpected` makes the error for a member that is not as it must be. */
export function answerReader(unexpected: (name: string) => Error): AnswerReader {
  return {
    objectOf(value, name) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unexpected(name)
      return Object.fromEntries(Object.entries(value))
    },
    listOf(value, name) {
      if (!Array.isArray(value) || value.length > listMax) throw unexpected(name)
      return value
    },
    textOf(value, name, pattern) {
      if (typeof value !== 'string' || !pattern.test(value)) throw unexpected(name)
      return value
    },
    bytesOf(value, name) {
      const bytes = typeof value === 'string' ? fromBase64url(value) : null
      if (bytes === null) throw unexpected(name)
      return bytes
    },
    timeOf(value, name) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unexpected(name)
      return value
    },
  }
}
