/**
 * Mutated proofs and requests against the whole journey. The oracle: a connection is admitted only if everything that was
 * signed for it is byte for byte what some connection in force signed for that nonce, address and nkey.
 */
import assert from 'node:assert/strict'
import { verifyAuthenticationResponse } from '@simplewebauthn/server'
import type { Journey } from '../../src/core/arrival.ts'
import { decide } from '../../src/core/decide.ts'
import { DENIALS } from '../../src/core/denial.ts'
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import type { AccountName } from '../../src/core/identifiers.ts'
import { encodeSeed } from '../../src/core/nkey.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { connectChallenge, MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { createAnswer, issuerFromSeed } from '../../src/nats/answer.ts'
import type { Xkey } from '../../src/nats/xkey.ts'
import { type FuzzArea, FuzzFailure, runArea, shown } from './fuzz-area.ts'
import { type FuzzPool, fuzzPool, type Genuine, SERVER, tokenOf } from './fuzz-pool.ts'
import { type FuzzedRequest, memberOf, requestMaker, seal, serverXkey, verifierXkey } from './fuzz-requests.ts'
import { type MemoryWorld, memoryWorld } from './memory-world.ts'
import { fixed, NOW, POLICY, rules } from './scenario.ts'
import { b64u } from './test-authenticator.ts'

const issuer = issuerFromSeed(encodeSeed('A', fixed('issuer')), opensslEd25519)
const RULES = rules({ serverIds: [SERVER.publicKey] as never })

/** Connections: mutated proofs, sessions and requests. */
export function connectionsArea(): FuzzArea {
  const pool = fuzzPool(serverXkey.publicKey)
  const plain = deskOf(pool, null)
  const sealed = deskOf(pool, verifierXkey)
  const inForce = new Set(pool.genuine.flatMap(signedInForce))
  const requests = requestMaker(pool)
  return {
    name: 'connections',
    share: 1,
    async one(random) {
      const request = requests(random)
      const desk = request.sealed ? sealed : plain
      const outcome = await desk.decide(request)
      if (outcome !== 'granted') return outcome
      const claims: unknown = request.claims === null ? claimsInside(request) : JSON.parse(request.claims)
      if (signedFor(claims).every((signed) => inForce.has(signed))) return outcome
      if (request.owner === null || !(await isAcceptedByLibrary(claims, request.owner))) fail('admitted', request)
      return outcome
    },
    close: async () => {},
  }
}

/** Every connection of the pool as it is: what the fuzzing rests on. Name, expected and actual outcome. */
export async function genuineOutcomes(): Promise<{ name: string; expected: string; plain: string; sealed: string }[]> {
  const pool = fuzzPool(serverXkey.publicKey)
  const desks = { plain: deskOf(pool, null), sealed: deskOf(pool, verifierXkey) }
  const outcomes = []
  for (const { name, expected, claims } of pool.genuine) {
    const asked = { what: name, claims: JSON.stringify(claims) }
    const payload = Buffer.from(tokenOf(asked.claims, SERVER))
    const [plain, sealed] = [
      await desks.plain.decide({ ...asked, payload, serverXkey: '', sealed: false, owner: null }),
      await desks.sealed.decide({ ...asked, payload: seal(payload), serverXkey: serverXkey.publicKey, sealed: true, owner: null }),
    ]
    outcomes.push({ name, expected, plain, sealed })
  }
  return outcomes
}

interface Desk {
  /** What became of it: `granted`, `dropped` or a reason. Throws FuzzFailure where the journey broke a promise. */
  decide(request: FuzzedRequest): Promise<string>
}

function deskOf(pool: FuzzPool, xkey: Xkey | null): Desk {
  const parsed = parsePolicy(POLICY, { targetAccounts: ['APP', 'OTHER'] as AccountName[], reservedAccounts: ['AUTH'] })
  assert.ok(parsed.ok)
  const { credentials, sessions, identities } = pool
  const answer = createAnswer({ issuer, xkey, now: () => new Date(NOW) })
  const state = { policy: parsed.policy, credentials, sessions, identities, guard: {} }
  const fresh = memoryWorld(state, answer)
  // Signing a refusal costs as much as verifying: only what is granted, and what was sealed, is really answered.
  const world = memoryWorld(state, xkey === null ? { grant: answer.grant, refuse: () => new Uint8Array(0) } : answer)
  const journey: Journey = { rules: RULES, xkey, world }
  const writes = countWrites(world)
  let id = 0
  return {
    async decide(request) {
      const { payload, serverXkey } = request
      const causes: unknown[] = []
      const trace = { enter: () => {}, failed: (cause: unknown) => causes.push(cause) }
      const arrival = { payload, serverXkey, id: `case-${id++}`, now: new Date(NOW), jitter: 0.5, elapsedMs: () => 0, trace }
      const { event } = await decide(arrival, journey).catch((cause: unknown) => fail('decide threw', request, cause))
      if (causes.length > 0) fail('failed inside', request, causes[0])
      const written = [...writes.splice(0), ...world.guardEntries.keys()].join()
      const [recorded, noted] = [world.recorded.splice(0).length, world.noted.splice(0).length]
      if (event === null) {
        if (written !== '') restore(world, fresh)
        return 'dropped'
      }
      const { outcome, reason } = event.verdict
      if (outcome === 'granted') {
        if (recorded !== 1 || noted !== 0) fail(`granted with ${recorded} records and ${noted} notes`, request)
        restore(world, fresh)
        return 'granted'
      }
      if (outcome !== 'denied' || !Object.hasOwn(DENIALS, reason)) fail(`${outcome} ${reason}`, request)
      // Its proof was good, and used up its count; only the session was refused.
      if (reason === 'endorsement_refused' && written === 'credential') restore(world, fresh)
      else if (written !== '') fail(`denied and wrote ${written}`, request)
      if (recorded !== 0 || noted !== 1) fail(`denied with ${recorded} records and ${noted} notes`, request)
      return reason
    },
  }
}

