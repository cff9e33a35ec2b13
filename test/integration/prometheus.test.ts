import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hashSync } from 'bcryptjs'
import type { Metrics } from '../../src/observability/metrics.ts'
import type { MetricsAuth } from '../../src/observability/metrics-auth.ts'
import { createOperationsListener } from '../../src/observability/operations.ts'
import { freePort } from '../support/free-port.ts'
import { testMetrics } from '../support/metrics.ts'
import { testCa } from '../support/test-certificates.ts'

for (const program of ['prometheus', 'promtool']) {
  if (spawnSync(program, ['--version']).error !== undefined) {
    throw new Error(`${program} is not on PATH: apt-get install prometheus, brew install prometheus, or the download page of Prometheus`)
  }
}

const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-prometheus-'))
after(() => rmSync(dir, { recursive: true, force: true }))
function file(name: string, text: string): string {
  writeFileSync(join(dir, name), text, { mode: 0o600 })
  return join(dir, name)
}

/** Metrics that tell when they were scraped for the n-th time. */
function watchedMetrics(): { metrics: Metrics; scraped(times: number): Promise<void>; refused(): Promise<void> } {
  const metrics = testMetrics()
  let scrapes = 0
  const waiting: { times: number; resolve(): void }[] = []
  let refuse = () => {}
  const refused = new Promise<void>((resolve) => {
    refuse = resolve
  })
  return {
    metrics: {
      ...metrics,
      exposition() {
        scrapes++
        for (const wait of waiting) if (scrapes >= wait.times) wait.resolve()
        return metrics.exposition()
      },
      metricsAuthFailed(mode) {
        metrics.metricsAuthFailed(mode)
        refuse()
      },
    },
    scraped: (times) => new Promise((resolve) => (scrapes >= times ? resolve() : waiting.push({ times, resolve }))),
    refused: () => refused,
  }
}

async function listen(auth: MetricsAuth, tls: { certFile: string; keyFile: string } | null = null) {
  const watched = watchedMetrics()
  const listener = await createOperationsListener({
    listen: { host: '127.0.0.1', port: 0 },
    auth,
    tls,
    metrics: watched.metrics,
    ready: () => true,
    failed: (cause) => {
      throw cause
    },
  })
  after(() => listener.close())
  return { ...watched, target: `127.0.0.1:${listener.address.port}` }
}

/** Runs Prometheus on `config`; gone after the test. Resolves with its address once it serves. */
async function startPrometheus(config: string): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`
  const configFile = file('prometheus.yml', config)
  execFileSync('promtool', ['check', 'config', configFile], { stdio: 'pipe' })
  const child = spawn(
    'prometheus',
    [`--config.file=${configFile}`, `--storage.tsdb.path=${join(dir, 'tsdb')}`, `--web.listen-address=${address}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  after(async () => {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  })
  for await (const line of createInterface({ input: child.stderr })) if (line.includes('Server is ready to receive web requests')) break
  child.stderr.resume()
  return `http://${address}`
}

