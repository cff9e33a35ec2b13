/** A server that speaks just enough NATS to be believed, and says in INFO whatever the test wants. */
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface FakeNatsServer {
  /** `127.0.0.1:PORT`. */
  hostPort: string
  /** CONNECT lines, in order. */
  connects: string[]
  /** How many sockets came. */
  sockets(): number
  /** Resolves when that many CONNECT lines came. */
  connected(count: number): Promise<void>
  /** Resolves when that many sockets came. */
  dialled(count: number): Promise<void>
  /** Hangs up on everybody. */
  hangUp(): void
  stop(): Promise<void>
}

export async function startFakeNatsServer(info: Record<string, unknown> = {}): Promise<FakeNatsServer> {
  const events = new EventEmitter()
  const open = new Set<Socket>()
  const connects: string[] = []
  let sockets = 0
  const server = createServer((socket) => {
    sockets++
    open.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => open.delete(socket))
    const shown = { server_id: 'N', version: '2.15.0', proto: 1, max_payload: 1_048_576, headers: true, nonce: `nonce-${sockets}`, ...info }
    socket.write(`INFO ${JSON.stringify(shown)}\r\n`)
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (line === 'PING') socket.write('PONG\r\n')
        if (line.startsWith('CONNECT ')) connects.push(line)
        events.emit('line')
      }
    })
    events.emit('socket')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    hostPort: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connects,
    sockets: () => sockets,
    connected: async (count) => {
      while (connects.length < count) await once(events, 'line')
    },
    dialled: async (count) => {
      while (sockets < count) await once(events, 'socket')
    },
    hangUp: () => {
      for (const socket of open) socket.destroy()
    },
    stop: async () => {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
