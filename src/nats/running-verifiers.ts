/** Who else is connected as a verifier: nobody may be while state is put back (docs/backup.md). */
import { RequestStrategy } from 'nats'
import { z } from 'zod'
import type { Link } from './connection.ts'

const answersMsMax = 2_000
/** After the first answer: how long to wait for another server's. */
const answersJitterMs = 500
const connectionsMax = 1_024

const connzSchema = z.looseObject({
  server: z.looseObject({ id: z.string() }),
  data: z
    .looseObject({
      connections: z.array(z.looseObject({ cid: z.int(), name: z.string().default(''), nkey: z.string().optional() })).nullish(),
    })
    .optional(),
})

/**
 * Names of the connections in `account` that are verifiers', but for `own`, as every server that answers in time reports
 * them; null when none answers. `nkey`: public key of the verifier's user.
 */
export async function runningVerifiers(
  system: Link,
  { account, nkey, own }: { account: string; nkey: string; own: Link },
): Promise<string[] | null> {
  const answers = await system.nats.requestMany(
    '$SYS.REQ.SERVER.PING.CONNZ',
    JSON.stringify({ auth: true, acc: account, limit: connectionsMax }),
    { strategy: RequestStrategy.JitterTimer, maxWait: answersMsMax, jitter: answersJitterMs },
  )
  const { server_id: ownServer, client_id: ownClient } = own.nats.info ?? {}
  let servers = 0
  const found: string[] = []
  for await (const message of answers) {
    const answer = connzSchema.safeParse(parsed(message.data))
    if (!answer.success) continue
    servers++
    const { server, data } = answer.data
    for (const { cid, name, nkey: user } of data?.connections ?? []) {
      if (server.id === ownServer && cid === ownClient) continue
      // During a rotation the verifiers have several nkeys, and go by the name that they all give.
      if (user === nkey || /^nats-webauthn .* \(auth\)$/.test(name)) found.push(name === '' ? String(cid) : name)
    }
  }
  return servers === 0 ? null : found
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