/** Names every write from now on. A session that is there already is only read by `reserve`. */
function countWrites(world: MemoryWorld): string[] {
  const writes: string[] = []
  const { credentials, sessions, sessionRecords } = world
  const [replaceCredential, reserve, replaceSession] = [credentials.replace, sessions.reserve, sessions.replace]
  credentials.replace = (stored, next) => {
    writes.push('credential')
    return replaceCredential(stored, next)
  }
  sessions.reserve = (record) => {
    if (!sessionRecords.has(record.nkey)) writes.push('session reserved')
    return reserve(record)
  }
  sessions.replace = (stored, next) => {
    writes.push('session')
    return replaceSession(stored, next)
  }
  return writes
}

/** A grant left its traces; the next case is to meet the world as it was. */
function restore(world: MemoryWorld, fresh: MemoryWorld): void {
  world.guardEntries.clear()
  world.sessionRecords.clear()
  for (const [key, stored] of fresh.sessionRecords) world.sessionRecords.set(key, stored)
  for (const [key, stored] of fresh.credentialRecords) world.credentialRecords.set(key, stored)
}

function fail(what: string, request: FuzzedRequest, cause?: unknown): never {
  const because = cause instanceof Error ? `: ${cause.stack ?? cause.message}` : ''
  const claims = request.claims === null ? '' : ` claims ${shown(request.claims)}`
  throw new FuzzFailure(`${what} (${request.what})${because}; payload ${shown(request.payload)}${claims}`, { cause })
}

/**
 * What was signed for a connection, read independently of the product: an assertion, a possession beside it, or a resume.
 * Without the possession, a proof that endorses is a proof that does not.
 */
function signedFor(claims: unknown): string[] {
  const nats = memberOf(claims, 'nats')
  const connect = memberOf(nats, 'connect_opts')
  const nkey = memberOf(connect, 'nkey')
  const bound = [memberOf(memberOf(nats, 'client_info'), 'nonce'), typeof nkey === 'string' ? nkey : '']
  const bytes = Buffer.from(String(memberOf(connect, 'sig')), 'base64')
  if (bytes.length === 64) return [JSON.stringify(['plain', ...bound, bytes.toString('hex')])]
  const sig: unknown = JSON.parse(bytes.toString('utf8'))
  const url = memberOf(sig, 'url')
  const resume = memberOf(sig, 'resume')
  const assertion = memberOf(sig, 'assertion')
  if (assertion === undefined) return [JSON.stringify(['bound', ...bound, url, resume])]
  const response = memberOf(assertion, 'response')
  const parts = ['clientDataJSON', 'authenticatorData', 'signature'].map((name) => memberOf(response, name))
  const proof = JSON.stringify(['proof', ...bound, url, memberOf(sig, 'plain') ?? null, memberOf(assertion, 'id'), ...parts])
  return resume === undefined ? [proof] : [proof, JSON.stringify(['endorsed', ...bound, url, resume])]
}

function signedInForce({ expected, claims }: Genuine): string[] {
  if (expected === 'granted') return signedFor(claims)
  return expected === 'endorsement_refused' ? signedFor(claims).slice(0, 1) : []
}

function claimsInside({ payload, sealed, serverXkey: sender }: FuzzedRequest): unknown {
  const token = sealed ? verifierXkey.open(payload, sender) : payload
  return JSON.parse(
    Buffer.from(
      Buffer.from(token ?? '')
        .toString()
        .split('.')[1] ?? '',
      'base64url',
    ).toString(),
  )
}

/** What the library says of a proof that a credential's own key made, whatever it says in it. */
async function isAcceptedByLibrary(claims: unknown, { scenario: s }: Genuine): Promise<boolean> {
  const { credential } = s
  const sig = memberOf(memberOf(memberOf(claims, 'nats'), 'connect_opts'), 'sig')
  const { assertion } = JSON.parse(Buffer.from(String(sig), 'base64url').toString())
  const machine = credential.class === 'machine'
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: assertion,
    expectedChallenge: b64u(connectChallenge(sha256, { nonce: s.nonce, url: s.url, nkey: s.nkey, plain: s.plain })),
    expectedOrigin: machine ? MACHINE_ORIGIN : [...(RULES.person?.origins ?? [])],
    expectedRPID: machine ? RULES.machine.rpId : (RULES.person?.rpId ?? ''),
    credential: {
      id: credential.id,
      publicKey: new Uint8Array(Buffer.from(credential.publicKey, 'base64url')),
      counter: credential.signCount,
    },
    ...(machine ? { advancedFIDOConfig: { userVerification: 'discouraged' as const } } : { requireUserVerification: true }),
  })
  return verified && authenticationInfo.userVerified === !machine
}

/** Runs connections as a test: fails with the seed where one breaks a promise, or where they no longer reach far enough. */
export async function checkConnections(run: { seed: number; runs: number }): Promise<void> {
  const { outcomes } = await runArea(connectionsArea(), run)
  const met = `seed ${run.seed}: ${JSON.stringify(outcomes)}`
  assert.equal(
    Object.values(outcomes).reduce((sum, count) => sum + count, 0),
    run.runs,
  )
  assert.ok(Object.keys(outcomes).length >= 30, `few kinds of denial, ${met}`)
  // Bent beside what was signed, a proof stays one: that must be the exception.
  assert.ok((outcomes['granted'] ?? 0) < run.runs / 10, met)
}
