/** A bare NATS connection that says what it likes: what `check` asks a server with, before any user exists. */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { bareHost } from '../core/server-address.ts'

export interface Probe {
  /** The server's first INFO. */
  info: Record<string, unknown>
  /** Sends a CONNECT and PING; the server's next line of its own answer. Null when it hangs up without one. */
  ask(connect: object): Promise<string | null>
  close(): void
}

const timeoutMs = 6_000
const lineBytesMax = 64 * 1024
const defaultPort = 4222

/** Connects to `nats://` or `tls://host[:port]`. `tls` is null where the server needs none. */
export async function openProbe(server: string, tls: ConnectionOptions | null): Promise<Probe> {
  const url = new URL(server.includes('://') ? server : `nats://${server}`)
  const host = bareHost(url.hostname)
  const plain = connectTcp({ host, port: Number(url.port || defaultPort), timeout: timeoutMs })
  plain.on('timeout', () => plain.destroy(new Error('no answer in time')))
  plain.on('error', () => {})
  await once(plain, 'connect')
  const first = await nextLine(plain)
  const info: unknown = first?.startsWith('INFO ') ? JSON.parse(first.slice(5)) : null
  if (typeof info !== 'object' || info === null) throw new Error('this is no NATS server')
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(info))
  const secure = tls !== null || fields['tls_required'] === true || url.protocol === 'tls:'
  const socket = secure ? connectTls({ ...tls, socket: plain, host, servername: host }) : plain
  if (secure) await once(socket, 'secureConnect')
  return {
    info: fields,
    ask: async (connect) => {
      socket.write(`CONNECT ${JSON.stringify(connect)}\r\nPING\r\n`)
      for (;;) {
        const line = await nextLine(socket)
        if (line === null || (!line.startsWith('INFO ') && line !== 'PING')) return line
      }
    },
    close: () => socket.destroy(),
  }
}

/** The next line, or null at the end. What follows it stays in the socket. */
async function nextLine(socket: Socket): Promise<string | null> {
  const bytes: Buffer[] = []
  let length = 0
  for (;;) {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) {
      if (socket.readableEnded || socket.destroyed) return null
      await Promise.race([once(socket, 'readable'), once(socket, 'close')])
      continue
    }
    const end = chunk.indexOf('\n')
    bytes.push(end < 0 ? chunk : chunk.subarray(0, end))
    length += chunk.length
    if (end >= 0) {
      if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1))
      return Buffer.concat(bytes).toString('utf8').replace(/\r$/, '')
    }
    if (length > lineBytesMax) throw new Error('a line longer than a NATS server sends')
  }
}
