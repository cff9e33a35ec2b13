import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { z } from 'zod'
import type { Arrival, Journey } from '../../src/core/arrival.ts'
import type { VerdictEvent } from '../../src/core/audit-event.ts'
import { decide } from '../../src/core/decide.ts'
import { DENIALS, ERRORS, GRANTS } from '../../src/core/denial.ts'
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import { createSignatureLimits, DEFAULT_SIGNATURE_LIMITS } from '../../src/core/failed-signatures.ts'
import type { AccountName, CredentialKey } from '../../src/core/identifiers.ts'
import { parseLegacyUsers } from '../../src/core/legacy/legacy-document.ts'
import { encodeSeed } from '../../src/core/nkey.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import type { LegacyPort } from '../../src/core/ports.ts'
import { createAnswer, issuerFromSeed } from '../../src/nats/answer.ts'
import { createAuthCallout } from '../../src/nats/auth-callout.ts'
import { tweetnaclBox, xkeyFromSeed } from '../../src/nats/xkey.ts'
import { type MemoryWorld, memoryWorld } from '../support/memory-world.ts'
import { fixed } from '../support/scenario.ts'

const loose = z.record(z.string(), z.unknown())
const Case = z.strictObject({
  name: z.string(),
  description: z.string().min(5),
  rules: loose,
  credentials: z.array(loose),
  sessions: z.array(loose),
  identities: z.array(loose),
  guard: loose,
  connections: z.number(),
  sealed: z.boolean(),
  elapsedMs: z.number(),
  auditTakesMs: z.number(),
  unavailable: z.array(z.enum(['audit', 'stores', 'identities'])),
  room: z.boolean(),
  failed: z.array(z.strictObject({ source: z.string(), credential: z.string(), times: z.number() })).default([]),
  request: z.strictObject({ payload: z.string(), serverXkey: z.string() }),
  legacy: z.strictObject({ file: z.string(), until: z.string(), secrets: z.record(z.string(), z.string()), busy: z.boolean() }).optional(),
  expect: z.strictObject({ outcome: z.enum(['granted', 'denied', 'error', 'reported', 'dropped']), reason: z.string().nullable() }),
})
const Vectors = z.strictObject({
  description: z.string(),
  now: z.string(),
  xkeySeed: z.string(),
  policy: z.string(),
  targetAccounts: z.array(z.string()),
  cases: z.array(Case),
})
type Case = z.infer<typeof Case>

const vectors = Vectors.parse(JSON.parse(readFileSync(new URL('../vectors/journey.json', import.meta.url), 'utf8')))
const parsed = parsePolicy(vectors.policy, {
  targetAccounts: vectors.targetAccounts as AccountName[],
  reservedAccounts: ['AUTH', 'AUDIT', 'SYS'],
})
assert.ok(parsed.ok, JSON.stringify(parsed))
const { policy } = parsed
const verifierXkey = xkeyFromSeed(vectors.xkeySeed, tweetnaclBox)
const issuer = issuerFromSeed(encodeSeed('A', fixed('issuer')), opensslEd25519)

function worldOf(one: Case): { journey: Journey; world: MemoryWorld; elapsed: () => number } {
  let extraMs = 0
  const xkey = one.sealed ? verifierXkey : null
  const world = memoryWorld(
    {
      policy,
      credentials: structuredClone(one.credentials) as never,
      sessions: structuredClone(one.sessions) as never,
      identities: structuredClone(one.identities) as never,
      guard: structuredClone(one.guard) as never,
    },
    createAnswer({ issuer, xkey, now: () => new Date(vectors.now) }),
  )
  world.connections = one.connections
  world.limits = createSignatureLimits(DEFAULT_SIGNATURE_LIMITS)
  for (const { times, source, credential } of one.failed) {
    for (let i = 0; i < times; i++) world.limits.failed({ source, credential: credential as CredentialKey }, new Date(vectors.now))
  }
  world.broken.audit = one.unavailable.includes('audit')
  world.broken.stores = one.unavailable.includes('stores')
  if (one.unavailable.includes('identities')) world.identities.find = () => Promise.reject(new Error('breaking on purpose'))
  world.legacy = one.legacy === undefined ? null : legacyPort(one.legacy)
  const record = world.audit.record
  world.audit.record = async (event) => {
    await record(event)
    extraMs = one.auditTakesMs
  }
  return { world, journey: { rules: one.rules as never, xkey, world }, elapsed: () => one.elapsedMs + extraMs }
}

