import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { completeKeyFile, createKeyFile } from '../../src/client/index.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { type TestMachine, testMachine } from '../support/machine.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { type ProofResponder, startProofResponder } from '../support/proof-responder.ts'

const run = promisify(execFile)
const example = fileURLToPath(new URL('../../examples/bare-protocol.mjs', import.meta.url))

test('examples/bare-protocol.mjs imports nothing but Node, and is short enough to read', () => {
  const source = readFileSync(example, 'utf8')
  const imports = [...source.matchAll(/from '([^']+)'/g)].map(([, name]) => name)
  assert.ok(imports.length > 0 && imports.every((name) => name?.startsWith('node:')))
  assert.ok(source.split('\n').length <= 150)
})

for (const line of NATS_LINES) {
  describe(`the bare protocol, nats-server ${line}`, () => {
    let deployment: Deployment
    let responder: ProofResponder
    let machine: TestMachine
    let dir: string
    let keyFile: string
    before(async () => {
      deployment = await startDeployment({ line, xkey: false })
    })
    after(() => deployment.stop())
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-test-'))
      keyFile = join(dir, 'orders.key')
    })

    for (const alg of [-7, -8] as const) {
      test(`proves, then resumes, and talks: algorithm ${alg}`, async () => {
        machine = testMachine('orders', createKeyFile(keyFile, { alg }))
        completeKeyFile(keyFile, { ...machine.key, urls: [deployment.url], inboxPrefix: '_INBOX_orders', roles: [] })
        responder = await startProofResponder(deployment, machine)
        const { stdout } = await run(process.execPath, [example, keyFile, deployment.url, 'orders.new'])
        assert.deepEqual(responder.answered, [
          { form: 'endorsing', granted: true, url: deployment.url },
          { form: 'bound', granted: true, url: deployment.url },
        ])
        assert.equal(stdout.trim().split('\n').length, 4)
        await responder.stop()
        rmSync(dir, { recursive: true })
      })
    }

    test('fails when it is refused', async () => {
      machine = testMachine('orders', createKeyFile(keyFile))
      completeKeyFile(keyFile, { ...machine.key, urls: [deployment.url], inboxPrefix: '_INBOX_orders', roles: [] })
      responder = await startProofResponder(deployment, testMachine())
      await assert.rejects(run(process.execPath, [example, keyFile, deployment.url]), { code: 1 })
      assert.deepEqual(
        responder.answered.map(({ granted }) => granted),
        [false],
      )
      await responder.stop()
      rmSync(dir, { recursive: true })
    })
  })
}
