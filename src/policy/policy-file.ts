/** The policy file: read, watched, and swapped as a whole. A bad file changes nothing but is always spoken about. */
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { fromUtf8 } from '../core/encoding.ts'
import type { Policy } from '../core/policy/policy.ts'
import { type ParsedPolicy, type PolicyIssue, type PolicyOptions, parsePolicy } from '../core/policy/policy-document.ts'
import { watchDirectory } from './watch-directory.ts'

const fileBytesMax = 256 * 1024
// A policy that could not be taken over is as good as before; nothing about its file will change to say so.
const takeOverAgainMs = 1_000

/** Why a file was not taken: its issues, or the error of reading it. */
export type PolicyRefusal = { kind: 'invalid'; issues: PolicyIssue[] } | { kind: 'unreadable'; error: Error }

export type ReloadOutcome =
  | { outcome: 'unchanged' }
  | { outcome: 'loaded'; policy: Policy }
  | { outcome: 'refused'; refusal: PolicyRefusal }

export interface PolicyFileOptions extends PolicyOptions {
  path: string
  /**
   * Awaited before `policy` becomes current, so that its record can be durable first. If it throws, `previous` stays,
   * onRefused is told, and soon it is tried again. Not called for the initial load.
   */
  onChange(policy: Policy, previous: Policy): void | Promise<void>
  /** The policy in force has stayed the same, and why. Called once for each distinct bad content. */
  onRefused(refusal: PolicyRefusal): void
  /** After a refusal, the file holds the policy in force again: nothing changes, and nothing is wrong any more. */
  onMended(policy: Policy): void
}

export interface PolicyFile {
  current(): Policy
  /** The last accepted file with its warnings. */
  document(): ParsedPolicy
  /** Reads the file now (SIGHUP). Reloads run one after the other. */
  reload(): Promise<ReloadOutcome>
  close(): void
}

/** The initial file is not valid: everything that is wrong with it is in `issues`. */
export class PolicyInvalid extends Error {
  override readonly name = 'PolicyInvalid'
  readonly issues: readonly PolicyIssue[]

  constructor(path: string, issues: readonly PolicyIssue[]) {
    super(`loading the policy: ${path}:${issues[0]?.line ?? 1}: ${issues[0]?.message ?? 'not valid'}`)
    this.issues = issues
  }
}

/** Loads the policy and keeps it current. Throws PolicyInvalid, or an Error when the file cannot be read. */
export async function watchPolicyFile(options: PolicyFileOptions): Promise<PolicyFile> {
  const { path } = options
  const first = await load(path, options)
  if (first.kind === 'unreadable') throw new Error(`loading the policy: ${path}`, { cause: first.error })
  if (first.kind === 'invalid') throw new PolicyInvalid(path, first.issues)
  let current = first.parsed
  // What was last refused is reported once, not at every event of its directory.
  let refusedDigest: string | null = null
  let closed = false
  let again: NodeJS.Timeout | null = null

  const refuse = (refusal: PolicyRefusal, digest: string): ReloadOutcome => {
    if (digest !== refusedDigest) options.onRefused(refusal)
    refusedDigest = digest
    return { outcome: 'refused', refusal }
  }
  const reloadNow = async (): Promise<ReloadOutcome> => {
    if (again !== null) clearTimeout(again)
    const loaded = await load(path, options)
    if (loaded.kind !== 'parsed') return refuse(loaded, loaded.digest)
    if (closed || loaded.parsed.policy.hash === current.policy.hash) {
      const mended = refusedDigest !== null
      refusedDigest = null
      if (mended) options.onMended(current.policy)
      return { outcome: 'unchanged' }
    }
    try {
      await options.onChange(loaded.parsed.policy, current.policy)
    } catch (cause) {
      if (!closed) again = setTimeout(reloadSoon, takeOverAgainMs).unref()
      return refuse(
        { kind: 'unreadable', error: new Error('taking over the policy', { cause }) },
        `not taken over: ${loaded.parsed.policy.hash}`,
      )
    }
    refusedDigest = null
    current = loaded.parsed
    return { outcome: 'loaded', policy: current.policy }
  }

  let queue: Promise<unknown> = Promise.resolve()
  const reload = (): Promise<ReloadOutcome> => {
    const next = queue.then(reloadNow)
    queue = next.catch(() => undefined)
    return next
  }
  const reloadSoon = () => void reload().catch((error: unknown) => options.onRefused({ kind: 'unreadable', error: asError(error) }))
  const stopWatching = watchDirectory(path, {
    changed: reloadSoon,
    failed: (error) => options.onRefused({ kind: 'unreadable', error: new Error('watching the policy', { cause: error }) }),
  })
  return {
    current: () => current.policy,
    document: () => current,
    reload,
    close: () => {
      closed = true
      if (again !== null) clearTimeout(again)
      stopWatching()
    },
  }
}

type Loaded = { kind: 'parsed'; parsed: ParsedPolicy } | (PolicyRefusal & { digest: string })

async function load(path: string, options: PolicyOptions): Promise<Loaded> {
  let bytes: Uint8Array
  try {
    // A device or a pipe would never end; a huge file is not read just to be refused.
    const info = await stat(path)
    if (!info.isFile()) throw new Error('reading the policy: not a regular file')
    if (info.size > fileBytesMax) return invalid(`the file is larger than ${fileBytesMax} bytes`, `size ${info.size}`)
    bytes = await readFile(path)
  } catch (error) {
    return { kind: 'unreadable', error: asError(error), digest: `unreadable: ${asError(error).message}` }
  }
  const digest = createHash('sha256').update(bytes).digest('hex')
  const text = fromUtf8(bytes)
  if (text === null) return invalid('the file is not UTF-8', digest)
  const parsed = parsePolicy(text, options)
  return parsed.ok ? { kind: 'parsed', parsed } : { kind: 'invalid', issues: parsed.issues, digest }
}

function invalid(message: string, digest: string): Loaded {
  return { kind: 'invalid', issues: [{ line: 1, column: 1, path: '', message }], digest }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
