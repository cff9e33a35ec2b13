/**
 * Contexts of the `nats` CLI: one JSON file each, where its own library looks for them (jsm.go natscontext; docs/login.md).
 * Members that people added to one of ours, such as `ca`, stay.
 */
import { mkdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { replaceSecretFile } from '../client/secret-file.ts'
import { UsageError } from './command.ts'
import type { Environment } from './open-browser.ts'

const contextBytesMax = 64 * 1024

/** `$XDG_CONFIG_HOME`, or `~/.config` on every system: what the `nats` CLI does. */
export function configHome(env: Environment): string {
  return env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config')
}

export function contextFile(name: string, env: Environment): string {
  return join(configHome(env), 'nats', 'context', `${name}.json`)
}

/** A name for a context and the files beside it. */
export function readContextName(text: string): string {
  // What the `nats` CLI takes, and nothing that leads elsewhere.
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(text) || text.includes('..')) {
    throw new UsageError('a context is named by 1 to 64 of A-Z a-z 0-9 . _ -')
  }
  return text
}

/** The context of a verifier unless another is named: its host. */
export function defaultContextName(origin: string): string {
  const host = new URL(origin).hostname.replace(/^\[|\]$/g, '').replaceAll(':', '-')
  return readContextName(host.replace(/^-+/, '').slice(0, 64) || 'nats-webauthn')
}

/** Members of the context file, null when there is none. */
export function readContext(path: string): Record<string, unknown> | null {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return null
  if (!stat.isFile() || stat.size > contextBytesMax) throw new Error(`reading ${path}: no file of a context`)
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw new Error(`reading ${path}: not the JSON of a context`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`reading ${path}: not the JSON of a context`)
  return Object.fromEntries(Object.entries(value))
}

export interface ContextSettings {
  description: string
  /** Addresses, separated by commas. */
  url: string
  /** Path of the seed file. */
  nkey: string
  inbox_prefix: string
}

export function writeContext(path: string, settings: ContextSettings, earlier: Record<string, unknown> | null): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  replaceSecretFile(path, `${JSON.stringify({ ...earlier, ...settings }, null, 2)}\n`)
}

/** Removes the context if it still uses `seedFile`, and its choice as the current one. */
export function removeContext(path: string, { name, seedFile, env }: { name: string; seedFile: string; env: Environment }): boolean {
  if (readContext(path)?.['nkey'] !== seedFile) return false
  unlinkSync(path)
  // The `nats` CLI would complain at every command about a current context that is not there.
  const current = join(configHome(env), 'nats', 'context.txt')
  if (statSync(current, { throwIfNoEntry: false })?.isFile() && readFileSync(current, 'utf8').trim() === name) unlinkSync(current)
  return true
}

/** The addresses that the `nats` CLI dials: its own protocol, and WebSocket only where there is nothing else. */
export function contextUrl(urls: readonly string[]): string {
  const native = urls.filter((url) => /^(?:nats|tls):\/\//.test(url))
  const dialled = native.length > 0 ? native : urls
  return dialled.join(',')
}
