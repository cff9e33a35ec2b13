/** The HTTP server of people over stores in memory, and a browser that keeps its cookies. */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHttpServer, type DEFAULT_RATE_LIMITS, type HttpServerOptions } from '../../src/http/server.ts'
import { freePort } from './free-port.ts'
import { peopleWorld, RP_ID } from './people-world.ts'

/** What the server said, whatever it was. */
export interface PageAnswer {
  status: number
  headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect and fail on anything else.
  body: any
  text: string
}

export interface Ask {
  method?: string
  path: string
  body?: unknown
  headers?: Record<string, string | string[]>
  /** Address that the request comes from; 127.0.0.1 where not given. */
  from?: string
}

/** A source that asks this often in a test is not what the test is about. */
export const NO_LIMITS = {
  windowSeconds: 60,
  perSource: 100_000,
  strangersPerSource: 100_000,
  lightPerSource: 100_000,
  ceremoniesPerPerson: 100_000,
  codesPerPerson: 100_000,
} satisfies typeof DEFAULT_RATE_LIMITS

export const PAGE_SCRIPT = 'document.title = "page"\n'

export interface PeopleServiceChange extends Partial<Omit<HttpServerOptions, 'people'>> {
  world?: Parameters<typeof peopleWorld>[0]
}

export async function startPeopleService({ world: worldChange = {}, ...overrides }: PeopleServiceChange = {}) {
  const port = await freePort()
  const origin = worldChange.origin ?? `http://localhost:${port}`
  const world = peopleWorld({
    ...worldChange,
    origin,
    rules: { person: { rpId: RP_ID, origins: [origin], requireUserVerification: true }, ...worldChange.rules },
  })
  const log: string[] = []
  const write = (fields: object, message: string) => void log.push(JSON.stringify({ ...fields, message }, printable))
  const dir = builtPage()
  const app = createHttpServer({
    ...world,
    people: world,
    page: { dir },
    policyHash: () => 'policy-hash',
    logger: { info: write, warn: write, error: write },
    tls: null,
    trustProxy: false,
    rateLimits: NO_LIMITS,
    now: () => new Date(world.clock.now),
    random: (bytes) => randomBytes(bytes),
    uuid: () => randomUUID(),
    ...overrides,
  })
  await app.listen({ port, host: '127.0.0.1' })
  /** A request as it is told, with our Host and a JSON body where there is one. */
  const ask = (sent: Ask) => send(port, { ...sent, headers: { host: new URL(origin).host, ...sent.headers } })
  return {
    world,
    app,
    port,
    origin,
    log,
    pageDir: dir,
    ask,
    /** What a terminal sends: no Origin, no cookie. */
    terminal: (path: string, body: unknown) => ask({ path, body }),
    stop: async () => {
      await app.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export type PeopleService = Awaited<ReturnType<typeof startPeopleService>>

/** What our own page at `origin` sends, with `change`; null takes a header away. */
export function pageHeaders(origin: string, change: Record<string, string | null> = {}): Record<string, string> {
  const headers: Record<string, string | null> = { origin, 'sec-fetch-site': 'same-origin', ...change }
  return Object.fromEntries(Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== null))
}

/** A browser with our page: sends Origin, and the cookies it was given. `cookies`: those of another one, to share them. */
export function browser({ ask, origin }: Pick<PeopleService, 'ask' | 'origin'>, cookies = new Map<string, string>()) {
  async function request(sent: Ask): Promise<PageAnswer> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await ask({ ...sent, headers: { ...(cookie === '' ? {} : { cookie }), ...sent.headers } })
    for (const line of answer.headers['set-cookie'] ?? []) keep(line, cookies)
    return answer
  }
  return {
    cookies,
    request,
    post: (path: string, body: unknown = {}, headers: Ask['headers'] = {}) =>
      request({ path, body, headers: { origin, 'sec-fetch-site': 'same-origin', ...headers } }),
    /** A navigation: no Origin, and from wherever. */
    open: (path: string) => request({ method: 'GET', path, headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } }),
  }
}

export type Browser = ReturnType<typeof browser>

function keep(line: string, cookies: Map<string, string>): void {
  const [pair = '', ...attributes] = line.split('; ')
  const from = pair.indexOf('=')
  const name = pair.slice(0, from)
  if (attributes.includes('Max-Age=0')) cookies.delete(name)
  else cookies.set(name, pair.slice(from + 1))
}

/** The request to 127.0.0.1, byte for byte. */
export async function send(port: number, { method = 'POST', path, body, headers = {}, from }: Ask): Promise<PageAnswer> {
  const bytes = body === undefined ? null : typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  const sent = httpRequest({
    host: '127.0.0.1',
    ...(from === undefined ? {} : { localAddress: from }),
    port,
    path,
    method,
    headers: {
      ...(bytes === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
      ...headers,
    },
  })
  sent.end(bytes ?? undefined)
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode, headers: response.headers, body: parsed(text), text }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function printable(_: string, value: unknown): unknown {
  return value instanceof Error ? { message: value.message, stack: value.stack, cause: value.cause } : value
}

/** As scripts/build-page.ts leaves it, and with what must not be served beside it. */
function builtPage(): string {
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-page-'))
  mkdirSync(join(dir, 'assets'))
  writeFileSync(join(dir, 'index.html'), '<!doctype html><link rel="icon" href="data:,"><script src="/assets/page.js"></script>')
  writeFileSync(join(dir, 'assets', 'page.js'), PAGE_SCRIPT)
  writeFileSync(join(dir, 'assets', 'page.css'), 'body { margin: 0 }')
  writeFileSync(join(dir, 'assets', 'page.js.map'), '{}')
  writeFileSync(join(dir, 'assets', '.secret'), 'not for anybody')
  writeFileSync(join(dir, 'secret.txt'), 'not for anybody')
  return dir
}

/** `status code/check` of a refusal, the code that a redirect carries, or the status alone. */
export function verdictOf({ status, body, headers }: PageAnswer): string {
  const { code, check } = body?.error ?? {}
  const said = [code, check].filter((part) => part !== undefined).join('/')
  return [String(status), said, headers.location ?? ''].filter((part) => part !== '').join(' ')
}
