/** The system account: closing connections, finding them, and hearing that they ended. */
import { ErrorCode, NatsError, RequestStrategy } from 'nats'
import { z } from 'zod'
import { utf8 } from '../core/encoding.ts'
import type { Handle } from '../core/identifiers.ts'
import { QUEUE_GROUP } from './auth-callout.ts'
import type { Link } from './connection.ts'
import type { LiveConnection } from './guard.ts'

/** `gone`: it was not there any more. */
export type KickOutcome = 'kicked' | 'gone' | 'failed'

export interface System {
  kick(connection: LiveConnection): Promise<KickOutcome>
  /** Connections of the user `handle`, as every server that answers in time reports them. */
  connectionsOf(handle: Handle): Promise<LiveConnection[]>
  /** Hears that a connection ended; among verifiers, one of them does. Returns how to stop. */
  onDisconnect(listener: (connection: LiveConnection) => void): () => void
}

const kickMsMax = 1_000
const connzMsMax = 1_000
/** After the first answer: how long to wait for another server's. */
const connzJitterMs = 250
const connectionsPerServerMax = 1_024

const kickSchema = z.looseObject({ error: z.looseObject({ code: z.number().default(0), description: z.string().default('') }).optional() })
const connzSchema = z.looseObject({
  server: z.looseObject({ id: z.string() }),
  data: z.looseObject({ connections: z.array(z.looseObject({ cid: z.number().int() })).nullish() }).optional(),
})

export function createSystem(link: Link): System {
  return {
    kick: (connection) => kick(link, connection),
    connectionsOf: (handle) => connectionsOf(link, handle),
    onDisconnect: (listener) => {
      const subscription = link.nats.subscribe('$SYS.ACCOUNT.*.DISCONNECT', {
        queue: QUEUE_GROUP,
        callback: (error, message) => {
          const ended = error === null ? endedConnection(parseJson(message.data)) : null
          if (ended !== null) listener(ended)
        },
      })
      return () => subscription.unsubscribe()
    },
  }
}

async function kick(link: Link, { serverId, clientId }: LiveConnection): Promise<KickOutcome> {
  try {
    const message = await link.nats.request(`$SYS.REQ.SERVER.${serverId}.KICK`, utf8(JSON.stringify({ cid: clientId })), {
      timeout: kickMsMax,
    })
    const answer = kickSchema.safeParse(parseJson(message.data))
    if (!answer.success) return 'failed'
    const { error } = answer.data
    if (error === undefined) return 'kicked'
    return /no such client/i.test(error.description) ? 'gone' : 'failed'
  } catch (cause) {
    // Without a cluster there is one server: another id is one from before its restart, and so are its connections. In a
    // cluster it may be a server that is cut off, clients and all; the caller records that it is not known.
    const isOfBefore = cause instanceof NatsError && cause.code === ErrorCode.NoResponders && link.nats.info?.cluster === undefined
    return isOfBefore ? 'gone' : 'failed'
  }
}

async function connectionsOf(link: Link, handle: Handle): Promise<LiveConnection[]> {
  const body = utf8(JSON.stringify({ auth: true, user: handle, limit: connectionsPerServerMax }))
  const answers = await link.nats.requestMany('$SYS.REQ.SERVER.PING.CONNZ', body, {
    strategy: RequestStrategy.JitterTimer,
    maxWait: connzMsMax,
    jitter: connzJitterMs,
  })
  const found: LiveConnection[] = []
  for await (const message of answers) {
    const answer = connzSchema.safeParse(parseJson(message.data))
    if (!answer.success) continue
    const { server, data } = answer.data
    for (const { cid } of data?.connections ?? []) found.push({ serverId: server.id, clientId: cid })
  }
  return found
}

/** The connection of a disconnect event. Read by hand: there is one for every connection, and it says much more. */
function endedConnection(event: unknown): LiveConnection | null {
  const serverId = member(member(event, 'server'), 'id')
  const clientId = member(member(event, 'client'), 'id')
  return typeof serverId === 'string' && typeof clientId === 'number' && Number.isSafeInteger(clientId) ? { serverId, clientId } : null
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}
