/** Deciding one request of a scenario in a world in memory, and reading the answer. */
import assert from 'node:assert/strict'
import type { Decision } from '../../src/core/arrival.ts'
import { decide } from '../../src/core/decide.ts'
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import type { AccountName } from '../../src/core/identifiers.ts'
import { encodeSeed } from '../../src/core/nkey.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { createAnswer, issuerFromSeed } from '../../src/nats/answer.ts'
import { type MemoryWorld, memoryWorld } from './memory-world.ts'
import { fixed, NOW, requestOf, type Scenario } from './scenario.ts'

const issuer = issuerFromSeed(encodeSeed('A', fixed('issuer')), opensslEd25519)

export function policyOf(text: string): Policy {
  const parsed = parsePolicy(text, { targetAccounts: ['APP', 'OTHER'] as AccountName[], reservedAccounts: ['AUTH', 'AUDIT', 'SYS'] })
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.policy
}

export function worldOf(s: Scenario): MemoryWorld {
  const { credential, identity, sessions, guard } = s
  const answer = createAnswer({ issuer, xkey: null, now: () => new Date(NOW) })
  return memoryWorld({ policy: policyOf(s.policy), credentials: [credential], sessions, identities: [identity], guard }, answer)
}

export function run(
  s: Scenario,
  world: MemoryWorld,
  {
    sig,
    id = 'a',
    now = NOW,
    jitter = 0,
    elapsedMs = () => 0,
  }: { sig: string; id?: string; now?: number; jitter?: number; elapsedMs?: () => number },
) {
  const payload = new Uint8Array(Buffer.from(requestOf(s, sig)))
  const trace = { enter: () => {}, failed: () => {} }
  return decide({ payload, serverXkey: '', id, now: new Date(now), jitter, elapsedMs, trace }, { rules: s.rules, xkey: null, world })
}

const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** What the answer says: a user JWT or an error. */
export function answered(reply: Uint8Array | null): { jwt?: string; error?: string } {
  return reply === null || reply.length === 0 ? {} : claims(Buffer.from(reply).toString()).nats
}

/** The user JWT in a grant, or null. */
export function userJwt({ reply }: Decision): { exp: number; nats: { pub: { allow?: string[] } } } | null {
  const { jwt } = answered(reply)
  return jwt === undefined ? null : claims(jwt)
}
