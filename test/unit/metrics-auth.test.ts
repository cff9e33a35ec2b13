import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { hashSync } from 'bcryptjs'
import { OperationsConfigError } from '../../src/observability/secret-file.ts'
import { basic, dir, file, scrape, start, token, users } from '../support/operations.ts'

describe('mode basic', () => {
  test('gives the metrics to a listed user', async () => {
    const { listener } = await start({ mode: 'basic', usersFile: file(users) })
    assert.equal((await scrape(listener, basic('prometheus', 'correct horse'))).status, 200)
    assert.equal((await scrape(listener, basic('prometheus', 'correct horse').replace('Basic', 'bAsIc'))).status, 200)
  })

  for (const [what, authorization] of [
    ['nothing', undefined],
    ['a wrong password', basic('prometheus', 'wrong')],
    ['an unknown user', basic('nobody', 'correct horse')],
    ['an empty password', basic('prometheus', '')],
    ['no colon', `Basic ${Buffer.from('prometheus').toString('base64')}`],
    ['the hash as password', basic('prometheus', users.split(':')[1]?.trim() ?? '')],
    ['a password beyond what bcrypt reads', basic('prometheus', 'x'.repeat(73))],
    ['a bearer token', `Bearer ${token}`],
    ['no base64', 'Basic \u0001'],
    ['a name out of Object.prototype', basic('__proto__', 'x')],
  ] as const) {
    test(`refuses ${what} with a challenge and counts it`, async () => {
      const { listener, failed } = await start({ mode: 'basic', usersFile: file(users) })
      const reply = await scrape(listener, authorization?.includes('\u0001') ? 'Basic !!!' : authorization)
      assert.equal(reply.status, 401)
      assert.match(reply.headers['www-authenticate'] ?? '', /^Basic realm=/)
      assert.doesNotMatch(reply.body, /nats_webauthn/)
      assert.equal(await failed('basic'), 1)
    })
  }

  test('goes on after a rotation: old and new password in two users, then the new alone', async () => {
    const usersFile = file(users)
    const { listener } = await start({ mode: 'basic', usersFile })
    const [old, next] = [basic('prometheus', 'correct horse'), basic('prometheus2', 'battery staple')]
    assert.equal((await scrape(listener, old)).status, 200)
    const line = `prometheus2:${hashSync('battery staple', 4)}\n`
    file(`${users}${line}`, { path: usersFile })
    assert.deepEqual([(await scrape(listener, old)).status, (await scrape(listener, next)).status], [200, 200])
    file(line, { path: usersFile })
    assert.deepEqual([(await scrape(listener, old)).status, (await scrape(listener, next)).status], [401, 200])
  })

  test('a known password stays usable while somebody guesses, and guessing is slowed down', async () => {
    const { listener } = await start({ mode: 'basic', usersFile: file(users) })
    const right = basic('prometheus', 'correct horse')
    assert.equal((await scrape(listener, right)).status, 200)
    const guesses = await Promise.all(Array.from({ length: 40 }, (_, i) => scrape(listener, basic('prometheus', `guess ${i}`))))
    const slowed = guesses.filter(({ status, headers }) => status === 429 && headers['retry-after'] === '1').length
    assert(slowed >= 25)
    assert(guesses.every(({ status }) => status === 401 || status === 429))
    assert.equal((await scrape(listener, right)).status, 200)
  })

  for (const [what, text] of [
    ['no user', '# nobody\n'],
    ['a plain password', 'prometheus:secret\n'],
    ['an MD5 hash', 'a:$apr1$x$y\n'],
    ['a user twice', `${users}${users}`],
    ['a hash that costs minutes', `a:${hashSync('x', 4).replace('$04$', '$31$')}\n`],
    ['a torn line', users.slice(0, -10)],
  ] as const) {
    test(`does not start with a file of ${what}`, async () => {
      await assert.rejects(start({ mode: 'basic', usersFile: file(text) }), OperationsConfigError)
    })
  }
})

