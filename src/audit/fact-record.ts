/** One record of the trail as facts for a restore. What it holds was written by this verifier; it is read as strictly as if not. */
import { z } from 'zod'
import type { AuditFact, HeldSince, Owner } from '../core/backup/facts.ts'
import { type Handle, parseCredentialId, parseHandle, parseUserNkey } from '../core/identifiers.ts'

const fact = z.union([z.string(), z.number(), z.boolean()])
const millis = z.int().nonnegative()

const lifecycleSchema = z.looseObject({
  time: millis,
  entity: z.looseObject({ uid: z.string(), name: z.string().optional() }),
  unmapped: z.looseObject({ roles: z.array(z.string()).default([]), facts: z.record(z.string(), fact).default({}) }),
})
type Lifecycle = z.output<typeof lifecycleSchema>

const verdictSchema = z.looseObject({
  time: millis,
  user: z.looseObject({ name: z.string().optional() }),
  unmapped: z.looseObject({
    webauthn: z.looseObject({
      credential_id: z.string(),
      sign_count: z.int().nonnegative(),
      flags: z.looseObject({ be: z.boolean() }),
    }),
  }),
})

/** What the record says that a restore has to know; null where it should say something and cannot be read. */
export function readFact(subject: string, body: string): AuditFact[] | null {
  const [area, outcome, reason] = subject.split('.').slice(2)
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return null
  }
  if (area === 'connection') return verdictFacts(json, { outcome, reason })
  const parsed = lifecycleSchema.safeParse(json)
  if (!parsed.success || outcome !== 'succeeded') return null
  switch (area) {
    case 'credential':
      return credentialFacts(parsed.data, reason)
    case 'session': {
      const nkey = parseUserNkey(parsed.data.entity.uid)
      return nkey === null ? null : [{ kind: 'session_revoked', nkey, at: parsed.data.time }]
    }
    case 'identity':
      return identityFacts(parsed.data, reason)
    default:
      return null
  }
}

function credentialFacts({ time: at, entity }: Lifecycle, reason: string | undefined): AuditFact[] | null {
  if (reason !== 'revoked' && reason !== 'quarantined' && reason !== 'released') return []
  const id = parseCredentialId(entity.uid)
  return id === null ? null : [{ kind: 'credential', id, handle: parseHandle(entity.name), became: reason, at }]
}

function identityFacts(record: Lifecycle, reason: string | undefined): AuditFact[] | null {
  const { time: at, entity } = record
  const handle = parseHandle(entity.uid)
  if (handle === null) return null
  switch (reason) {
    case 'disabled':
    case 'enabled':
      return [{ kind: 'identity', handle, became: reason, at }]
    case 'created':
      return [{ kind: 'created', handle, owner: ownerOf(record, handle), at }]
    case 'roles_changed':
      return [{ kind: 'held', handle, held: heldSince(record), at }]
    default:
      return []
  }
}

/** Machines' records name no issuer: theirs is always the same. Text that was escaped or cut is not what it stands for. */
function ownerOf({ unmapped: { facts } }: Lifecycle, handle: Handle): Owner | null {
  const { issuer, subject } = facts
  if (facts['class'] === 'machine' && issuer === undefined) return { class: 'machine', issuer: 'machine', subject: handle }
  const isWhole = (text: unknown): text is string => typeof text === 'string' && text !== '' && !text.includes('\\') && !text.endsWith('…')
  return isWhole(issuer) && isWhole(subject) ? { class: 'person', issuer, subject } : null
}

function heldSince({ unmapped: { roles, facts } }: Lifecycle): HeldSince {
  const { assigned, claims } = facts
  return {
    roles: new Set(roles),
    assigned: new Set(typeof assigned === 'string' ? assigned.split(' ') : []),
    claims: typeof claims === 'string' ? claims : null,
  }
}

/** Grants say how far a counter is; a counter that went back quarantines a device-bound key even if its own record is missing. */
function verdictFacts(json: unknown, { outcome, reason }: { outcome: string | undefined; reason: string | undefined }): AuditFact[] | null {
  const parsed = verdictSchema.safeParse(json)
  const id = parsed.success ? parseCredentialId(parsed.data.unmapped.webauthn.credential_id) : null
  if (!parsed.success || id === null) return null
  const { time: at, user, unmapped } = parsed.data
  const { sign_count: signCount, flags } = unmapped.webauthn
  if (outcome === 'granted') return signCount === 0 ? [] : [{ kind: 'counter', id, signCount, at }]
  if (reason !== 'sign_count_regression' || flags.be) return []
  return [{ kind: 'credential', id, handle: parseHandle(user.name), became: 'quarantined', at }]
}
