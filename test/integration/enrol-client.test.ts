import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { WebAuthnClientError } from '../../src/client/client-error.ts'
import { enrolMachine } from '../../src/client/enrol.ts'
import { generateFileKey, type SigningKey } from '../../src/client/software-authenticator.ts'
import { type Answer, challengeFor, type EnrolmentService, startEnrolmentService, subjectOf } from '../support/enrolment-service.ts'
import { b64u } from '../support/test-authenticator.ts'

let service: EnrolmentService
let signatures: number
let key: SigningKey
beforeEach(async () => {
  service = await startEnrolmentService()
  const real = generateFileKey()
  signatures = 0
  key = {
    alg: real.alg,
    publicKeyCose: real.publicKeyCose,
    sign: (bytes) => {
      signatures++
      return real.sign(bytes)
    },
  }
})
afterEach(() => service.stop())

/** What the client threw, having said no secret. */
async function refusal(options: Partial<Parameters<typeof enrolMachine>[0]> = {}): Promise<WebAuthnClientError> {
  const ticket = options.ticket ?? service.invite()
  const error = await enrolMachine({ url: service.base, key, ...options, ticket }).then(
    () => assert.fail('enrolled'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof WebAuthnClientError, inspect(error))
  assert.equal(inspect(error, { depth: 10, showHidden: true }).includes(ticket), false, 'the ticket is in the error')
  return error
}

/** A fetch that changes the answer to one step. */
function changing(step: string, change: (answer: Answer['body']) => unknown): typeof fetch {
  return async (url, init) => {
    const response = await fetch(url, init)
    if (!String(url).endsWith(`/${step}`)) return response
    const changed = change(await response.json())
    return new Response(typeof changed === 'string' ? changed : JSON.stringify(changed), { status: response.status })
  }
}

describe('a verifier in the middle', () => {
  test("that passes on the real one's challenge gets no signature", async () => {
    const relay: typeof fetch = (url, init) => fetch(String(url).replace('https://verifier.evil.example', service.base), init)
    const error = await refusal({ url: 'https://verifier.evil.example', fetch: relay })
    assert.deepEqual([error.code, signatures], ['enrolment_failed', 0])
  })

  test('that makes the challenge its own gets a signature that the real one refuses', async () => {
    const ticket = service.invite()
    const evil = 'https://verifier.evil.example'
    const relay: typeof fetch = async (url, init) => {
      const response = await fetch(String(url).replace(evil, service.base), init)
      if (!String(url).endsWith('/begin')) return response
      const answer = (await response.json()) as { issued: string; options: { challenge: string } }
      answer.options.challenge = b64u(challengeFor('enrol', answer.issued, evil, subjectOf(ticket)))
      return Response.json(answer)
    }
    const error = await refusal({ url: evil, ticket, fetch: relay })
    assert.deepEqual([error.code, error.message.split(' ').at(-1)], ['enrolment_refused', 'registration_invalid/challenge_mismatch'])
    assert.equal(service.credentials.all().size, 0)
  })

  test('gets no signature over a challenge of another purpose', async () => {
    const ticket = service.invite()
    const swap = changing('begin', (answer) => {
      answer.options.challenge = b64u(challengeFor('session', answer.issued, service.origin, subjectOf(ticket)))
      return answer
    })
    assert.equal((await refusal({ ticket, fetch: swap })).code, 'enrolment_failed')
    assert.equal(signatures, 0)
  })

  test('gets no second signature for another credential', async () => {
    const swap = changing('register', (answer) => {
      answer.options.challenge = b64u(challengeFor('enrol-possession', answer.issued, service.origin, 'another'))
      return answer
    })
    assert.equal((await refusal({ fetch: swap })).code, 'enrolment_failed')
    assert.equal(signatures, 1)
  })
})

describe("the verifier's address", () => {
  const never: typeof fetch = () => assert.fail('asked the network')
  for (const url of [
    'http://verifier.example.com',
    'http://10.0.0.1:8181',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'ftp://localhost',
    'localhost:8181',
    'https://user:secret@verifier.example.com',
    'https://verifier.example.com/path',
    'https://verifier.example.com/?a=b',
    'https://verifier.example.com/#x',
    '',
    'https://',
  ]) {
    test(`"${url}" gets no ticket`, async () => assert.equal((await refusal({ url, fetch: never })).code, 'url_invalid'))
  }
  for (const url of [
    'https://verifier.example.com',
    'https://verifier.example.com/',
    'http://localhost:1',
    'http://[::1]:1',
    'http://127.0.0.1:1',
  ]) {
    test(`"${url}" is asked`, async () => {
      const asked: string[] = []
      const none: typeof fetch = (to) => {
        asked.push(String(to))
        return Promise.reject(new Error('no network'))
      }
      assert.equal((await refusal({ url, fetch: none })).code, 'enrolment_failed')
      assert.deepEqual(asked, [`${new URL(url).origin}/v1/enrol/begin`])
    })
  }
})

describe('an answer', () => {
  test('that is a redirect is not followed', async () => {
    const asked: string[] = []
    const redirecting = createServer((request, response) => {
      asked.push(String(request.url))
      response.writeHead(307, { location: `${service.base}/v1/enrol/begin` }).end()
    }).listen(0, '127.0.0.1')
    await once(redirecting, 'listening')
    const { port } = redirecting.address() as AddressInfo
    const error = await refusal({ url: `http://127.0.0.1:${port}` })
    redirecting.close()
    assert.deepEqual([error.code, asked, service.ceremonies.all().size], ['enrolment_failed', ['/v1/enrol/begin'], 0])
  })
  test('that never comes is not waited for', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    assert.equal((await refusal({ url: `http://127.0.0.1:${port}`, timeoutMs: 50 })).code, 'enrolment_failed')
    silent.closeAllConnections()
    silent.close()
  })
  test('that is larger than any honest one is not read', async () => {
    let sent = 0
    const pull = (stream: ReadableStreamDefaultController) => {
      sent += 10_000
      if (sent > 1_000_000) stream.close()
      else stream.enqueue(new Uint8Array(10_000).fill(0x20))
    }
    assert.equal((await refusal({ fetch: async () => new Response(new ReadableStream({ pull })) })).code, 'enrolment_failed')
    assert.ok(sent < 200_000, `${sent} bytes were read`)
  })
  const wrong: [string, string, (answer: Answer['body']) => unknown][] = [
    ['begin', 'is no JSON', () => '{'],
    ['begin', 'is null', () => null],
    ['begin', 'is a list', () => []],
    ['begin', 'has no options', ({ options: _, ...rest }) => rest],
    ['begin', 'has no relying party', (answer) => ({ ...answer, options: { ...answer.options, rp: undefined } })],
    ['begin', 'has a relying party of spaces', (answer) => ({ ...answer, options: { ...answer.options, rp: { id: 'a b' } } })],
    ['begin', 'has a handle that is a path', (answer) => ({ ...answer, handle: '../../etc' })],
    ['begin', 'has short issued bytes', (answer) => ({ ...answer, issued: 'AAAA' })],
    ['begin', 'has issued bytes in another alphabet', (answer) => ({ ...answer, issued: '+'.repeat(43) })],
    [
      'begin',
      "does not take the key's algorithm",
      (answer) => ({ ...answer, options: { ...answer.options, pubKeyCredParams: [{ type: 'public-key', alg: -8 }] } }),
    ],
    ['begin', 'has algorithms in words', (answer) => ({ ...answer, options: { ...answer.options, pubKeyCredParams: [{ alg: 'ES256' }] } })],
    ['register', 'has no ceremony', ({ ceremony: _, ...rest }) => rest],
    [
      'activate',
      'is of another credential',
      (answer) => ({ ...answer, credential: { ...answer.credential, id: 'AAAAAAAAAAAAAAAAAAAAAA' } }),
    ],
    ['activate', 'is of another handle', (answer) => ({ ...answer, credential: { ...answer.credential, handle: 'admin' } })],
    ['activate', 'is of another relying party', (answer) => ({ ...answer, credential: { ...answer.credential, rpId: 'evil.example' } })],
    ['activate', 'has an address with a line break', (answer) => ({ ...answer, urls: ['nats://a:4222\nx'] })],
    ['activate', 'has too many addresses', (answer) => ({ ...answer, urls: Array(101).fill('nats://a:4222') })],
    ['activate', 'has no roles', (answer) => ({ ...answer, credential: { ...answer.credential, roles: undefined } })],
  ]
  for (const [step, name, change] of wrong) {
    test(`to ${step} that ${name} is refused`, async () =>
      assert.equal((await refusal({ fetch: changing(step, change) })).code, 'enrolment_failed'))
  }
  test('that refuses is an error with its code, and nothing else of what it says', async () => {
    assert.match((await refusal({ ticket: 'no such ticket' })).message, /403 ticket_invalid$/)
    for (const body of ['<html>', '{"error":"text"}', '{"error":{"code":"\u001b[31mred"}}', 'null']) {
      const error = await refusal({ fetch: async () => new Response(body, { status: 500 }) })
      assert.deepEqual([error.code, error.message], ['enrolment_refused', 'enrolling: the verifier answered 500 without a code'])
    }
  })
})
