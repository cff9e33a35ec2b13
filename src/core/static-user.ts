/** Who came to NATS without the verifier: a user of nats-server's own configuration that nobody expects (docs/break-glass.md). */
import { hash } from 'node:crypto'
import type { LifecycleCode, LifecycleEvent } from './audit-event.ts'
import { type AccountName, parseHandle } from './identifiers.ts'
import { safeText } from './safe-text.ts'

const textCharsMax = 256

/** A connection as nats-server tells of it. */
export interface StaticConnection {
  serverId: string
  serverName: string
  clientId: number
  account: string
  /** The user's nkey or name. */
  user: string
  host: string
  /** What the client calls itself: untrusted text. */
  clientName: string
  /** Epoch milliseconds. */
  startedAt: number
  isOpen: boolean
}

export interface StaticUserRules {
  /** Accounts that the verifier puts people and machines into. */
  targets: readonly AccountName[]
  /** Nkeys and names of the users that pass the verifier by every day: its own, administrators, auditors. */
  expected: ReadonlySet<string>
}

/**
 * Whether somebody in `account` got there past the verifier and was not expected to. nats-server does not say how a user was
 * admitted. In the verifier's own accounts nobody comes through it; in the others those do who are called as it calls them.
 */
export function isUnexpected({ account, user }: { account: string; user: string }, { targets, expected }: StaticUserRules): boolean {
  if (expected.has(user)) return false
  const isOurName = parseHandle(user) !== null || user.startsWith('legacy:')
  return !(isOurName && targets.some((target) => target === account))
}

/** What the record of such a connection says; the same connection always gets the same id, whoever sees it and however often. */
export function breakGlassUsed(connection: StaticConnection): {
  id: string
  code: LifecycleCode
  target: LifecycleEvent['target']
  facts: LifecycleEvent['facts']
} {
  const { serverId, serverName, clientId, account, user, host, clientName, startedAt } = connection
  return {
    id: idOf(`${serverId} ${clientId} ${startedAt}`),
    code: { area: 'connection', outcome: 'succeeded', reason: 'break_glass' },
    target: { kind: 'connection', id: `${serverId}/${clientId}` },
    facts: {
      user: safeText(user, textCharsMax),
      account: safeText(account, textCharsMax),
      host: safeText(host, textCharsMax),
      client: safeText(clientName, textCharsMax),
      server: safeText(serverName, textCharsMax),
      serverId,
      clientId,
      since: new Date(startedAt).toISOString(),
    },
  }
}

/** A UUID of version 8 (RFC 9562 §5.8) from what it stands for. */
function idOf(text: string): string {
  const hex = hash('sha256', `nats-webauthn break-glass ${text}`, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
