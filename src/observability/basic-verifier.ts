/** Names and passwords against bcrypt hashes, at a price that somebody who guesses cannot make the verifier pay. */
import { createHash } from 'node:crypto'
import { compare, getRounds, truncates } from 'bcryptjs'

/** bcrypt hashes by user name. */
export type Users = ReadonlyMap<string, string>

export interface BasicVerifier {
  /** `busy`: too many unknown passwords are waiting to be compared. */
  verify(users: Users, nameAndPassword: string): Promise<'valid' | 'invalid' | 'busy'>
}

const bcryptRoundsMax = 14
const usersMax = 100
const cachedMax = 100
// bcrypt runs on this thread, beside the verdicts: one at a time, and little of it.
const waitingMax = 4
const comparisonsPerSecond = 2
const comparisonsBurst = 10

/** Users of an htpasswd file with bcrypt hashes: `name:$2y$…`; blank lines and lines that start with `#` are skipped. */
export function parseUsers(text: string): Users {
  const users = new Map<string, string>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const match = /^([^:\s][^:]*): ?(\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53})\s*$/.exec(line)
    if (match === null) throw new Error(`line ${i + 1} is not name:bcrypt-hash`)
    const [, name, hash] = match as unknown as [string, string, string]
    if (getRounds(hash) > bcryptRoundsMax) throw new Error(`line ${i + 1} costs more than ${bcryptRoundsMax} bcrypt rounds`)
    if (users.has(name)) throw new Error(`line ${i + 1} names a user again`)
    users.set(name, hash)
  }
  if (users.size === 0) throw new Error('it names no user')
  if (users.size > usersMax) throw new Error(`it names more than ${usersMax} users`)
  return users
}

export function basicVerifier(now: () => number = () => performance.now()): BasicVerifier {
  // SHA-256 of (name, hash, password) that were found valid. A changed hash is another key, so a change counts at once.
  const valid = new Set<string>()
  let waiting = 0
  let last: Promise<unknown> = Promise.resolve()
  let tokens = comparisonsBurst
  let refilledAt = now()

  function takeToken(): boolean {
    const at = now()
    tokens = Math.min(comparisonsBurst, tokens + ((at - refilledAt) / 1000) * comparisonsPerSecond)
    refilledAt = at
    if (tokens < 1) return false
    tokens--
    return true
  }

  async function inTurn(password: string, hash: string): Promise<boolean> {
    waiting++
    const turn = last.then(() => compare(password, hash))
    last = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      waiting--
    }
  }

  return {
    async verify(users, nameAndPassword) {
      const colon = nameAndPassword.indexOf(':')
      if (colon < 0) return 'invalid'
      const name = nameAndPassword.slice(0, colon)
      const password = nameAndPassword.slice(colon + 1)
      // bcrypt ignores what comes after 72 bytes.
      if (truncates(password)) return 'invalid'
      const known = users.get(name)
      const hash = known ?? dummyHash(users)
      const key = createHash('sha256')
        .update(JSON.stringify([name, hash, password]))
        .digest('base64url')
      if (known !== undefined && valid.has(key)) return 'valid'
      if (waiting >= waitingMax || !takeToken()) return 'busy'
      // An unknown name costs the same time as a known one.
      const matches = await inTurn(password, hash)
      if (!matches || known === undefined) return 'invalid'
      if (valid.size >= cachedMax) valid.clear()
      valid.add(key)
      return 'valid'
    },
  }
}

// A well-formed hash of nothing that anyone knows, as expensive as the dearest of the real ones.
function dummyHash(users: Users): string {
  const rounds = Math.max(...[...users.values()].map(getRounds))
  return `$2b$${String(rounds).padStart(2, '0')}$zQJVo4YbPi8B/nGRhNbEwO4sySurghBlHLqjJavRtlNhLcu90rWZ2`
}
