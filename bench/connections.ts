/** Everything that answers authorization requests, each over a real nats-server of its own, timed in the same rounds. */

import { testNkey } from '../test/support/authorization-request.ts'
import type { ProductFiles, TestIdentity } from '../test/support/product.ts'
import { boundResume, endorsing, proof } from '../test/support/proofs.ts'
import { rawClient } from '../test/support/raw-client.ts'
import { FLAGS } from '../test/support/test-authenticator.ts'
import { startBenchDeployment } from './deployments.ts'
import type { Kind } from './floor.ts'
import { type ConnectionFigures, connectMany, type Load } from './load.ts'
import type { Timed } from './measure.ts'
import { unwrittenIdentity } from './population.ts'
import { startResponder } from './responders.ts'
import { startVerifier, type VerifierOptions } from './verifier.ts'

export interface Benched {
  timed(kind: Kind, load: Load): Timed<ConnectionFigures>
}

/** nats-server and a verifier, with one identity that proves and one endorsed session that resumes. */
export async function benchVerifier({ xkey, ...options }: VerifierOptions & { xkey: boolean }): Promise<Benched> {
  const product = await startBenchDeployment({ xkey })
  const { pid } = await startVerifier(product, options)
  const who = await product.enrolled('bench', { roles: ['bench'] })
  await endorse(product, who)
  return benched(product, who, { pid, present: false })
}

/** The same with a responder in the verifier's place. Sealed requests; it has no sessions. */
export async function benchResponder(kind: 'stock' | 'signing'): Promise<Benched> {
  const product = await startBenchDeployment({ xkey: true })
  // Only the verifier makes the buckets; what is enrolled here is told to the responder alone.
  const who = unwrittenIdentity()
  const { pid } = await startResponder(kind, product, [who])
  return benched(product, who, { pid, present: kind === 'stock' })
}

// The stock library takes nobody for a machine: its clients say that somebody is present.
function benched({ url, deployment }: ProductFiles, who: TestIdentity, { pid, present }: { pid: number; present: boolean }): Benched {
  const fields = {
    proof: (nonce: string) => proof(who, { nonce, url, ...(present ? { assertion: { flags: FLAGS.UP | FLAGS.BE } } : {}) }),
    // A session of its own for each: endorsing one again writes less.
    endorsing: (nonce: string) => endorsing({ ...who, session: testNkey('U') }, { nonce, url }),
    resume: (nonce: string) => boundResume(who.session, { nonce, url }),
  }
  const { port } = deployment.server
  return { timed: (kind, load) => () => connectMany({ port, pid, fields: fields[kind] }, load) }
}

async function endorse({ deployment, url }: ProductFiles, who: TestIdentity): Promise<void> {
  const client = await rawClient(deployment.server.port)
  const answer = await client.connect(endorsing(who, { nonce: client.info.nonce, url }))
  client.close()
  if (answer !== 'PONG') throw new Error(`endorsing the bench's session: ${answer}`)
}
