/**
 * A process that floods a nats-server on this machine with connections that prove nothing, so that whoever measures keeps an
 * event loop of its own. Takes one plan after the other from its parent and answers each with what it counted.
 */
import { once } from 'node:events'
import type { CredentialRecord } from '../../src/core/records.ts'
import { testNkey } from './authorization-request.ts'
import type { FloodCounts, FloodKind, FloodPlan } from './flood.ts'
import type { TestIdentity } from './product.ts'
import { boundResume, proof } from './proofs.ts'
import { rawClient } from './raw-client.ts'
import { atOnce, steadily } from './steadily.ts'
import { b64u, testKey } from './test-authenticator.ts'

type Fields = (nonce: string) => Record<string, unknown>

/** What each kind of flood sends. None of it can ever be admitted. */
function fieldsOf({ url, credential, sessionNkey, recorded }: FloodPlan): Record<FloodKind, Fields> {
  // The attacker knows who is enrolled, and has a key of its own.
  const attacker = { key: testKey(), credential } as TestIdentity
  const nobody = () => ({ ...credential, id: b64u(crypto.getRandomValues(new Uint8Array(32))) }) as CredentialRecord
  const session = { ...testNkey('U'), publicKey: sessionNkey }
  return {
    silent: () => ({}),
    garbage: () => ({ sig: b64u('{"v":1,"url":"nats://localhost:4222","assertion":') }),
    oversized: (nonce) => proof(attacker, { nonce, url, assertion: { clientData: { padding: 'x'.repeat(5_000) } } }),
    unknown: (nonce) => proof({ ...attacker, credential: nobody() }, { nonce, url }),
    replayed: () => recorded,
    misdirected: (nonce) => proof(attacker, { nonce: `${nonce}x`, url }),
    forged: (nonce) => proof(attacker, { nonce, url }),
    stolenSession: (nonce) => boundResume(session, { nonce, url }),
  }
}

async function run(plan: FloodPlan): Promise<FloodCounts> {
  const counts: FloodCounts = { refused: 0, admitted: 0, failed: 0 }
  const fields = fieldsOf(plan)
  let made = 0
  const one = async () => {
    const turn = made++
    const kind = plan.kinds[turn % plan.kinds.length] as FloodKind
    const source = plan.sources[Math.floor(turn / plan.kinds.length) % plan.sources.length]
    try {
      const client = await rawClient(plan.port, source)
      const answer = await client.connect(fields[kind](client.info.nonce))
      if (answer === 'PONG') counts.admitted++
      else if (answer === 'Authorization Violation') counts.refused++
      else counts.failed++
      client.close()
    } catch {
      counts.failed++
    }
  }
  if (plan.load.kind === 'rate') await steadily(plan.load, one)
  else await atOnce(plan.load, one)
  return counts
}

process.on('disconnect', () => process.exit())
process.send?.('ready')
for (;;) {
  const [plan] = (await once(process, 'message')) as [FloodPlan]
  process.send?.(await run(plan))
}
