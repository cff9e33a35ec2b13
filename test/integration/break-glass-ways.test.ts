/** Why docs/break-glass.md recommends no other way in: what nats-server makes of them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { connect, nkeyAuthenticator } from 'nats'
import { readConfig } from '../../src/config.ts'
import { startVerifier } from '../../src/main.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { startDeployment } from '../support/deployment.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { nkeyUser, startProduct } from '../support/product.ts'

for (const line of NATS_LINES) {
  describe(`the ways that are not taken, on nats-server ${line}`, () => {
    const anonymous = (port: number) => connect({ servers: `127.0.0.1:${port}`, reconnect: false })

    test('a reload takes no change of auth_users: the keys have to be there from the beginning', async () => {
      const deployment = await startDeployment({ line })
      const { server } = deployment
      const changed = readFileSync(server.configFile, 'utf8').replace(', $BREAK_GLASS_SYSTEM', '')
      writeFileSync(server.configFile, changed)
      server.child.kill('SIGHUP')
      assert.match(await server.logged(/Failed to reload/), /not supported for AuthCallout/)
      const admin = await connect(nkeyUser(deployment, 'admin', '_INBOX_admin'))
      await admin.close()
      await deployment.stop()
    })

    test('a verifier that may not hear of connections starts all the same, says so, and finds them when it looks', async () => {
      const section = 'static_users: { keys_file: nats-server.keys.conf }\n'
      const product = await startProduct({
        line,
        policy: 'version: 1\nroles: {}\n',
        yaml: section,
        edit: (config) => config.replace('"$SYS.ACCOUNT.*.CONNECT", ', '').replace('$BREAK_GLASS_SYSTEM_BY', '["STANDARD"]'),
      })
      assert.equal(product.verifier.isReady(), true)
      const authenticator = nkeyAuthenticator(new TextEncoder().encode(product.deployment.breakGlass.system.seed))
      const system = await connect({
        servers: `127.0.0.1:${product.deployment.server.port}`,
        authenticator,
        inboxPrefix: '_INBOX_break_glass',
      })
      await product.verifier.stop()
      const lines: string[] = []
      const log = createLogger({ level: 'error', name: 'test', stream: { write: (text) => void lines.push(text) } })
      const verifier = await startVerifier(readConfig(product.configFile), log)
      const { body } = await product.record(({ subject }) => subject.endsWith('.succeeded.break_glass'))
      assert.match(JSON.stringify(body), new RegExp(product.deployment.breakGlass.system.publicKey))
      assert.match(lines.join(''), /watching who connects without the verifier/)
      await verifier.stop()
      await system.close()
      await product.stop()
    })

    test('without auth_callout only static users get in, so it is no way in for anybody else', async () => {
      const deployment = await startDeployment({ line, edit: (config) => config.replace(/^ {2}auth_callout \{[\s\S]*?\n {2}\}\n/m, '') })
      await assert.rejects(anonymous(deployment.server.port), { code: 'AUTHORIZATION_VIOLATION' })
      const admin = await connect(nkeyUser(deployment, 'admin', '_INBOX_admin'))
      await admin.close()
      await deployment.stop()
    })
  })
}
