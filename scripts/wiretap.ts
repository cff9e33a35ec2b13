/** A wiretap for the demo: passes everything on, and remembers the first CONNECT line it saw. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export interface Wiretap {
  /** The first CONNECT line, without its line end. Null until a client has sent one. */
  recorded(): string | null
  close(): void
}

/** Listens on 127.0.0.1:`port` and forwards to 127.0.0.1:`target`. */
export async function startWiretap(port: number, target: number): Promise<Wiretap> {
  let recorded: string | null = null
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    let heard = ''
    client.on('data', (bytes) => {
      if (recorded !== null) return
      heard += bytes.toString('latin1')
      recorded = /^CONNECT .*$/m.exec(heard)?.[0]?.trimEnd() ?? null
    })
    client.pipe(upstream)
    upstream.pipe(client)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    recorded: () => recorded,
    close: () => void server.close(),
  }
}
