/** Bundles the page and serves it on http://localhost:8181. Settings come from the environment of this program. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { build } from 'esbuild'

const { NATS_URL = 'ws://localhost:8080', RP_ID = 'localhost', HANDLE = '', SUBJECT = 'chat.*', PORT = '8181' } = process.env
const settings = { servers: NATS_URL.split(','), rpId: RP_ID, handle: HANDLE, subject: SUBJECT }

const { outputFiles } = await build({
  entryPoints: [new URL('main.ts', import.meta.url).pathname],
  bundle: true,
  write: false,
  format: 'esm',
  target: 'es2022',
  define: { SETTINGS: JSON.stringify(settings) },
})

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')
const files = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: read('index.html') }],
  ['/style.css', { type: 'text/css', body: read('style.css') }],
  ['/main.js', { type: 'text/javascript', body: outputFiles[0]?.text ?? '' }],
])
// The page can reach the servers it was made for, and nothing else: a script that slips in has nowhere to send anything.
const policy = `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${settings.servers.join(' ')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const server = createServer((request, response) => {
  const file = files.get(request.url ?? '')
  response.writeHead(file === undefined ? 404 : 200, {
    'content-type': file?.type ?? 'text/plain',
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  })
  response.end(file?.body ?? 'not found')
})
server.listen(Number(PORT), '127.0.0.1', () => process.stdout.write(`http://localhost:${PORT}\n`))
