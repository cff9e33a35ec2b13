/**
 * Requests to a provider: one answer of limited size in limited time, from the host that was asked. Redirects are never
 * followed, compression is not offered, and nothing of what was sent or received is in an error.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export interface ProviderRequest {
  method: string
  headers: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
}

export type ProviderFetch = (url: string, request: ProviderRequest) => Promise<Response>

const answerBytesMax = 256 * 1024
const statusesWithoutBody = [204, 205, 304]

/** What went wrong in words of our own: fit for the log. */
export class ProviderTrouble extends Error {
  override readonly name = 'ProviderTrouble'
}

/** `ca`: authorities in PEM that sign the provider's certificate, or null for the system's. */
export function providerFetch({ ca, timeoutMs }: { ca: string | null; timeoutMs: number }): ProviderFetch {
  return async (address, request) => {
    // The deadline is for the whole answer, however slowly it trickles.
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(request.signal === undefined ? [] : [request.signal])])
    try {
      return await answerOf(await send(new URL(address), { ...request, signal }, ca))
    } catch (cause) {
      throw signal.aborted ? new ProviderTrouble('no whole answer in time', { cause }) : cause
    }
  }
}

function send(url: URL, { method, headers, body, signal }: ProviderRequest, ca: string | null): Promise<IncomingMessage> {
  const content = body instanceof URLSearchParams ? Buffer.from(body.toString()) : null
  const options = {
    method,
    headers: { ...headers, ...(content === null ? {} : { 'content-length': String(content.length) }) },
    signal,
    // A connection of its own: logins are rare, and a kept one may be half closed.
    agent: false as const,
  }
  return new Promise((resolve, reject) => {
    const outgoing =
      url.protocol === 'https:'
        ? requestHttps(url, { ...options, minVersion: 'TLSv1.2', ...(ca === null ? {} : { ca }) })
        : requestHttp(url, options)
    outgoing.on('response', resolve).on('error', reject).end(content)
  })
}

async function answerOf(incoming: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming) {
    const part = Buffer.from(chunk)
    bytes += part.length
    // Leaving the loop destroys the connection.
    if (bytes > answerBytesMax) throw new ProviderTrouble(`the answer is larger than ${answerBytesMax} bytes`)
    chunks.push(part)
  }
  const status = incoming.statusCode ?? 0
  if (status < 200 || status > 599) throw new ProviderTrouble('the answer has no status')
  return new Response(statusesWithoutBody.includes(status) ? null : Buffer.concat(chunks), {
    status,
    headers: { 'content-type': incoming.headers['content-type'] ?? '', ...challengeOf(incoming) },
  })
}

function challengeOf({ headers }: IncomingMessage): Record<string, string> {
  return headers['www-authenticate'] === undefined ? {} : { 'www-authenticate': headers['www-authenticate'] }
}

const causesMax = 6

/** Why a request failed: codes and our own words, never a message of somebody else's. */
export function troubleOf(error: unknown): string {
  const found: string[] = []
  let cause = error
  for (let i = 0; i < causesMax && typeof cause === 'object' && cause !== null; i++) {
    if (cause instanceof ProviderTrouble) found.push(cause.message)
    else if (cause instanceof Response) found.push(`status ${cause.status}`)
    else if (cause instanceof DOMException) found.push(cause.name)
    else if ('code' in cause && typeof cause.code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(cause.code)) found.push(cause.code)
    cause = 'cause' in cause ? cause.cause : null
  }
  if (found.length > 0) return [...new Set(found)].join(', ')
  return error instanceof Error ? error.name : 'failed'
}
