/** `login` as people type it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { LINK, type LoginDesk, loginDesk, requestIn } from '../support/login-desk.ts'
import { startPeopleService } from '../support/people-service.ts'
import { typed } from '../support/typed-command.ts'

let desk: LoginDesk
beforeEach(async () => {
  desk = await loginDesk()
})
afterEach(() => desk.stop())

describe('login', () => {
  test('says what it waits for, who is logged in, and what next', async () => {
    const { io } = await desk.loggedIn()
    assert.deepEqual(io.stdout.length, 1)
    assert.match(io.stdout[0] ?? '', /^alice is logged in until \d{4}-\S+Z, with reader$/)
    const messages = io.stderr.join('\n')
    for (const words of [
      /must show the code [B-Z]{4}-[B-Z]{4}/,
      /10 minutes at most/,
      /nats --context localhost/,
      /logout --context localhost/,
    ]) {
      assert.match(messages, words)
    }
    const context = JSON.parse(readFileSync(desk.contextPath(), 'utf8'))
    assert.deepEqual(context, {
      description: 'alice by nats-webauthn login',
      url: 'tls://nats.example.com:4222',
      nkey: desk.seedPath(),
      inbox_prefix: '_INBOX_alice',
    })
  })

  test('opens the browser that BROWSER names, with the address as one argument', async () => {
    const opened = createServer((request, response) => {
      response.end()
      opened.emit('address', decodeURIComponent((request.url ?? '').slice(2)))
    }).listen(0, '127.0.0.1')
    await once(opened, 'listening')
    const script = join(desk.dir, 'browser.mjs')
    writeFileSync(
      script,
      `await fetch('http://127.0.0.1:${(opened.address() as AddressInfo).port}/?' + encodeURIComponent(process.argv.slice(2).join(' ')))\n`,
    )
    const command = typed(['login', '--url', desk.service.origin], { ...desk.env, BROWSER: `${process.execPath} ${script}` })
    const [address] = await once(opened, 'address')
    assert.equal(address, await command.said(LINK))
    assert.match(command.io.stderr.join('\n'), /Your browser opens/)
    assert.equal((await fetch(await desk.endorse(requestIn(address)))).status, 200)
    assert.equal(await command.done, 0)
    opened.close()
  })

  test('points to --code where nobody would see a browser', async () => {
    const command = typed(['login', '--url', desk.service.origin], desk.env)
    await command.said(/login --code/)
    command.io.stop()
    assert.equal(await command.done, 1)
    assert.match(command.io.stderr.at(-1) ?? '', /given up/)
    assert.deepEqual(readdirSync(desk.sessionDir), [])
  })

  test('gives up on Ctrl-C, and what was tapped at that moment is over too', async () => {
    const command = desk.login()
    const request = requestIn(await command.said(LINK))
    const callback = await desk.endorse(request)
    command.io.stop()
    assert.equal(await command.done, 1)
    await assert.rejects(fetch(callback))
    const [session] = desk.sessions()
    assert.equal(session?.state, 'revoked')
  })

  test('ignores a callback for another request, and goes on with its own', async () => {
    const command = desk.login()
    const callback = new URL(await desk.endorse(requestIn(await command.said(LINK))))
    const other = new URL(callback)
    other.searchParams.set('request', 'another')
    assert.equal((await fetch(other)).status, 404)
    assert.equal((await fetch(callback)).status, 200)
    assert.equal(await command.done, 0)
  })

  test('ends in words when a wrong code comes to its listener', async () => {
    const command = desk.login()
    const callback = new URL(await desk.endorse(requestIn(await command.said(LINK))))
    callback.searchParams.set('code', 'A'.repeat(43))
    assert.equal((await fetch(callback)).status, 200)
    assert.equal(await command.done, 1)
    assert.match(command.io.stderr.at(-1) ?? '', /no longer open/)
    assert.ok(!existsSync(desk.contextPath()))
  })

  test('survives a verifier that fails while it waits', async () => {
    const command = desk.login('--code')
    const code = await command.said(/([B-Z]{4}-[B-Z]{4})/)
    const { find } = desk.service.world.sessionRequests
    await new Promise<void>((failed) => {
      desk.service.world.sessionRequests.find = async () => {
        desk.service.world.sessionRequests.find = find
        failed()
        throw new Error('a passing fault')
      }
    })
    const { session } = (await desk.page.post('/v1/session/show', { code })).body
    await desk.endorse(session.request)
    assert.equal(await command.done, 0, command.io.stderr.join('\n'))
  })

  test('does not touch a context that somebody made', async () => {
    mkdirSync(dirname(desk.contextPath('work')), { recursive: true })
    writeFileSync(desk.contextPath('work'), '{"url":"nats://a:4222"}')
    const command = desk.login('--context', 'work')
    assert.equal(await command.done, 2)
    assert.match(command.io.stderr[0] ?? '', /was not made by login/)
    assert.equal(readFileSync(desk.contextPath('work'), 'utf8'), '{"url":"nats://a:4222"}')
    assert.equal(desk.service.world.sessionRequests.all().size, 0)
  })

  test('does not take the place of a session of another verifier', async () => {
    await desk.loggedIn('--context', 'work')
    const other = await startPeopleService()
    const command = typed(['login', '--url', other.origin, '--no-browser', '--context', 'work'], desk.env)
    assert.equal(await command.done, 2)
    assert.match(command.io.stderr[0] ?? '', /is a session of http:\/\/localhost/)
    await other.stop()
  })

  test('takes its own place, keeps what was added to the context, and ends the session before', async () => {
    await desk.loggedIn()
    const seed = readFileSync(desk.seedPath(), 'utf8')
    const context = JSON.parse(readFileSync(desk.contextPath(), 'utf8'))
    writeFileSync(desk.contextPath(), JSON.stringify({ ...context, ca: '/ca.pem' }), { mode: 0o600 })
    await desk.loggedIn()
    assert.notEqual(readFileSync(desk.seedPath(), 'utf8'), seed)
    assert.deepEqual(JSON.parse(readFileSync(desk.contextPath(), 'utf8')), { ...context, ca: '/ca.pem' })
    const states = desk.sessions().map(({ state }) => state)
    assert.deepEqual(states.sort(), ['active', 'revoked'])
  })

  test('ends the session when its files cannot be written', async () => {
    const command = desk.login('--context', 'work')
    const link = await command.said(LINK)
    mkdirSync(desk.seedPath('work'))
    assert.equal((await fetch(await desk.endorse(requestIn(link)))).status, 200)
    assert.equal(await command.done, 1)
    const [session] = desk.sessions()
    assert.equal(session?.state, 'revoked')
  })

  for (const [url, name] of [
    ['http://verifier.example.com', 'plain HTTP to another machine'],
    ['https://a:b@verifier.example.com', 'a password in the address'],
    ['https://verifier.example.com/path', 'a path'],
    ['ftp://verifier.example.com', 'another scheme'],
    ['verifier.example.com', 'no scheme'],
    ['http://localhost.attacker.example', 'a name that begins like ours'],
  ] as const) {
    test(`goes nowhere by ${name}`, async () => {
      const command = typed(['login', '--url', url, '--no-browser'], desk.env)
      assert.equal(await command.done, 2)
      assert.match(command.io.stderr[0] ?? '', /reading the verifier's address/)
      assert.deepEqual(readdirSync(desk.dir), [])
    })
  }

  test('is wrong without an address, with a bad name, or with an argument', async () => {
    for (const args of [[], ['--url', desk.service.origin, '--context', '../x'], ['--url', desk.service.origin, 'SUAXXX']]) {
      const command = typed(['login', ...args], desk.env)
      assert.equal(await command.done, 2)
    }
  })
})
