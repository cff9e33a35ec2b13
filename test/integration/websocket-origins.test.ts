/** The WebSocket listener of the shipped nats-server.conf: which pages may open a connection. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { readConfig } from '../../src/config.ts'
import { makeConfigDir } from '../support/config-dir.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { NATS_LINES } from '../support/nats-server.ts'

const shipped = readFileSync(new URL('../../nats-server.conf', import.meta.url), 'utf8')
const allowed = /^ *allowed_origins: .*$/m.exec(shipped)?.[0] ?? ''

/** Status of a WebSocket upgrade: 101 when it is let in. */
function upgrade(deployment: Deployment, origin: string | null): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port: new URL(deployment.websocketUrl).port,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...(origin === null ? {} : { origin }),
      },
    })
    asked.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve(response.statusCode ?? 0)
    })
    asked.once('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.once('error', reject)
    asked.end()
  })
}

test('nats-server.conf allows the pages that nats-webauthn.yaml does, and no other', () => {
  const dir = makeConfigDir()
  const { rules, enrolment } = readConfig(dir.file)
  dir.remove()
  const origins = JSON.parse(/\[.*\]/.exec(allowed)?.[0] ?? 'null') as string[]
  assert.deepEqual(origins, rules.person?.origins)
  assert.ok(origins.includes(enrolment?.origin ?? ''))
})

for (const line of NATS_LINES) {
  describe(`the WebSocket listener of nats-server ${line}`, () => {
    let deployment: Deployment
    before(async () => {
      deployment = await startDeployment({ line, edit: (config) => config.replace(/^websocket \{$/m, `websocket {\n${allowed}`) })
    })
    after(() => deployment.stop())

    test('lets in the page of people, and programs, which name no origin', async () => {
      assert.equal(await upgrade(deployment, 'http://localhost:8780'), 101)
      assert.equal(await upgrade(deployment, null), 101)
    })

    for (const origin of [
      'http://localhost:8781',
      'https://localhost:8780',
      'http://localhost',
      'http://127.0.0.1:8780',
      'http://localhost.evil.example:8780',
      'https://evil.example',
      'null',
    ]) {
      test(`shuts out a page of ${origin}`, async () => assert.equal(await upgrade(deployment, origin), 403))
    }
  })
}
