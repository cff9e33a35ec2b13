/** Stage "resolve": identity → roles → one grant. */
import type { Checked } from './checked.ts'
import type { Grant, Policy } from './policy.ts'
import type { CredentialRecord, IdentityRecord } from './records.ts'

export interface GrantSubject {
  identity: IdentityRecord
  credential: CredentialRecord
  userVerified: boolean
  clientType: 'nats' | 'websocket'
  /** Null when it proves nothing (behind a proxy): then no source requirement is met. */
  sourceAddress: string | null
  rolesMaxAgeSeconds: number
  now: Date
}

export declare function resolveGrant(policy: Policy, subject: GrantSubject): Checked<Grant>
