/** Connections as the system account tells of them: as they begin, and all that there are and lately were. */
import { RequestStrategy } from 'nats'
import { z } from 'zod'
import { utf8 } from '../core/encoding.ts'
import type { StaticConnection } from '../core/static-user.ts'
import { QUEUE_GROUP } from './auth-callout.ts'
import type { Link } from './connection.ts'

export interface StaticConnections {
  /** Hears of every connection that begins and is `wanted`; among verifiers, one of them does. Returns how to stop. */
  onConnect(listener: (connection: StaticConnection) => void, onFailure: (cause: unknown) => void): () => void
  /** The wanted ones among those that are open, and those that servers still remember. */
  list(): Promise<StaticConnection[]>
}

const perPageMax = 1_024
// More connections than this on one server are not looked through; those that begin are heard of all the same.
const pagesMax = 64
const pageMsMax = 2_000
/** After the first answer: how long to wait for another server's. */
const pageJitterMs = 250
/** ConnAll of nats-server: open ones and closed ones. */
const stateAll = 2

const eventSchema = z.looseObject({
  server: z.looseObject({ id: z.string(), name: z.string().default('') }),
  client: z.looseObject({
    id: z.int(),
    acc: z.string().default(''),
    user: z.string().default(''),
    host: z.string().default(''),
    name: z.string().default(''),
    kind: z.string().default(''),
    start: z.string(),
  }),
})
const pageSchema = z.looseObject({
  server: z.looseObject({ id: z.string(), name: z.string().default('') }),
  data: z.looseObject({ total: z.int(), connections: z.array(z.unknown()).nullish() }),
})
const connectionSchema = z.looseObject({
  cid: z.int(),
  kind: z.string().default('Client'),
  ip: z.string().default(''),
  name: z.string().default(''),
  account: z.string(),
  authorized_user: z.string().default(''),
  start: z.string(),
  stop: z.string().optional(),
})

/** `wanted` sees account and user of every connection there is: it must cost next to nothing. */
export function staticConnections(link: Link, wanted: (one: { account: string; user: string }) => boolean): StaticConnections {
  return {
    onConnect(listener, onFailure) {
      const subscription = link.nats.subscribe('$SYS.ACCOUNT.*.CONNECT', {
        queue: QUEUE_GROUP,
        callback: (error, message) => {
          if (error !== null) return onFailure(error)
          const [, , account = ''] = message.subject.split('.')
          const user = userOf(message.data)
          if (user !== null && !wanted({ account, user })) return
          const event = eventSchema.safeParse(parseJson(message.data))
          if (!event.success || event.data.client.kind !== 'Client') return
          const { server, client } = event.data
          if (!wanted({ account: client.acc, user: client.user })) return
          listener({
            serverId: server.id,
            serverName: server.name,
            clientId: client.id,
            account: client.acc,
            user: client.user,
            host: client.host,
            clientName: client.name,
            startedAt: Date.parse(client.start),
            isOpen: true,
          })
        },
      })
      return () => subscription.unsubscribe()
    },
    list: async () => {
      const found: StaticConnection[] = []
      for (let page = 0; page < pagesMax; page++) {
        const { connections, more } = await listPage(link, page * perPageMax)
        found.push(...connections.filter(wanted))
        if (!more) break
      }
      return found
    },
  }
}

async function listPage(link: Link, offset: number): Promise<{ connections: StaticConnection[]; more: boolean }> {
  const body = utf8(JSON.stringify({ auth: true, state: stateAll, limit: perPageMax, offset }))
  const answers = await link.nats.requestMany('$SYS.REQ.SERVER.PING.CONNZ', body, {
    strategy: RequestStrategy.JitterTimer,
    maxWait: pageMsMax,
    jitter: pageJitterMs,
  })
  const connections: StaticConnection[] = []
  let more = false
  for await (const message of answers) {
    const answer = pageSchema.safeParse(parseJson(message.data))
    if (!answer.success) continue
    const { server, data } = answer.data
    more ||= data.total > offset + perPageMax
    for (const each of data.connections ?? []) {
      // Who was refused has no account; leafnodes and others are no clients.
      const one = connectionSchema.safeParse(each)
      if (!one.success || one.data.kind !== 'Client') continue
      const { cid, account, authorized_user: user, ip: host, name: clientName, start, stop } = one.data
      const isOpen = stop === undefined
      const startedAt = Date.parse(start)
      connections.push({ serverId: server.id, serverName: server.name, clientId: cid, account, user, host, clientName, startedAt, isOpen })
    }
  }
  return { connections, more }
}

const userMark = Buffer.from('"user":"')

/**
 * The user of an event, found without reading all of it: nearly every connection there is came through the verifier. Within
 * a JSON string a quotation mark is escaped, so no client can write this mark into its own name. Null: read it.
 */
function userOf(bytes: Uint8Array): string | null {
  const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const at = json.indexOf(userMark)
  if (at < 0) return null
  const from = at + userMark.length
  const end = json.indexOf('"', from)
  return end < 0 ? null : json.toString('latin1', from, end)
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
