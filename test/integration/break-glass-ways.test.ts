/** Why docs/break-glass.md recommends no other way in: what nats-server makes of them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { connect } from 'nats'
import { startDeployment } from '../support/deployment.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { nkeyUser } from '../support/product.ts'

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

    test('without auth_callout only static users get in, so it is no way in for anybody else', async () => {
      const deployment = await startDeployment({ line, edit: (config) => config.replace(/^ {2}auth_callout \{[\s\S]*?\n {2}\}\n/m, '') })
      await assert.rejects(anonymous(deployment.server.port), { code: 'AUTHORIZATION_VIOLATION' })
      const admin = await connect(nkeyUser(deployment, 'admin', '_INBOX_admin'))
      await admin.close()
      await deployment.stop()
    })
  })
}
