import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { healthcheck } from '../../src/cli/healthcheck.ts'
import { run } from '../../src/cli/run.ts'
import { readConfig } from '../../src/config.ts'
import { createOperationsListener, type OperationsListener } from '../../src/observability/operations.ts'
import { type ConfigDir, makeConfigDir } from '../support/config-dir.ts'
import { freePort } from '../support/free-port.ts'
import { memoryIo } from '../support/memory-io.ts'
import { testMetrics } from '../support/metrics.ts'
import { testCa } from '../support/test-certificates.ts'

let dir: ConfigDir
let listener: OperationsListener | undefined
afterEach(async () => {
  await listener?.close()
  listener = undefined
  dir.remove()
})

/** A configuration whose operations section ends with `auth`, and its listener unless `listening` is false. */
async function operations(auth: string, { ready = true, listening = true } = {}): Promise<void> {
  const port = await freePort()
  dir = makeConfigDir((text) =>
    text.replace('listen: 127.0.0.1:9464', `listen: 127.0.0.1:${port}`).replace(/ {2}auth:\n {4}basic:\n.*\n/, `${auth}\n`),
  )
  const { cert, key } = await (await testCa('test')).issue({ name: 'verifier', dns: ['verifier.example'] })
  writeFileSync(join(dir.dir, 'cert.pem'), cert)
  writeFileSync(join(dir.dir, 'key.pem'), key, { mode: 0o600 })
  const config = readConfig(dir.file).operations
  if (listening) listener = await createOperationsListener({ ...config, metrics: testMetrics(), ready: () => ready, failed: () => {} })
}

function healthy(...args: string[]): Promise<number> {
  return run(['healthcheck', '-c', dir.file, ...args], [healthcheck], memoryIo())
}

const TLS = '  tls: { cert_file: cert.pem, key_file: key.pem }'

describe('healthcheck', () => {
  test('tells alive from ready', async () => {
    await operations('  auth: none', { ready: false })
    assert.equal(await healthy(), EXIT.ok)
    assert.equal(await healthy('--ready'), EXIT.refused)
  })

  test('asks a listener with TLS, whatever its certificate names', async () => {
    await operations(`  auth: none\n${TLS}`)
    assert.equal(await healthy('--ready'), EXIT.ok)
  })

  test('takes the handshake for life where a client certificate is asked for', async () => {
    await operations(`  auth: { mtls: { client_ca_file: cert.pem } }\n${TLS}`)
    assert.equal(await healthy(), EXIT.ok)
    assert.equal(await healthy('--ready'), EXIT.refused)
  })

  test('fails when nobody listens', async () => {
    await operations('  auth: none', { listening: false })
    assert.equal(await healthy(), EXIT.refused)
  })

  test('exits 78 without a usable configuration', async () => {
    await operations('  auth: none', { listening: false })
    dir.edit(() => 'nats: 1\n')
    assert.equal(await healthy(), EXIT.configInvalid)
  })
})
