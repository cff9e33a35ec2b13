/** A provider that is slow or silent, and a page that is not there: who is touched by it, and who is not. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { json, startHostileIssuer } from '../support/hostile-issuer.ts'
import { until } from '../support/links.ts'
import { enrol, inviteTo, newPasskey, startPeople, startPeopleFiles, visitor } from '../support/people-cluster.ts'
import { type Browser, startPeopleService, verdictOf } from '../support/people-service.ts'
import { startVerifierProcess } from '../support/verifier-process.ts'

/** A deployment whose provider does what a test says, and people on their way back from it. */
async function hostileProvider() {
  const issuer = await startHostileIssuer()
  const held: ServerResponse[] = []
  issuer.answers.set('/token', (response) => void held.push(response))
  async function comeBack(page: Browser): Promise<{ path: string; nonce: string }> {
    const begun = await page.post('/v1/login/idp', { provider: 'corp' })
    const { searchParams } = new URL(begun.body.url)
    const query = new URLSearchParams({ state: searchParams.get('state') ?? '', code: 'code', iss: issuer.issuer })
    return { path: `/v1/login/callback?${query}`, nonce: searchParams.get('nonce') ?? '' }
  }
  return { issuer, held, comeBack }
}

describe('a provider that does not answer', () => {
  test('holds up those who come from it, for a while, and nobody else', async () => {
    const { issuer, held, comeBack } = await hostileProvider()
    const slow = await startPeople({ issuer: issuer.issuer })
    const { product } = slow
    try {
      const browsers = Array.from({ length: 40 }, () => visitor(product).at())
      const paths = await Promise.all(browsers.map(comeBack))
      const waiting = browsers.map((page, n) => page.open(paths[n]?.path ?? ''))
      await until('all are at the provider', () => held.length === browsers.length)
      // One connection for each who waits, and one discovery for all.
      assert.equal(issuer.count('/.well-known/openid-configuration'), 1)

      const begunAt = performance.now()
      const guest = visitor(product).at()
      const ticket = await inviteTo(product, 'guest')
      assert.equal((await guest.post('/v1/login/ticket', { ticket })).status, 200)
      await enrol(guest, newPasskey(product))
      const raw = await product.raw()
      assert.equal(await raw.connect({}), 'Authorization Violation')
      assert.equal(await product.verdictOn(raw.info.client_id), 'denied.sig_missing')
      assert.ok(performance.now() - begunAt < 3_000)
      const verdicts = new Set((await Promise.all(waiting)).map(verdictOf))
      assert.deepEqual([...verdicts], ['303 /#error=provider_unavailable'])
    } finally {
      await slow.stop()
      await issuer.stop()
    }
  })

  test('is waited for when the verifier is told to stop: who was on their way in is in, and it exits with 0', async () => {
    const { issuer, held, comeBack } = await hostileProvider()
    const files = await startPeopleFiles({ issuer: issuer.issuer, logLevel: 'info' })
    const verifier = await startVerifierProcess(files.product.configFile, files.product.operationsUrl)
    try {
      const page = visitor(files.product).at()
      const { path, nonce } = await comeBack(page)
      const answer = page.open(path)
      await until('the code is at the provider', () => held.length === 1)
      const stopped = verifier.stop('SIGTERM')
      await until('it drains', () => verifier.output().includes('"draining"'))
      const claims = issuer.claims({ nonce, groups: ['staff'], preferred_username: 'late', name: 'Late' })
      const [response] = held
      assert.ok(response !== undefined)
      json(response, { access_token: 'access', token_type: 'Bearer', expires_in: 60, id_token: await issuer.sign(claims) })
      assert.equal(verdictOf(await answer), '303 /')
      assert.equal(await stopped, 0)
    } finally {
      await verifier.stop('SIGKILL')
      await files.stop()
      await issuer.stop()
    }
  })

  test('does not keep the verifier from stopping', async () => {
    const { issuer, held, comeBack } = await hostileProvider()
    const files = await startPeopleFiles({ issuer: issuer.issuer, logLevel: 'info' })
    const verifier = await startVerifierProcess(files.product.configFile, files.product.operationsUrl)
    try {
      const page = visitor(files.product).at()
      const { path } = await comeBack(page)
      const answer = page.open(path)
      await until('the code is at the provider', () => held.length === 1)
      const begunAt = performance.now()
      const stopped = verifier.stop('SIGTERM')
      assert.equal(verdictOf(await answer), '303 /#error=provider_unavailable')
      assert.equal(await stopped, 0)
      assert.ok(performance.now() - begunAt < 20_000)
    } finally {
      await verifier.stop('SIGKILL')
      await files.stop()
      await issuer.stop()
    }
  })
})

describe('a page that was not built, or in part', () => {
  test('keeps the service from starting, with words for it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-page-'))
    await assert.rejects(startPeopleService({ page: { dir } }), /opening the page/)
    writeFileSync(join(dir, 'index.html'), '<!doctype html>')
    await assert.rejects(startPeopleService({ page: { dir } }), /opening the page/)
    rmSync(dir, { recursive: true })
  })
})