async function query(prometheus: string, expression: string): Promise<Record<string, number>> {
  const reply = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: expression })}`)
  const { data } = (await reply.json()) as { data: { result: { metric: { job: string }; value: [number, string] }[] } }
  return Object.fromEntries(data.result.map(({ metric, value }) => [metric.job, Number(value[1])]))
}

describe('Prometheus', () => {
  test('promtool finds nothing to say about the names, types and helps', async () => {
    const metrics = testMetrics()
    metrics.policyLoaded({ hash: 'ab', at: new Date() })
    const { body } = await metrics.exposition()
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' })
    // Three gauges of prom-client's own end in _total (docs/metrics.md).
    const findings = (checked.stdout + checked.stderr).split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_active_'))
    assert.deepEqual(findings, [])
  })

  test('promtool finds the alerts well formed, and they ring when they should and only then', () => {
    const rules = fileURLToPath(new URL('../../deploy/prometheus/alerts.yml', import.meta.url))
    execFileSync('promtool', ['check', 'rules', rules], { stdio: 'pipe' })
    execFileSync('promtool', ['test', 'rules', rules.replace('.yml', '.test.yml')], { stdio: 'pipe' })
  })

  test('promtool finds the shipped configuration well formed, alerts and all', () => {
    const shipped = readFileSync(new URL('../../deploy/prometheus/prometheus.yml', import.meta.url), 'utf8')
    file('alerts.yml', readFileSync(new URL('../../deploy/prometheus/alerts.yml', import.meta.url), 'utf8'))
    const config = file('shipped.yml', shipped.replace('/run/secrets/metrics_password', file('shipped-password', 'secret')))
    execFileSync('promtool', ['check', 'config', config], { stdio: 'pipe' })
  })

  test('the alerts ask for series that there are', async () => {
    const { body } = await testMetrics().exposition()
    const rules = readFileSync(new URL('../../deploy/prometheus/alerts.yml', import.meta.url), 'utf8')
    const asked = [...rules.matchAll(/(nats_webauthn_\w+)\{([^}]*)\}/g)]
    assert.ok(asked.length > 1)
    for (const [, name, selector] of asked) {
      assert.ok(body.includes(`\n${name}{`), name)
      for (const [, reasons] of (selector ?? '').matchAll(/reason!?[=~]+"([^"]*)"/g)) {
        const outcome = /outcome="(\w+)"/.exec(selector ?? '')?.[1]
        for (const reason of (reasons ?? '').split('|'))
          assert.ok(body.includes(`${name}{outcome="${outcome}",reason="${reason}"}`), reason)
      }
    }
  })

  test('scrapes with basic, bearer, mtls and none as docs/operations.md writes them, and is refused with a wrong token', async () => {
    const ca = await testCa('operations CA')
    const [server, client] = [
      await ca.issue({ name: 'verifier', ip: ['127.0.0.1'] }),
      await ca.issue({ name: 'prometheus', dns: ['prometheus.example'] }),
    ]
    const tls = { certFile: file('server.crt', server.cert), keyFile: file('server.key', server.key) }
    const caFile = file('ca.crt', ca.cert)
    const basic = await listen({ mode: 'basic', usersFile: file('users', `prometheus:${hashSync('correct horse', 10)}\n`) })
    const bearer = await listen({ mode: 'bearer', tokenFile: file('tokens', 'a-token-of-some-length\n') })
    const mtls = await listen({ mode: 'mtls', clientCaFile: caFile, allowedSans: ['prometheus.example'] }, tls)
    const none = await listen({ mode: 'none' })
    const wrong = await listen({ mode: 'bearer', tokenFile: file('other-tokens', 'another-token-of-length\n') })
    const prometheus = await startPrometheus(`
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: basic
    basic_auth: { username: prometheus, password_file: ${file('password', 'correct horse')} }
    static_configs: [{ targets: ["${basic.target}"] }]
  - job_name: bearer
    authorization: { credentials_file: ${file('token', 'a-token-of-some-length')} }
    static_configs: [{ targets: ["${bearer.target}"] }]
  - job_name: mtls
    scheme: https
    tls_config: { ca_file: ${caFile}, cert_file: ${file('client.crt', client.cert)}, key_file: ${file('client.key', client.key)} }
    static_configs: [{ targets: ["${mtls.target}"] }]
  - job_name: none
    static_configs: [{ targets: ["${none.target}"] }]
  - job_name: wrong
    authorization: { credentials_file: ${file('wrong-token', 'a-token-of-some-length')} }
    static_configs: [{ targets: ["${wrong.target}"] }]
`)
    // When a target is scraped for the third time, the first scrape has long been stored.
    await Promise.all([...[basic, bearer, mtls, none].map(({ scraped }) => scraped(3)), wrong.refused()])
    assert.deepEqual(await query(prometheus, 'nats_webauthn_ready'), { basic: 1, bearer: 1, mtls: 1, none: 1 })
    assert.equal((await query(prometheus, 'up'))['wrong'], 0)
    assert.deepEqual(await query(prometheus, 'count by (job) (nats_webauthn_verdicts_total{outcome="granted"})'), {
      basic: 5,
      bearer: 5,
      mtls: 5,
      none: 5,
    })
  })
})
