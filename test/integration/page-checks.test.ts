/** What `check` says of the listener where machines enrol and people have their page. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import type { CheckResult } from '../../src/cli/check.ts'
import { listenerChecks, passkeyCheck } from '../../src/cli/page-checks.ts'
import { type Config, readConfig } from '../../src/config.ts'
import { makeConfigDir } from '../support/config-dir.ts'
import { startEnrolmentService } from '../support/enrolment-service.ts'
import { freePort } from '../support/free-port.ts'
import { startPeopleService } from '../support/people-service.ts'
import { RP_ID } from '../support/people-world.ts'

const shipped = (() => {
  const dir = makeConfigDir()
  const config = readConfig(dir.file)
  dir.remove()
  return config
})()

/** The shipped configuration for people of `rpId`, or for machines alone, at `origin`. */
function configAt(origin: string, rpId: string | null): Config {
  const { rules, enrolment } = shipped
  assert.ok(enrolment !== null)
  const person = rpId === null ? null : { rpId, origins: [origin], requireUserVerification: true }
  return { ...shipped, rules: { ...rules, person }, enrolment: { ...enrolment, origin } }
}

async function checked(config: Config): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for await (const result of listenerChecks(config)) results.push(result)
  return results
}
const outcomes = (results: CheckResult[]) => results.map(({ name, passed }) => `${name} ${passed}`)

/** Answers everything the same way. */
async function serving(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

const HEADERS: OutgoingHttpHeaders = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'permissions-policy': 'publickey-credentials-get=(self), publickey-credentials-create=(self)',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

describe('check of the listener', () => {
  test('passes a verifier with people', async () => {
    const service = await startPeopleService()
    after(() => service.stop())
    const results = await checked(configAt(service.origin, RP_ID))
    assert.deepEqual(outcomes(results), ['enrolment listener true', 'page configuration true'])
  })

  test('passes a verifier of machines alone', async () => {
    const service = await startEnrolmentService()
    after(() => service.stop())
    assert.deepEqual(outcomes(await checked(configAt(service.origin, null))), ['enrolment listener true'])
  })

  test('fails a verifier of machines where people were to have a page, and the other way round', async () => {
    const machines = await startEnrolmentService()
    const people = await startPeopleService()
    after(() => Promise.all([machines.stop(), people.stop()]))
    assert.deepEqual(outcomes(await checked(configAt(machines.origin, 'localhost'))), [
      'enrolment listener false',
      'page configuration false',
    ])
    assert.deepEqual(outcomes(await checked(configAt(people.origin, null))), ['enrolment listener false'])
  })

  test('fails a page of another rpId: somebody else is configured there', async () => {
    const service = await startPeopleService()
    after(() => service.stop())
    assert.deepEqual(outcomes(await checked(configAt(service.origin, 'other.example'))), [
      'enrolment listener true',
      'page configuration false',
    ])
  })

  test('fails where nobody listens, and says which error it was', async () => {
    const [result] = await checked(configAt(`http://localhost:${await freePort()}`, null))
    assert.equal(result?.passed, false)
    assert.match(result?.detail ?? '', /ECONNREFUSED/)
  })

  test('fails where the verifier hears another host than the origin names', async () => {
    const service = await startPeopleService()
    after(() => service.stop())
    const [result] = await checked(configAt(service.origin.replace('localhost', '127.0.0.1'), RP_ID))
    assert.equal(result?.passed, false)
    assert.match(result?.detail ?? '', /Host/)
  })

  for (const header of Object.keys(HEADERS)) {
    test(`fails without ${header}, which a proxy may have taken away`, async () => {
      const { [header]: _, ...others } = HEADERS
      const origin = await serving((_request, response) => response.writeHead(200, others).end('<!doctype html>'))
      const [result] = await checked(configAt(origin, 'localhost'))
      assert.equal(result?.passed, false)
      assert.ok(result?.detail.includes(`without ${header};`), result?.detail)
    })
  }

  test('fails where a proxy lets pages be framed', async () => {
    const origin = await serving((_, response) =>
      response.writeHead(200, { ...HEADERS, 'content-security-policy': "default-src 'self'" }).end(),
    )
    assert.deepEqual(outcomes(await checked(configAt(origin, null))), ['enrolment listener false'])
  })

  for (const [what, status, type, body] of [
    ['a redirect', 302, 'text/html', ''],
    ['a failure', 502, 'text/html', 'bad gateway'],
    ['a page where machines alone are served', 200, 'text/html', '<!doctype html>'],
  ] as const) {
    test(`fails ${what}`, async () => {
      const headers = { ...HEADERS, 'content-type': type, ...(status === 302 ? { location: 'https://evil.example/' } : {}) }
      const origin = await serving((_, response) => response.writeHead(status, headers).end(body))
      assert.deepEqual(outcomes(await checked(configAt(origin, null))), ['enrolment listener false'])
    })
  }

  for (const [what, body] of [
    ['no JSON', '<!doctype html>'],
    ['JSON of another shape', '{"rpId":7}'],
    ['more than a page says', `{"rpId":"localhost","providers":[${'{"name":"x"},'.repeat(20_000)}{"name":"x"}]}`],
  ] as const) {
    test(`fails where the page's configuration is ${what}`, async () => {
      const origin = await serving((_, response) => response.writeHead(200, HEADERS).end(body))
      assert.deepEqual(outcomes(await checked(configAt(origin, 'localhost'))), ['enrolment listener true', 'page configuration false'])
    })
  }

  test('has nothing to look at without a listener', async () => {
    assert.deepEqual(await checked({ ...shipped, enrolment: null }), [])
  })
})

describe('check of passkeys', () => {
  test('names the page and the domain, which fit where the configuration could be read', () => {
    assert.equal(passkeyCheck(shipped)?.detail, 'passkeys of localhost at http://localhost:8780')
  })
  test('says when there is no page, and nothing when there are no people', () => {
    assert.equal(passkeyCheck({ ...shipped, enrolment: null })?.passed, null)
    assert.equal(passkeyCheck(configAt('http://localhost:8780', null)), null)
  })
})