function legacyPort({ file, until, secrets, busy }: NonNullable<Case['legacy']>): LegacyPort {
  const parsed = parseLegacyUsers(file, { targetAccounts: vectors.targetAccounts as AccountName[] })
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return {
    users: () => parsed.users,
    terms: { untilMs: Date.parse(until), ttlSeconds: 3600 },
    compare: async ({ secret, hash }) => (busy ? 'busy' : hash !== null && secrets[hash] === secret ? 'right' : 'wrong'),
  }
}

function arrivalOf(one: Case, elapsedMs: () => number): Arrival {
  return {
    payload: new Uint8Array(Buffer.from(one.request.payload, 'base64url')),
    serverXkey: one.request.serverXkey,
    id: '00000000-0000-4000-8000-000000000000',
    now: new Date(vectors.now),
    jitter: 0,
    elapsedMs,
    trace: { enter: () => {}, failed: () => {} },
  }
}

/** A callout that has no room: the one denial that is made before anything is read. */
async function turnedAway(one: Case): Promise<VerdictEvent | undefined> {
  const { journey, world } = worldOf(one)
  let handler: ((error: null, message: unknown) => void) | undefined
  const service = {
    isStopped: false,
    addEndpoint: (_: string, options: { handler: typeof handler }) => {
      handler = options.handler
    },
  }
  const connection = { services: { add: () => Promise.resolve(service) }, flush: () => Promise.resolve() }
  const observer = { verdict: () => {}, stage: () => {}, shed: () => {}, failed: () => {} }
  const callout = createAuthCallout({
    connection: connection as never,
    journey,
    next: null,
    observer,
    inFlightMax: 0,
    queueMax: 0,
    version: '0.0.0',
  })
  await callout.join()
  let answered: Uint8Array | undefined
  handler?.(null, {
    data: new Uint8Array(),
    respond: (bytes: Uint8Array) => {
      answered = bytes
    },
  })
  assert.equal(answered?.length, 0)
  return world.noted[0]
}

describe('journey vectors', () => {
  for (const one of vectors.cases) {
    test(`${one.name}: ${one.expect.outcome} ${one.expect.reason ?? ''}`, async () => {
      if (!one.room) {
        assert.deepEqual((await turnedAway(one))?.verdict, one.expect)
        return
      }
      const { journey, world, elapsed } = worldOf(one)
      const { event, reply } = await decide(arrivalOf(one, elapsed), journey)
      if (event === null) {
        assert.deepEqual(one.expect, { outcome: 'dropped', reason: null })
        assert.equal(reply, null)
        assert.deepEqual([world.recorded, world.noted], [[], []])
        return
      }
      const { outcome, reason } = event.verdict
      assert.deepEqual({ outcome, reason }, one.expect)
      // What is answered agrees with what is recorded, and only grants are granted.
      const granted = one.expect.outcome === 'granted' || one.expect.outcome === 'reported'
      assert.deepEqual(
        world.recorded.map((entry) => entry.id),
        granted || one.auditTakesMs > 0 ? [event.id] : [],
      )
      assert.deepEqual(
        world.noted.map((entry) => entry.verdict),
        granted ? [] : [one.expect],
      )
      const claims = answerClaims(reply, one)
      assert.equal(typeof claims?.jwt === 'string', granted)
    })
  }

  test('every denial, error and grant has a vector, and no vector names another', () => {
    const seen = (outcome: string) =>
      [...new Set(vectors.cases.filter((one) => one.expect.outcome === outcome).map((one) => one.expect.reason))].sort()
    assert.deepEqual(seen('denied'), Object.keys(DENIALS).sort())
    assert.deepEqual(seen('error'), Object.keys(ERRORS).sort())
    assert.deepEqual(seen('granted'), Object.keys(GRANTS).sort())
  })

  test('names are unique', () => {
    assert.equal(new Set(vectors.cases.map((one) => one.name)).size, vectors.cases.length)
  })
})

function answerClaims(reply: Uint8Array, one: Case): { jwt?: string; error?: string } | null {
  if (reply.length === 0) return null
  const server = xkeyFromSeed(encodeSeed('X', fixed('server xkey')), tweetnaclBox)
  const token = Buffer.from(one.sealed ? (server.open(reply, verifierXkey.publicKey) as Uint8Array) : reply).toString()
  return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { nats: { jwt?: string; error?: string } }).nats
}
