/** Who a request is for and from: this verifier, its own page, or a terminal. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { malformed } from './http-refusal.ts'

/** Refuses requests for another host, and those from pages of another origin. */
export function checkAddressee(app: FastifyInstance, origin: string): void {
  const { host } = new URL(origin)
  app.addHook('onRequest', async (request) => {
    // DNS rebinding: a page whose own name resolves to our address sends its own name.
    if (request.headers.host?.toLowerCase() !== host) throw malformed('host', 421)
    const from = request.headers.origin
    if (from !== undefined && from !== origin) throw malformed('origin', 403)
  })
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
