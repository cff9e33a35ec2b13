/** A hostile server: it dials the real one for each client, shows its INFO as its own, and passes every frame on. */
import { dialWebSocket, startWebSocketServer, type WebSocketServer } from './websocket.ts'

export interface Relay extends WebSocketServer {
  /** Client ids that the real server gave, in order. */
  clientIds: number[]
}

/** Changes protocol text on its way to the real server. */
export type Tamper = (text: string) => string

/** Listens on `port`, or a free one. */
export async function startRelay(
  target: { port: number; origin: string },
  { tamper = (text) => text, port = 0 }: { tamper?: Tamper; port?: number } = {},
): Promise<Relay> {
  const clientIds: number[] = []
  const server = await startWebSocketServer((client) => {
    void dialWebSocket(target.port, target.origin).then((real) => {
      real.onMessage((bytes) => {
        const info = /^INFO (\{.*\})/.exec(bytes.toString('latin1'))?.[1]
        const id = info === undefined ? undefined : (JSON.parse(info) as { client_id?: number }).client_id
        if (id !== undefined && !clientIds.includes(id)) clientIds.push(id)
        client.send(bytes)
      })
      client.onMessage((bytes) => real.send(Buffer.from(tamper(bytes.toString('latin1')), 'latin1')))
      client.onClose(() => real.close())
      real.onClose(() => client.close())
    })
  }, port)
  return { ...server, clientIds }
}

/** Replaces CONNECT's options, and leaves everything else alone. */
export function rewriteConnect(change: (options: Record<string, unknown>) => Record<string, unknown>): Tamper {
  return (text) => {
    const connect = /^CONNECT (\{.*\})\r\n/.exec(text)
    if (connect === null) return text
    const options = JSON.parse(connect[1] as string) as Record<string, unknown>
    return `CONNECT ${JSON.stringify(change(options))}\r\n${text.slice(connect[0].length)}`
  }
}

/** Replaces the members of the JSON inside CONNECT's `sig`. */
export function rewriteSig(change: (members: Record<string, unknown>) => Record<string, unknown>): Tamper {
  return rewriteConnect((options) => ({
    ...options,
    sig: Buffer.from(JSON.stringify(change(membersOf(options)))).toString('base64url'),
  }))
}

/** The members of the JSON inside `sig`. */
export function membersOf(options: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(options['sig']), 'base64url').toString()) as Record<string, unknown>
}
