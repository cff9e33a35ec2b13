/** A small web site whose only page holds the browser SDK: what a program of ours would be for a person. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { build } from 'esbuild'

export interface SdkSite {
  /** `http://localhost:PORT` */
  origin: string
  close(): Promise<void>
}

let bundle: Promise<string> | null = null

async function bundled(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL('./sdk-page/main.ts', import.meta.url).pathname],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
  })
  return outputFiles[0]?.text ?? ''
}

const HTML =
  '<!doctype html><html lang="en"><title>SDK</title><body><button>Tap</button><script type="module" src="/main.js"></script></body></html>'

/** Serves the page on a free port of localhost, with a policy that lets it connect to NATS and nowhere else. */
export async function startSdkSite(): Promise<SdkSite> {
  bundle ??= bundled()
  const script = await bundle
  const server = createServer((request, response) => {
    const isScript = request.url === '/main.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.setHeader('content-security-policy', "default-src 'none'; script-src 'self'; connect-src ws://localhost:* wss://localhost:*")
    response.end(isScript ? script : HTML)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('serving the test page')
  return {
    origin: `http://localhost:${address.port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
