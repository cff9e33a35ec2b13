/** What `login` leaves for `logout`: the seed of the session nkey and, beside it, whose it is. Both 0600. */
import { mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readSecretFile, replaceSecretFile } from '../client/secret-file.ts'
import { type SessionKey, sessionKeyFromSeed } from '../client/session-key.ts'
import { configHome } from './nats-context.ts'
import type { Environment } from './open-browser.ts'

export interface SavedSession {
  /** The verifier's origin. */
  origin: string
  nkey: string
  handle: string
  seedFile: string
  contextFile: string
  /** Epoch milliseconds. */
  expiresAt: number
}

/** The directory of sessions: `--dir`, or one of our own beside the contexts. */
export function sessionDir(option: string | undefined, env: Environment): string {
  return option === undefined ? join(configHome(env), 'nats-webauthn') : resolve(option)
}

export function seedFileOf(dir: string, name: string): string {
  return join(dir, `${name}.nk`)
}

function memoOf(dir: string, name: string): string {
  return join(dir, `${name}.json`)
}

/** Names of the sessions in `dir`. */
export function savedNames(dir: string): string[] {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(dir)
    .filter((file) => file.endsWith('.json') && !file.startsWith('.'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort()
}

/** Null when there is none by that name. */
export function readSaved(dir: string, name: string): SavedSession | null {
  const path = memoOf(dir, name)
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null
  let value: unknown
  try {
    value = JSON.parse(readSecretFile(path))
  } catch (cause) {
    throw new Error(`reading ${path}`, { cause: cause instanceof SyntaxError ? undefined : cause })
  }
  const members: Record<string, unknown> = typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
  const text = (member: string): string => {
    const found = members[member]
    if (typeof found !== 'string') throw new Error(`reading ${path}: ${member} is not as login wrote it`)
    return found
  }
  const { expiresAt } = members
  if (members['v'] !== 1 || typeof expiresAt !== 'number') throw new Error(`reading ${path}: it is not as login wrote it`)
  return {
    origin: text('origin'),
    nkey: text('nkey'),
    handle: text('handle'),
    seedFile: text('seedFile'),
    contextFile: text('contextFile'),
    expiresAt,
  }
}

/** The key of a saved session; null when its file is gone, or holds another. */
export function readSavedKey({ seedFile, nkey }: SavedSession): SessionKey | null {
  if (statSync(seedFile, { throwIfNoEntry: false }) === undefined) return null
  const key = sessionKeyFromSeed(readSecretFile(seedFile))
  return key?.nkey === nkey ? key : null
}

export function makeSessionDir(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
}

/** Writes the seed, then what is known of it: a memo never names a seed that is not there. */
export function writeSaved(dir: string, name: string, { key, saved }: { key: SessionKey; saved: SavedSession }): void {
  replaceSecretFile(saved.seedFile, `${key.seed()}\n`)
  replaceSecretFile(memoOf(dir, name), `${JSON.stringify({ v: 1, ...saved }, null, 2)}\n`)
}

export function removeSaved(dir: string, name: string, { seedFile }: SavedSession): void {
  for (const path of [seedFile, memoOf(dir, name)]) if (statSync(path, { throwIfNoEntry: false }) !== undefined) unlinkSync(path)
}
