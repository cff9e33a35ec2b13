/** `decide` alone: real bytes in, signed answer out, stores and audit as plain objects. */
import type { Arrival, Journey } from '../src/core/arrival.ts'
import { decide } from '../src/core/decide.ts'
import type { AccountName } from '../src/core/identifiers.ts'
import { encodeSeed } from '../src/core/nkey.ts'
import { nkeySignatures } from '../src/core/nkey-signatures.ts'
import { parsePolicy } from '../src/core/policy/policy-document.ts'
import { chooseCrypto } from '../src/crypto.ts'
import { createAnswer, issuerFromSeed } from '../src/nats/answer.ts'
import { type Xkey, xkeyFromSeed } from '../src/nats/xkey.ts'
import { memoryWorld } from '../test/support/memory-world.ts'
import { boundSig, endorsedSession, fixed, NOW, POLICY, proofSig, requestOf, type Scenario, scenario } from '../test/support/scenario.ts'
import type { Kind } from './floor.ts'
import { type Timed, timedCpu } from './measure.ts'

// As the verifier process of the same bench chooses.
const crypto = chooseCrypto(process.env['NATS_WEBAUTHN_CRYPTO'])
const verifier = xkeyFromSeed(encodeSeed('X', fixed('verifier xkey')), crypto.secretBox)
const server = xkeyFromSeed(encodeSeed('X', fixed('server xkey')), crypto.secretBox)

function journeyFor(s: Scenario, xkey: Xkey | null): Journey {
  const parsed = parsePolicy(POLICY, { targetAccounts: ['APP', 'OTHER'] as AccountName[], reservedAccounts: ['AUTH', 'AUDIT', 'SYS'] })
  if (!parsed.ok) throw new Error('parsing the policy of the bench')
  const answer = createAnswer({ issuer: issuerFromSeed(encodeSeed('A', fixed('issuer')), crypto.ed25519), xkey, now: () => new Date(NOW) })
  const state = { policy: parsed.policy, credentials: [s.credential], sessions: [endorsedSession(s)], identities: [s.identity], guard: {} }
  const world = memoryWorld(state, answer)
  // Nothing is kept: the bench measures the journey, not a growing map.
  world.guard.claim = async () => ({ earlier: null, withdraw: () => {}, isAmong: async () => true })
  world.signatures = nkeySignatures(crypto.ed25519)
  world.audit.record = () => Promise.resolve()
  return { rules: s.rules, xkey, world }
}

/** Microseconds of CPU for one granted request; every one has a nonce of its own. */
export async function timedDecide(
  kind: Exclude<Kind, 'endorsing'>,
  { xkey, calls }: { xkey: boolean; calls: number },
): Promise<Timed<number>> {
  const s = scenario('machine')
  if (xkey) s.request = { serverInfo: { xkey: server.publicKey } }
  const arrivals: Arrival[] = []
  for (let i = 0; i < calls; i++) {
    s.nonce = `nonce${String(i).padStart(10, '0')}`
    s.nkey = ''
    const sig = kind === 'proof' ? proofSig(s) : boundSig(s)
    const token = Buffer.from(requestOf(s, sig))
    arrivals.push({
      payload: xkey ? server.seal(token, verifier.publicKey) : token,
      serverXkey: xkey ? server.publicKey : '',
      id: `request-${i}`,
      now: new Date(NOW),
      jitter: 0.5,
      elapsedMs: () => 0,
      trace: {
        enter: () => {},
        failed: (cause) => {
          throw cause
        },
      },
    })
  }
  const journey = journeyFor(s, xkey ? verifier : null)
  let next = 0
  return timedCpu(
    async () => {
      const { event } = await decide(arrivals[next++ % calls] as Arrival, journey)
      if (event?.verdict.outcome !== 'granted') throw new Error(`benching a request that was ${JSON.stringify(event?.verdict)}`)
    },
    { calls },
  )
}
