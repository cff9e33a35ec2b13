/** WebSockets by hand (RFC 6455), both ends: servers that no library would be, and a relay between two of them. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

export interface WebSocketEnd {
  /** Sends one binary message. */
  send(bytes: Uint8Array | string): void
  onMessage(take: (bytes: Buffer) => void): void
  onClose(take: () => void): void
  close(): void
}

export interface WebSocketServer {
  /** `ws://localhost:PORT` */
  url: string
  port: number
  stop(): Promise<void>
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Listens on 127.0.0.1, on `port` or a free one, and hands over each client that comes. */
export async function startWebSocketServer(accept: (client: WebSocketEnd) => void, port = 0): Promise<WebSocketServer> {
  const open = new Set<Duplex>()
  const server = createServer()
  server.on('upgrade', (upgrade, socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    const answer = createHash('sha1').update(`${upgrade.headers['sec-websocket-key']}${GUID}`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${answer}\r\n\r\n`)
    accept(endOf(socket, { masks: false }))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  return {
    url: `ws://localhost:${bound}`,
    port: bound,
    async stop() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Dials `ws://127.0.0.1:port`. Not for TLS. */
export async function dialWebSocket(port: number, origin: string): Promise<WebSocketEnd> {
  const key = randomBytes(16).toString('base64')
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key, Origin: origin }
  const dialled = request({ host: '127.0.0.1', port, headers })
  dialled.end()
  const [, socket, head] = (await once(dialled, 'upgrade')) as [unknown, Duplex, Buffer]
  if (head.length > 0) socket.unshift(head)
  return endOf(socket, { masks: true })
}

function endOf(socket: Duplex, { masks }: { masks: boolean }): WebSocketEnd {
  let taken: ((bytes: Buffer) => void) | null = null
  const early: Buffer[] = []
  let rest: Buffer = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    for (let frame = readFrame(rest); frame !== null; frame = readFrame(rest)) {
      rest = rest.subarray(frame.length)
      if (frame.opcode === 8) socket.end()
      else if (frame.opcode > 2) continue
      else if (taken === null) early.push(frame.payload)
      else taken(frame.payload)
    }
  })
  return {
    send: (bytes) => void (socket.writable && socket.write(writeFrame(Buffer.from(bytes), masks))),
    onMessage(take) {
      taken = take
      for (const bytes of early.splice(0)) take(bytes)
    },
    onClose: (take) => void socket.on('close', take),
    close: () => void socket.destroy(),
  }
}

function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; length: number } | null {
  if (bytes.length < 2) return null
  const opcode = bytes.readUInt8(0) & 0x0f
  const masked = (bytes.readUInt8(1) & 0x80) !== 0
  const short = bytes.readUInt8(1) & 0x7f
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0
  const head = 2 + extra + (masked ? 4 : 0)
  if (bytes.length < head) return null
  const size = extra === 0 ? short : extra === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (bytes.length < head + size) return null
  const payload = Buffer.from(bytes.subarray(head, head + size))
  if (masked) for (let i = 0; i < size; i++) payload[i] = payload.readUInt8(i) ^ bytes.readUInt8(head - 4 + (i % 4))
  return { opcode, payload, length: head + size }
}

function writeFrame(payload: Buffer, masks: boolean): Buffer {
  const size = payload.length
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10)
  head[0] = 0x82
  head[1] = (masks ? 0x80 : 0) | (size < 126 ? size : size < 65_536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(size, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2)
  // A mask of zeros is as good as any between two programs of one test.
  return Buffer.concat([head, masks ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}
