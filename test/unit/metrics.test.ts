import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { STAGES, VERDICTS } from '../../src/core/denial.ts'
import { ALL_LIFECYCLE_CODES, ALL_VERDICTS, verdictEvent } from '../support/audit-events.ts'
import { seriesValue, testMetrics } from '../support/metrics.ts'

const golden = new URL('../golden/metrics.txt', import.meta.url)
const docs = new URL('../../docs/metrics.md', import.meta.url)

function seriesOf(body: string): string[] {
  return body
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
}
// The garbage collector and the event loop make series when they first happen.
const ours = (series: string[]) => series.filter((name) => name.startsWith('nats_webauthn_'))

describe('the metrics', () => {
  test('have the names, helps and types of the golden exposition', async () => {
    const { body } = await testMetrics().exposition()
    const head = body
      .split('\n')
      .filter((line) => /^# (HELP|TYPE) nats_webauthn_/.test(line))
      .join('\n')
    assert.equal(head, readFileSync(golden, 'utf8').trimEnd())
  })

  test('are documented with their type and labels, and nothing else is', async () => {
    const metrics = testMetrics()
    metrics.policyLoaded({ hash: 'ab', at: new Date() })
    const registered = (await metrics.registry.getMetricsAsJSON()).map(({ name, type, values }) => {
      const labels = new Set(values.flatMap((value) => Object.keys(value.labels)).filter((label) => label !== 'le'))
      return { name, row: name.startsWith('nats_webauthn_') ? `${name} | ${type} | ${[...labels].join(', ')}` : name }
    })
    const rows = [...readFileSync(docs, 'utf8').matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \| ([^|]*) \|/gm)]
    const documented = rows.map(([, name, type, labels]) => {
      const plain = (labels ?? '').replaceAll('`', '').trim()
      return name?.startsWith('nats_webauthn_') ? `${name} | ${type} | ${plain === '–' ? '' : plain}` : name
    })
    assert.deepEqual(documented.sort(), registered.map(({ row }) => row).sort())
  })

  test('show every verdict, stage and lifecycle code as 0 before anything happened', async () => {
    const { body } = await testMetrics().exposition()
    const verdicts = ours(seriesOf(body)).filter((series) => series.startsWith('nats_webauthn_verdicts_total{'))
    assert.deepEqual(
      verdicts.sort(),
      VERDICTS.map(({ outcome, reason }) => `nats_webauthn_verdicts_total{outcome="${outcome}",reason="${reason}"}`).sort(),
    )
    const lifecycle = ours(seriesOf(body)).filter((series) => series.startsWith('nats_webauthn_lifecycle_total{'))
    assert.deepEqual(
      lifecycle.sort(),
      ALL_LIFECYCLE_CODES.map(
        ({ area, outcome, reason }) => `nats_webauthn_lifecycle_total{area="${area}",outcome="${outcome}",reason="${reason}"}`,
      ).sort(),
    )
    for (const series of [...verdicts, ...lifecycle]) assert.equal(seriesValue(body, series), 0)
    for (const stage of STAGES) assert.equal(seriesValue(body, `nats_webauthn_stage_duration_seconds_count{stage="${stage}"}`), 0)
    for (const mode of ['basic', 'bearer', 'mtls'])
      assert.equal(seriesValue(body, `nats_webauthn_metrics_auth_failures_total{mode="${mode}"}`), 0)
    for (const outcome of ['granted', 'denied', 'error', 'reported'])
      assert.equal(seriesValue(body, `nats_webauthn_verdict_duration_seconds_count{outcome="${outcome}"}`), 0)
  })

  test('count each verdict once, and a coalesced one as often as it counts', async () => {
    const metrics = testMetrics()
    for (const verdict of ALL_VERDICTS) metrics.verdict(verdictEvent(verdict))
    metrics.verdict(verdictEvent({ outcome: 'denied', reason: 'sig_missing' }, { count: 5 }))
    const { body } = await metrics.exposition()
    for (const { outcome, reason } of VERDICTS) {
      assert.equal(
        seriesValue(body, `nats_webauthn_verdicts_total{outcome="${outcome}",reason="${reason}"}`),
        outcome === 'denied' && reason === 'sig_missing' ? 6 : 1,
      )
    }
  })

  test('count logins and enrolments by their codes, each event once, all of them 0 at the start', async () => {
    const metrics = testMetrics()
    const families = { login: 'nats_webauthn_logins_total', enrolment: 'nats_webauthn_enrolments_total' } as const
    const wanted = ALL_LIFECYCLE_CODES.flatMap(({ area, outcome, reason }) =>
      area === 'login' || area === 'enrolment' ? [`${families[area]}{outcome="${outcome}",reason="${reason}"}`] : [],
    )
    const { body } = await metrics.exposition()
    const shown = ours(seriesOf(body)).filter((series) => /_(?:logins|enrolments)_total\{/.test(series))
    assert.deepEqual(shown.sort(), wanted.sort())
    for (const series of wanted) assert.equal(seriesValue(body, series), 0)

    for (const code of ALL_LIFECYCLE_CODES) metrics.lifecycle(code)
    const after = await metrics.exposition()
    for (const series of wanted) assert.equal(seriesValue(after.body, series), 1)
  })

  test('count the refusals that one record stands for, and one record in the lifecycle', async () => {
    const metrics = testMetrics()
    const code = { area: 'login', outcome: 'refused', reason: 'request_unknown' } as const
    for (const count of [1, 40, 0, -3, Number.NaN, '7', true]) metrics.lifecycle({ ...code, facts: { count } })
    metrics.lifecycle({ ...code, facts: {} })
    const { body } = await metrics.exposition()
    assert.equal(seriesValue(body, 'nats_webauthn_logins_total{outcome="refused",reason="request_unknown"}'), 47)
    assert.equal(seriesValue(body, 'nats_webauthn_lifecycle_total{area="login",outcome="refused",reason="request_unknown"}'), 8)
    assert.equal(seriesValue(body, 'nats_webauthn_enrolments_total{outcome="refused",reason="ticket_unknown"}'), 0)
  })

  test('have buckets at the objective and at the deadlines', async () => {
    const { body } = await testMetrics().exposition()
    for (const le of ['0.5', '1.5', '4.5']) {
      assert.equal(seriesValue(body, `nats_webauthn_verdict_duration_seconds_bucket{le="${le}",outcome="granted"}`), 0)
    }
    assert.equal(seriesValue(body, 'nats_webauthn_audit_publish_duration_seconds_bucket{le="0.4"}'), 0)
  })

  test('tell states as they are at the scrape', async () => {
    let inFlight = 3
    let ready = true
    const metrics = testMetrics({ requestsInFlight: () => inFlight, ready: () => ready })
    assert.equal(seriesValue((await metrics.exposition()).body, 'nats_webauthn_requests_in_flight'), 3)
    inFlight = 0
    ready = false
    const { body } = await metrics.exposition()
    assert.equal(seriesValue(body, 'nats_webauthn_requests_in_flight'), 0)
    assert.equal(seriesValue(body, 'nats_webauthn_ready'), 0)
    assert.equal(seriesValue(body, 'nats_webauthn_credentials{state="active"}'), 2)
    assert.equal(seriesValue(body, 'nats_webauthn_nats_connected{account="SYS"}'), 0)
  })

  test('leave out a state that cannot be found out, instead of telling the last one', async () => {
    let broken = false
    const down = () => {
      if (broken) throw new Error('store unavailable')
      return { pending: 0, active: 2, quarantined: 0, revoked: 1 }
    }
    const metrics = testMetrics({
      credentials: down,
      sessions: async () => ({ ...down(), pending: 0 }),
      requestsInFlight: () => down().active,
    })
    assert.equal(seriesValue((await metrics.exposition()).body, 'nats_webauthn_credentials{state="active"}'), 2)
    broken = true
    const { body } = await metrics.exposition()
    assert.equal(ours(seriesOf(body)).filter((series) => /credentials\{|sessions\{|in_flight/.test(series)).length, 0)
    broken = false
    assert.equal(seriesValue((await metrics.exposition()).body, 'nats_webauthn_requests_in_flight'), 2)
  })

  test('know one policy at a time', async () => {
    const metrics = testMetrics()
    metrics.policyLoaded({ hash: 'aa', at: new Date(1_000_000) })
    metrics.policyLoaded({ hash: 'bb', at: new Date(2_000_000) })
    metrics.policyRejected()
    const { body } = await metrics.exposition()
    assert.deepEqual(
      seriesOf(body).filter((series) => series.includes('policy_info')),
      ['nats_webauthn_policy_info{hash="bb"}'],
    )
    assert.equal(seriesValue(body, 'nats_webauthn_policy_last_reload_successful'), 0)
    assert.equal(seriesValue(body, 'nats_webauthn_policy_last_reload_success_timestamp_seconds'), 2000)
  })

  test('do not collide with those of another verifier in the process', async () => {
    const [one, other] = [testMetrics(), testMetrics()]
    one.shed()
    assert.equal(seriesValue((await one.exposition()).body, 'nats_webauthn_requests_shed_total'), 1)
    assert.equal(seriesValue((await other.exposition()).body, 'nats_webauthn_requests_shed_total'), 0)
  })

  test('have the same series after 100 000 events of any kind', async () => {
    const metrics = testMetrics()
    metrics.policyLoaded({ hash: 'aa', at: new Date() })
    const before = ours(seriesOf((await metrics.exposition()).body))
    const [values] = fc.sample(
      fc.array(fc.tuple(fc.nat(), fc.string(), fc.double({ min: 0, max: 10, noNaN: true })), { minLength: 1000, maxLength: 1000 }),
      1,
    )
    for (let i = 0; i < 100_000; i++) {
      const [n, text, seconds] = values?.[i % 1000] ?? [0, '', 0]
      const verdict = ALL_VERDICTS[(n + i) % ALL_VERDICTS.length]
      assert(verdict !== undefined)
      const event = verdictEvent(verdict, { id: text, durationMs: seconds * 1000, policyHash: text })
      if (event.connection !== null) Object.assign(event.connection, { clientHost: text, clientName: text, serverName: text })
      metrics.verdict(event)
      metrics.stage(STAGES[i % STAGES.length] ?? 'open', seconds)
      const code = ALL_LIFECYCLE_CODES[i % ALL_LIFECYCLE_CODES.length]
      if (code !== undefined) metrics.lifecycle(code)
      metrics.auditPublished(i % 2 ? 'WEBAUTHN_AUDIT' : 'WEBAUTHN_DENIALS', i % 3 ? 'stored' : 'failed', seconds)
      if (i % 100 === 0) metrics.policyLoaded({ hash: 'aa', at: new Date() })
    }
    assert.deepEqual(ours(seriesOf((await metrics.exposition()).body)), before)
  })
})
