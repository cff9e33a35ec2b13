/** Each key of a deployment is replaced, step by step as docs/rotation.md says, while clients connect and stay connected. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { connect, type NatsConnection } from 'nats'
import { connectWithWebAuthn } from '../../src/client/index.ts'
import { loadKeyFile } from '../../src/client/key-file.ts'
import { type Keeping, startKeeping } from '../support/keeping.ts'
import { until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'

/** The keys, where their seeds are, and whose inbox tells that the old one is out. */
const KEYS = {
  issuer: ['verifier/issuer.seed', 'verifier/xkey.seed'],
  auth: ['verifier/auth.seed'],
  audit: ['verifier/audit.seed'],
  system: ['verifier/system.seed'],
  admin: ['admin.seed'],
  auditor: ['auditor.seed'],
} as const
type Key = keyof typeof KEYS
const EVERY = Object.keys(KEYS) as Key[]
const USERS = EVERY.filter((key) => key !== 'issuer')

/** Connects again and again as a service does, and counts: a retry is one refusal in a row. */
function steady(keeping: Keeping, keyFile: string) {
  const seen = { connected: 0, refused: 0, refusedInARow: 0, worst: 0 }
  let going = true
  const ended = (async () => {
    while (going) {
      try {
        const connection = await connectWithWebAuthn(connect, {
          url: keeping.url,
          key: loadKeyFile(keyFile),
          nats: { reconnect: false, maxReconnectAttempts: 0 },
        })
        await connection.close()
        seen.connected++
        seen.refusedInARow = 0
      } catch (error) {
        // A nats-server that is down refuses nobody.
        if (!/authori[sz]ation|timeout/i.test(String(error))) continue
        seen.refused++
        seen.worst = Math.max(seen.worst, ++seen.refusedInARow)
      }
    }
  })()
  return {
    seen,
    stop: async () => {
      going = false
      await ended
    },
  }
}

const seedOf = (keeping: Keeping, file: string) => readFileSync(join(keeping.dir, 'keys', file), 'utf8')

/** Whether this seed signs in as one of the deployment's own users. */
async function signsIn(keeping: Keeping, file: string): Promise<boolean> {
  try {
    await (await keeping.as(file, '_INBOX')).close()
    return true
  } catch {
    return false
  }
}

describe('a rotation', () => {
  for (const line of NATS_LINES) {
    // ROTATE=each takes every key by itself, and minutes.
    const rounds: Key[][] = process.env['ROTATE'] === 'each' ? EVERY.map((key) => [key]) : line === '2.15' ? [['issuer'], USERS] : [EVERY]
    test(`of each key refuses no good client, and ends the old key (nats-server ${line}, ${rounds.length} rounds)`, async () => {
      const keeping = await startKeeping(line)
      let stays: NatsConnection | null = null
      try {
        await keeping.startBoth()
        const { key: keyFile } = await keeping.enrol('orders')
        stays = await connectWithWebAuthn(connect, { url: keeping.url, key: loadKeyFile(keyFile) })
        const others = steady(keeping, keyFile)
        const restartAll = async (keys: readonly Key[]) => {
          if (keys.some((key) => key !== 'admin' && key !== 'auditor')) await keeping.restartBoth()
          await keeping.stopNats()
          await keeping.startNats()
          const { connected } = others.seen
          await until('clients are back', () => others.seen.connected > connected)
        }
        for (const keys of rounds) {
          const before = new Map(keys.flatMap((key) => KEYS[key]).map((file) => [file, seedOf(keeping, file)]))
          await keeping.done(['rotate', 'begin', ...keys])
          await restartAll(keys)
          await keeping.done(['rotate', 'finish'])
          await restartAll(keys)
          for (const [file, seed] of before) {
            const old = file.replace(/\.seed$/, '.old.seed')
            assert.notEqual(seedOf(keeping, file), seed)
            assert.equal(seedOf(keeping, old), seed)
            assert.equal(statSync(join(keeping.dir, 'keys', file)).mode & 0o777, 0o600)
            if (/issuer|xkey/.test(file)) continue
            assert.deepEqual({ now: await signsIn(keeping, file), old: await signsIn(keeping, old) }, { now: true, old: false }, file)
          }
        }
        const checked = await keeping.cli(['check', '--json'])
        assert.equal(checked.code, 0, checked.out.filter((text) => text.includes('"passed":false')).join('\n'))
        await others.stop()
        assert.ok(others.seen.connected > 0)
        assert.ok(others.seen.worst <= 1, JSON.stringify(others.seen))
        const stayed = stays
        await until('the connection that stayed is back', () =>
          stayed.flush().then(
            () => true,
            () => false,
          ),
        )
        const files = ['nats-server.conf', 'nats-server.keys.conf'].map((name) => readFileSync(join(keeping.dir, name), 'utf8'))
        assert.equal(files.join('').includes('_NEXT'), false)
      } finally {
        await stays?.close()
        await keeping.end()
      }
    })
  }

  test('that begins at nats-server is noticed, and ends well when the verifier follows', async () => {
    const keeping = await startKeeping('2.15')
    try {
      await keeping.startVerifier()
      const orders = await keeping.write('orders')
      assert.equal((await keeping.prove(orders)).verdict, 'granted.proof')
      await keeping.done(['rotate', 'begin', 'xkey'])
      const early = await keeping.cli(['rotate', 'finish'])
      assert.equal(early.code, 1, 'nats-server has the old ones still')
      await keeping.loseStores()
      await until('the verifier is back', async () => (await roundTrip(keeping)) !== 'no verdict')
      assert.equal(await roundTrip(keeping), 'refused and recorded as request_unopenable')
      await keeping.stopVerifier()
      await keeping.startVerifier()
      assert.equal((await keeping.prove(orders)).verdict, 'granted.proof')
      assert.equal(await roundTrip(keeping), 'refused and recorded as sig_malformed')
    } finally {
      await keeping.end()
    }
  })

  test('at once ends a leaked seed with the next restart of nats-server', async () => {
    const keeping = await startKeeping('2.15')
    try {
      await keeping.startVerifier()
      const orders = await keeping.write('orders')
      const leaked = join(keeping.dir, 'keys/verifier/auth.old.seed')
      const dry = await keeping.done(['rotate', 'replace', 'auth', '--dry-run'])
      assert.equal(dry.length, 3)
      assert.equal(existsSync(leaked), false)
      await keeping.done(['rotate', 'replace', 'auth', 'issuer', 'admin'])
      assert.equal((await keeping.cli(['rotate', 'replace', 'auth'])).code, 1, 'not before the leaked seed is destroyed')
      await keeping.loseStores()
      await keeping.stopVerifier()
      await keeping.startVerifier()
      assert.equal(await signsIn(keeping, 'verifier/auth.old.seed'), false)
      assert.equal((await keeping.prove(orders)).verdict, 'granted.proof')
      await keeping.done(['credential', 'list'])
      assert.deepEqual(await keeping.done(['rotate', 'finish']), [])
    } finally {
      await keeping.end()
    }
  })
})

/** What `check` says of a connection without a proof, up to the advice. */
async function roundTrip(keeping: Keeping): Promise<string> {
  const { out } = await keeping.cli(['check', '--json'])
  const results = out.map((text) => JSON.parse(text) as { name: string; detail: string })
  return (
    results
      .find(({ name }) => name === 'callout round trip')
      ?.detail.split(':')[0]
      ?.replace(/^refused, but.*/, 'no verdict') ?? 'no verdict'
  )
}
