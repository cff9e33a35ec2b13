/** The NATS protocol by hand: what a hostile client can send that no library would. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawClient {
  info: { nonce: string; server_id: string; client_id: number; [member: string]: unknown }
  socket: Socket
  /** Sends one protocol line. */
  send(line: string): void
  /** Resolves with the next line, or 'closed' when there is none any more. */
  line(): Promise<string>
  /** Sends CONNECT and PING: 'PONG', or the text of the error. */
  connect(options: Record<string, unknown>): Promise<string>
  close(): void
}

/** Opens a connection, from `localAddress` where it is given, and reads INFO. */
export async function rawClient(port: number, localAddress?: string): Promise<RawClient> {
  // An address that is bound first needs a port that no ended connection holds, and thousands of those make it a search.
  const socket = connect({ port, host: '127.0.0.1', ...(localAddress === undefined ? {} : { localAddress }) })
  await once(socket, 'connect')
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  let rest = ''
  let closed = false
  const deliver = (line: string) => {
    const next = waiting.shift()
    if (next) next(line)
    else lines.push(line)
  }
  socket.on('data', (bytes) => {
    rest += bytes.toString('latin1')
    const parts = rest.split('\r\n')
    rest = parts.pop() ?? ''
    for (const part of parts) deliver(part)
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    for (const next of waiting.splice(0)) next('closed')
  })
  const line = (): Promise<string> => {
    const past = lines.shift()
    if (past !== undefined) return Promise.resolve(past)
    return closed ? Promise.resolve('closed') : new Promise((resolve) => waiting.push(resolve))
  }
  const first = await line()
  const info = JSON.parse(first.slice('INFO '.length)) as RawClient['info']
  const send = (text: string) => void socket.write(`${text}\r\n`)
  return {
    info,
    socket,
    send,
    line,
    async connect(options) {
      send(`CONNECT ${JSON.stringify({ verbose: false, pedantic: false, lang: 'raw', version: '0', protocol: 1, ...options })}`)
      send('PING')
      for (;;) {
        const answer = await line()
        // nats-server sends a second INFO once a client is in.
        if (!answer.startsWith('INFO ') && answer !== 'PING') return answer.replace(/^-ERR '(.*)'$/, '$1')
      }
    },
    close: () => socket.destroy(),
  }
}
