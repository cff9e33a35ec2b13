/**
 * Where the browser goes after the tap: a listener on 127.0.0.1 that takes one callback and is gone (RFC 8252 §7.3). Other
 * pages and programs of this machine can reach it too, so everything about the request must be as it must be.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface LoopbackListener {
  port: number
  /** The completion code of this request's callback, once it comes. */
  callbackOf(request: string): Promise<string>
  close(): void
}

const urlCharsMax = 512
const headerBytesMax = 8 * 1024
const headersMs = 5_000
const connectionsMax = 8

const STYLE = 'body{font:1.1rem system-ui;margin:4rem auto;max-width:30rem;padding:0 1rem;color-scheme:light dark}'
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Back to the terminal</title><style>${STYLE}</style><h1>Back to the terminal</h1><p>It goes on there. You can close this page.</p></html>\n`
const HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
  connection: 'close',
}

/** Listens on a free port of 127.0.0.1. */
export async function openListener(): Promise<LoopbackListener> {
  let found: (code: string) => void = () => undefined
  const code = new Promise<string>((resolve) => {
    found = resolve
  })
  let expected: string | null = null
  const server = createServer(
    { maxHeaderSize: headerBytesMax, headersTimeout: headersMs, requestTimeout: headersMs, connectionsCheckingInterval: 1_000 },
    (request, response) => {
      const judged = judge(request, { port: portOf(), expected })
      if (typeof judged === 'number') return answer(response, judged)
      // Single use: from here on nothing is expected any more.
      expected = null
      answer(response, 200, () => server.close())
      found(judged.code)
    },
  )
  server.maxConnections = connectionsMax
  const portOf = (): number => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', listening)
  })
  return {
    port: portOf(),
    callbackOf(request) {
      expected = request
      return code
    },
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** The code, or the status with which the request is turned away. */
function judge(request: IncomingMessage, { port, expected }: { port: number; expected: string | null }): { code: string } | number {
  const { method, url = '', headers } = request
  if (method !== 'GET') return 405
  // DNS rebinding: a page whose own name resolves to 127.0.0.1 sends its own name.
  if (headers.host !== `127.0.0.1:${port}`) return 421
  if (url.length > urlCharsMax) return 414
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return 400
  // The browser comes here itself; an image or a script of some page has no business here.
  const destination = headers['sec-fetch-dest']
  if (destination !== undefined && destination !== 'document') return 403
  if (!url.startsWith('/callback?')) return 404
  const query = [...new URLSearchParams(url.slice('/callback?'.length))]
  const [first, second, ...more] = query
  if (first?.[0] !== 'request' || second?.[0] !== 'code' || more.length > 0) return 400
  if (expected === null || first[1] !== expected) return 404
  return /^[A-Za-z0-9_-]{43}$/.test(second[1]) ? { code: second[1] } : 400
}

function answer(response: ServerResponse, status: number, sent?: () => void): void {
  const body = status === 200 ? PAGE : ''
  const type = status === 200 ? { 'content-type': 'text/html; charset=utf-8' } : {}
  response.writeHead(status, { ...HEADERS, ...type, 'content-length': Buffer.byteLength(body) })
  response.end(body, sent)
}
