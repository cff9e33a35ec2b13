/** The bare server: how much it reads, how long it waits, and what it says to bytes that are no request. */
import type { Socket } from 'node:net'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { malformed, refusalBody } from './http-refusal.ts'
import { bodyBytesMax } from './json-body.ts'

export interface ListenerOptions {
  /** Certificate chain and key in PEM, to serve HTTPS; null behind a proxy that does, or on loopback. */
  tls: { cert: string | Buffer; key: string | Buffer } | null
  /** Addresses of the reverse proxies whose `X-Forwarded-For` names the source; false: nobody's. */
  trustProxy: false | readonly string[]
}

const socketIdleMs = 10_000
const requestMs = 10_000
const headersMs = 5_000
const keepAliveMs = 5_000
const requestsPerSocketMax = 100
const connectionsMax = 512
const headerBytesMax = 8 * 1024

/** A server without routes. */
export function bareServer({ tls, trustProxy }: ListenerOptions): FastifyInstance {
  const settings = {
    logger: false,
    trustProxy: trustProxy === false ? false : [...trustProxy],
    bodyLimit: bodyBytesMax,
    connectionTimeout: socketIdleMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    maxRequestsPerSocket: requestsPerSocketMax,
    exposeHeadRoutes: false,
    clientErrorHandler: refuseBytes,
    frameworkErrors: refuseUrl,
  } as const
  // Without these, Node looks for slow requests every half minute, gives their headers a whole one, and a TLS handshake two.
  const limits = { maxHeaderSize: headerBytesMax, headersTimeout: headersMs, connectionsCheckingInterval: 1_000 }
  const app =
    tls === null
      ? Fastify({ ...settings, http: limits })
      : // The types tell HTTPS servers apart; nothing here does.
        (Fastify({
          ...settings,
          https: { ...limits, ...tls, handshakeTimeout: headersMs, minVersion: 'TLSv1.2' },
        }) as unknown as FastifyInstance)
  app.server.maxConnections = connectionsMax
  return app
}

/** A path that cannot be decoded reaches no route either. */
function refuseUrl(_: FastifyError, __: FastifyRequest, reply: FastifyReply): void {
  void reply.code(400).send(refusalBody(malformed('http', 400).refusal))
}

/** Bytes that are not HTTP reach no route: one fixed answer, and the connection ends. */
function refuseBytes(_: Error, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(refusalBody(malformed('http', 400).refusal))
  const head = ['HTTP/1.1 400 Bad Request', 'content-type: application/json', `content-length: ${body.length}`, 'connection: close', '', '']
  socket.write(head.join('\r\n') + body)
  // Not end(): a client that never closes its own side would keep its connection.
  socket.destroySoon()
}
