/** Operations listeners, their secret files, and requests to them. */
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { hashSync } from 'bcryptjs'
import type { MetricsAuth } from '../../src/observability/metrics-auth.ts'
import { createOperationsListener, type OperationsListener } from '../../src/observability/operations.ts'
import { seriesValue, testMetrics } from './metrics.ts'

export const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-operations-'))
after(() => rmSync(dir, { recursive: true, force: true }))
let files = 0
/** Writes a secret file of this test. */
export function file(text: string, { mode = 0o600, path = join(dir, `file-${files++}`) } = {}): string {
  // As a rotation does it: complete, then renamed.
  writeFileSync(`${path}.next`, text, { mode })
  chmodSync(`${path}.next`, mode)
  renameSync(`${path}.next`, path)
  return path
}

export const token = 'a-token-of-some-length'
export const users = `# scrapers\n\nprometheus:${hashSync('correct horse', 4)}\n`
export const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** One request on a connection of its own. */
export function ask(listener: OperationsListener, path: string, options: RequestOptions & { secure?: boolean } = {}): Promise<Reply> {
  const { host, port } = listener.address
  return new Promise((resolve, reject) => {
    const call = options.secure ? httpsRequest : httpRequest
    const request = call({ host, port, path, agent: false, ...options }, async (response) => {
      let body = ''
      for await (const chunk of response.setEncoding('utf8')) body += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
    })
    request.once('error', reject)
    request.end()
  })
}

/** A listener that is gone after the test. */
export async function start(auth: MetricsAuth | undefined, changes: { tls?: { certFile: string; keyFile: string } } = {}) {
  const metrics = testMetrics()
  const failures: unknown[] = []
  let ready = true
  const listener = await createOperationsListener({
    listen: { host: '127.0.0.1', port: 0 },
    auth,
    tls: changes.tls ?? null,
    metrics,
    ready: () => ready,
    failed: (cause) => void failures.push(cause),
  })
  after(() => listener.close())
  const failed = async (mode: string) =>
    seriesValue((await metrics.exposition()).body, `nats_webauthn_metrics_auth_failures_total{mode="${mode}"}`)
  return {
    listener,
    failures,
    failed,
    setReady: (value: boolean) => {
      ready = value
    },
  }
}
export const scrape = (listener: OperationsListener, authorization?: string) =>
  ask(listener, '/metrics', authorization === undefined ? {} : { headers: { authorization } })
