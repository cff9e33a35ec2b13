/**
 * Which nats-servers there are. A server that restarts comes back under another id, and nobody says that the connections of
 * the old one ended; and how long a server waits for a verifier is a setting of its own.
 */
import { RequestStrategy } from 'nats'
import { z } from 'zod'
import type { Link } from './connection.ts'

export interface ServerWatch {
  /** The longest that a server waits for its clients' authentication, seconds. */
  authTimeoutSeconds(): number
  stop(): void
}

const lookMs = 10_000
const answersMsMax = 1_000
/** After the first answer: how long to wait for another server's. */
const answersJitterMs = 250
/** After a reconnect once more: what was granted in the second before it may be on a server that nobody saw yet. */
const lookAgainMs = 2_000
// In a cluster one look may miss a server that is busy.
const keptMs = 30_000
// nats-server.conf as shipped: until a server said otherwise.
const authTimeoutSecondsDefault = 5
const authTimeoutSecondsMax = 60

const varzSchema = z.looseObject({
  server: z.looseObject({ id: z.string() }),
  data: z.looseObject({ auth_timeout: z.number().positive().max(authTimeoutSecondsMax).optional().catch(undefined) }).optional(),
})

/** Looks now, whenever the connection comes back, and every ten seconds. `onSeen` hears the ids and when (epoch) they were asked. */
export function watchServers(link: Link, onSeen: (ids: ReadonlySet<string>, askedAtMs: number) => void): ServerWatch {
  const seenAt = new Map<string, number>()
  let authTimeoutSeconds = authTimeoutSecondsDefault
  const look = async () => {
    const askedAtMs = Date.now()
    const answers = await answersOf(link)
    if (answers.length === 0) return
    const now = performance.now()
    // Without a cluster there is one server, and what was before it is over.
    const keptSince = link.nats.info?.cluster === undefined ? now : now - keptMs
    for (const { server } of answers) seenAt.set(server.id, now)
    for (const [id, at] of seenAt) if (at < keptSince) seenAt.delete(id)
    authTimeoutSeconds = Math.max(...answers.map(({ data }) => data?.auth_timeout ?? authTimeoutSecondsDefault))
    onSeen(new Set(seenAt.keys()), askedAtMs)
  }
  // Without an answer, what was known stays: the next look will tell.
  const lookSafely = () => void look().catch(() => undefined)
  const timer = setInterval(lookSafely, lookMs)
  timer.unref()
  let again: NodeJS.Timeout | undefined
  const stopListening = link.onChange((connected) => {
    clearTimeout(again)
    if (!connected) return
    lookSafely()
    again = setTimeout(lookSafely, lookAgainMs)
    again.unref()
  })
  lookSafely()
  return {
    authTimeoutSeconds: () => authTimeoutSeconds,
    stop() {
      clearInterval(timer)
      clearTimeout(again)
      stopListening()
    },
  }
}

async function answersOf(link: Link): Promise<z.infer<typeof varzSchema>[]> {
  const answers = await link.nats.requestMany('$SYS.REQ.SERVER.PING.VARZ', '', {
    strategy: RequestStrategy.JitterTimer,
    maxWait: answersMsMax,
    jitter: answersJitterMs,
  })
  const read: z.infer<typeof varzSchema>[] = []
  for await (const message of answers) {
    const answer = varzSchema.safeParse(parsed(message.data))
    if (answer.success) read.push(answer.data)
  }
  return read
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
