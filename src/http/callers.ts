/** Who a request is for and from: this verifier, its own page, or a terminal. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { malformed } from './http-refusal.ts'

/** Refuses requests for another host, and those from pages of another origin. */
export function checkAddressee(app: FastifyInstance, origin: string): void {
  const { host } = new URL(origin)
  app.addHook('onRequest', async (request) => {
    // DNS rebinding: a page whose own name resolves to our address sends its own name.
    if (request.headers.host?.toLowerCase() !== host || !namesOneHost(request.raw)) throw malformed('host', 421)
    const from = request.headers.origin
    if (from !== undefined && from !== origin) throw malformed('origin', 403)
  })
}

/** RFC 9112 §3.2: one `Host`, which no target with a host of its own overrules. Node takes the first of two, a proxy perhaps the last. */
function namesOneHost({ rawHeaders, url }: IncomingMessage): boolean {
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  return hosts.length === 1 && url?.startsWith('/') === true
}

export type Caller = (request: FastifyRequest) => Promise<void>

/**
 * For routes that read or set a cookie: a browser says of itself that our own page asks. Browsers send `Origin` with every
 * POST, and no page can write it or `Sec-Fetch-Site`.
 */
export function fromOurPage(origin: string): Caller {
  return async ({ headers }) => {
    const site = headers['sec-fetch-site']
    if (headers.origin !== origin || (site !== undefined && site !== 'same-origin')) throw malformed('origin', 403)
  }
}

/** For routes of programs: no web page may drive them, ours neither. */
export const fromTerminal: Caller = async ({ headers }) => {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) throw malformed('origin', 403)
}