describe('mode bearer', () => {
  test('gives the metrics to the token', async () => {
    const { listener } = await start({ mode: 'bearer', tokenFile: file(`${token}\n`) })
    assert.equal((await scrape(listener, `Bearer ${token}`)).status, 200)
  })

  for (const [what, authorization] of [
    ['nothing', undefined],
    ['another token', 'Bearer another-token-of-length'],
    ['the start of the token', `Bearer ${token.slice(0, -1)}`],
    ['the token and more', `Bearer ${token}x`],
    ['a password', basic('prometheus', 'correct horse')],
    ['the token as a password', basic('prometheus', token)],
    ['the token without a scheme', token],
    ['the token twice', `Bearer ${token} ${token}`],
    ['an empty token', 'Bearer '],
  ] as const) {
    test(`refuses ${what} with a challenge and counts it`, async () => {
      const { listener, failed } = await start({ mode: 'bearer', tokenFile: file(`${token}\n`) })
      const reply = await scrape(listener, authorization)
      assert.equal(reply.status, 401)
      assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer realm=/)
      assert.equal(await failed('bearer'), 1)
    })
  }

  test('a rotation refuses no scrape: old, both, new', async () => {
    const tokenFile = file(`${token}\n`)
    const { listener } = await start({ mode: 'bearer', tokenFile })
    const next = 'the-next-token-of-length'
    const status = async (offered: string) => (await scrape(listener, `Bearer ${offered}`)).status
    assert.equal(await status(token), 200)
    file(`${token}\n${next}\n`, { path: tokenFile })
    assert.deepEqual([await status(token), await status(next)], [200, 200])
    file(`${next}\n`, { path: tokenFile })
    assert.deepEqual([await status(next), await status(token)], [200, 401])
  })

  for (const [what, spoil] of [
    ['missing', (path: string) => rmSync(path)],
    ['readable by others', (path: string) => chmodSync(path, 0o644)],
    ['empty', (path: string) => void file('', { path })],
    [
      'a directory',
      (path: string) => {
        rmSync(path)
        mkdtempSync(join(dir, 'x'))
        renameSync(mkdtempSync(join(dir, 'y')), path)
      },
    ],
    [
      'a named pipe',
      (path: string) => {
        rmSync(path)
        execFileSync('mkfifo', ['-m', '600', path])
      },
    ],
  ] as const) {
    test(`fails closed while the file is ${what}, tells why to the log alone, and recovers`, async () => {
      const tokenFile = file(`${token}\n`)
      const { listener, failures } = await start({ mode: 'bearer', tokenFile })
      assert.equal((await scrape(listener, `Bearer ${token}`)).status, 200)
      spoil(tokenFile)
      const reply = await scrape(listener, `Bearer ${token}`)
      assert.deepEqual([reply.status, reply.body, failures.length], [503, 'unavailable\n', 1])
      rmSync(tokenFile, { recursive: true, force: true })
      file(`${token}\n`, { path: tokenFile })
      assert.equal((await scrape(listener, `Bearer ${token}`)).status, 200)
    })
  }

  for (const [what, text, mode] of [
    ['nothing in it', '\n', 0o600],
    ['a short token', 'secret\n', 0o600],
    ['three tokens', `${token}\n${token}2\n${token}3\n`, 0o600],
    ['spaces in a token', 'a token with spaces in it\n', 0o600],
    ['read permission for others', `${token}\n`, 0o644],
    ['read permission for the group', `${token}\n`, 0o640],
  ] as const) {
    test(`does not start with ${what}, and does not say what the file holds`, async () => {
      await assert.rejects(start({ mode: 'bearer', tokenFile: file(text, { mode }) }), (error: Error) => {
        assert(error instanceof OperationsConfigError)
        assert(text.trim() === '' || !error.message.includes(text.split('\n')[0] ?? ''))
        return true
      })
    })
  }

  test('does not start without its file', async () => {
    await assert.rejects(start({ mode: 'bearer', tokenFile: join(dir, 'nowhere') }), OperationsConfigError)
  })
})
