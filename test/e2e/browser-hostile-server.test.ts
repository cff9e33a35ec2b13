/** Servers that mean no good, in front of the browser SDK in a real browser. None of them ever gets a tap or a second signature. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createServer } from 'node:tls'
import { type AuthenticatorOptions, startChromium, type TestBrowser, type TestPage } from '../support/chromium.ts'
import { type SdkSite, startSdkSite } from '../support/sdk-page.ts'
import { b64u, testKey } from '../support/test-authenticator.ts'
import { testCa } from '../support/test-certificates.ts'
import { startWebSocketServer, type WebSocketEnd, type WebSocketServer } from '../support/websocket.ts'

const GOOD = { server_id: 'N', version: '2.15.0', proto: 1, max_payload: 1_048_576, headers: true, nonce: 'abcdefghijklmno' }
const info = (changes: Record<string, unknown> = {}): string => `INFO ${JSON.stringify({ ...GOOD, ...changes })}\r\n`

describe('a server that', { timeout: 180_000 }, () => {
  let site: SdkSite
  let browser: TestBrowser
  const servers: WebSocketServer[] = []
  before(async () => {
    site = await startSdkSite()
    browser = await startChromium()
  })
  after(async () => {
    await browser.close()
    for (const server of servers) await server.stop()
    await site.close()
  })

  async function serve(accept: (client: WebSocketEnd) => void): Promise<WebSocketServer> {
    const server = await startWebSocketServer(accept)
    servers.push(server)
    return server
  }

  async function visitor(options: AuthenticatorOptions = {}): Promise<TestPage> {
    const tab = await browser.open()
    await tab.page.goto(site.origin)
    await tab.page.waitForFunction(() => window.harness !== undefined)
    const authenticator = await tab.authenticator(options)
    const bytes = () => b64u(crypto.getRandomValues(new Uint8Array(32)))
    await authenticator.addCredential({ id: bytes(), key: testKey(), rpId: 'localhost', userHandle: bytes() })
    return tab
  }

  async function connect(tab: TestPage, url: string): Promise<{ code: string; taps: number }> {
    return tab.page.evaluate(async (servers) => {
      const { code } = await window.harness.connect('one', { servers, rpId: 'localhost' })
      return { code, taps: window.harness.taps }
    }, url)
  }

  const refused: [what: string, says: string | null, code: string][] = [
    ['sends no nonce', info({ nonce: undefined }), 'nonce_missing'],
    ['sends an empty nonce', info({ nonce: '' }), 'nonce_missing'],
    ['sends a nonce with a line break', info({ nonce: 'abc\ndef' }), 'nonce_refused'],
    ['sends a nonce that is not ASCII', info({ nonce: 'abcdé' }), 'nonce_refused'],
    ['sends a nonce of 65 characters', info({ nonce: 'n'.repeat(65) }), 'nonce_refused'],
    ['sends a nonce that is a number', info({ nonce: 7 }), 'nonce_refused'],
    ['sends an INFO of 70 KB', info({ name: 'x'.repeat(70_000) }), 'info_refused'],
    ['sends 70 KB without an end', 'x'.repeat(70_000), 'info_refused'],
    ['sends JSON that is none', 'INFO {nonce}\r\n', 'info_refused'],
    ['speaks another protocol', '220 mail.example.com ESMTP\r\n', 'info_refused'],
    ['says nothing', null, 'info_timeout'],
  ]
  for (const [what, says, code] of refused) {
    test(`${what} gets no tap`, async () => {
      const server = await serve((client) => {
        if (says !== null) client.send(says)
      })
      const tab = await visitor()
      assert.deepEqual(await connect(tab, server.url), { code, taps: 0 })
      await tab.close()
    })
  }

  test('shows a certificate that nobody vouches for is unreachable, and gets no tap', async () => {
    const ca = await testCa('nobody')
    const { cert, key } = await ca.issue({ name: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })
    const server = createServer({ cert, key })
    const refused = once(server, 'tlsClientError')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const tab = await visitor()
    assert.deepEqual(await connect(tab, `wss://localhost:${port}`), { code: 'server_unreachable', taps: 0 })
    await refused
    server.close()
    await tab.close()
  })

  test('hangs up at once gets no tap', async () => {
    const server = await serve((client) => client.close())
    const tab = await visitor()
    assert.deepEqual(await connect(tab, server.url), { code: 'server_unreachable', taps: 0 })
    await tab.close()
  })

  test('hangs up during the tap takes the question off the screen', async () => {
    const tab = await visitor({ isPresent: false })
    let hangUp = (): void => undefined
    const server = await serve((client) => {
      client.send(info())
      hangUp = () => client.close()
    })
    const outcome = connect(tab, server.url)
    await tab.page.waitForFunction(() => window.harness.taps === 1)
    hangUp()
    assert.deepEqual(await outcome, { code: 'interrupted', taps: 1 })
    await tab.close()
  })

  test('gossips other addresses is the only one that is ever dialled', async () => {
    let strangers = 0
    const other = await serve(() => {
      strangers++
    })
    const sigs: string[] = []
    let dials = 0
    const elsewhere = { connect_urls: [`localhost:${other.port}`], ws_connect_urls: [`localhost:${other.port}`] }
    const server = await serve((client) => {
      dials++
      client.send(info({ ...elsewhere, nonce: `nonce-number-${dials}` }))
      client.onMessage((bytes) => {
        const connected = /^CONNECT (\{.*\})/.exec(bytes.toString())
        if (connected !== null) {
          sigs.push((JSON.parse(connected[1] as string) as { sig: string }).sig)
          // A second INFO asks for a second signature; nobody gives it.
          client.send(`+OK\r\n${info({ ...elsewhere, nonce: 'another' })}PONG\r\n`)
          if (dials < 3) client.close()
        }
      })
    })
    const tab = await visitor()
    assert.deepEqual(await connect(tab, server.url), { code: '', taps: 1 })
    await tab.page.waitForFunction(() => window.harness.events.filter((event) => event === 'one:reconnect').length >= 2)
    const members = sigs.map((sig) => JSON.parse(Buffer.from(sig, 'base64url').toString()) as Record<string, unknown>)
    assert.deepEqual(
      members.map(({ url }) => url),
      [server.url, server.url, server.url],
    )
    assert.deepEqual(
      members.map((sig) => Object.keys(sig).sort().join(' ')),
      ['assertion resume url v', 'resume url v', 'resume url v'],
    )
    assert.equal(strangers, 0)
    assert.equal(await tab.page.evaluate(() => window.harness.taps), 1)
    await tab.close()
  })
})
