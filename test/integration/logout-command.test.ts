/** `logout` as people type it. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type LoginDesk, loginDesk } from '../support/login-desk.ts'

let desk: LoginDesk
beforeEach(async () => {
  desk = await loginDesk()
})
afterEach(() => desk.stop())

describe('logout', () => {
  test('ends the only session and removes its files, and has nothing to do the next time', async () => {
    await desk.loggedIn()
    writeFileSync(join(desk.dir, 'nats', 'context.txt'), 'localhost')
    const command = desk.logout()
    assert.equal(await command.done, 0)
    assert.deepEqual(command.io.stdout, ['alice is logged out'])
    assert.deepEqual([readdirSync(desk.sessionDir), readdirSync(join(desk.dir, 'nats'))], [[], ['context']])
    assert.equal(await desk.logout().done, 2)
  })

  test('removes the files of a session that is over already', async () => {
    await desk.loggedIn()
    const [session] = desk.sessions()
    assert.ok(session)
    desk.service.world.sessions.records.put(session.nkey, { ...session, state: 'revoked' })
    const command = desk.logout('--json')
    assert.equal(await command.done, 0)
    assert.equal(JSON.parse(command.io.stdout[0] ?? '').ended, false)
    assert.ok(!existsSync(desk.contextPath()))
  })

  test('keeps the files while the verifier is away, since only they can end the session', async () => {
    await desk.loggedIn()
    await desk.service.app.close()
    const command = desk.logout()
    assert.equal(await command.done, 1)
    assert.match(command.io.stderr[0] ?? '', /no answer from the verifier/)
    assert.equal(readdirSync(desk.sessionDir).length, 2)
  })

  test('does not need a verifier for a session that is past its time', async () => {
    await desk.loggedIn()
    await desk.service.app.close()
    const memo = join(desk.dir, 'nats-webauthn', 'localhost.json')
    writeFileSync(memo, JSON.stringify({ ...JSON.parse(readFileSync(memo, 'utf8')), expiresAt: 1 }))
    assert.equal(await desk.logout().done, 0)
    assert.deepEqual(readdirSync(desk.sessionDir), [])
  })

  test('says where a session without its key can be ended', async () => {
    await desk.loggedIn()
    rmSync(desk.seedPath())
    const command = desk.logout()
    assert.equal(await command.done, 1)
    assert.match(command.io.stderr[0] ?? '', /end the session U[A-Z2-7]{55} at the page of http:\/\/localhost/)
  })

  test('does not use a seed that others may read', async () => {
    await desk.loggedIn()
    chmodSync(desk.seedPath(), 0o644)
    assert.equal(await desk.logout().done, 1)
  })

  test('wants a name where there are several', async () => {
    await desk.loggedIn('--context', 'home')
    await desk.loggedIn('--context', 'work')
    const command = desk.logout()
    assert.equal(await command.done, 2)
    assert.match(command.io.stderr[0] ?? '', /home, work/)
    assert.equal(await desk.logout('--context', 'work').done, 0)
    assert.ok(existsSync(desk.contextPath('home')) && !existsSync(desk.contextPath('work')))
  })

  test('leaves a context alone that was changed to another key', async () => {
    await desk.loggedIn()
    writeFileSync(desk.contextPath(), '{"url":"nats://a:4222","nkey":"/mine.nk"}')
    assert.equal(await desk.logout().done, 0)
    assert.equal(readFileSync(desk.contextPath(), 'utf8'), '{"url":"nats://a:4222","nkey":"/mine.nk"}')
  })

  test('has a --dir of its own, as login has', async () => {
    const elsewhere = join(desk.dir, 'elsewhere')
    await desk.loggedIn('--dir', elsewhere)
    assert.deepEqual(readdirSync(elsewhere).sort(), ['localhost.json', 'localhost.nk'])
    assert.equal(await desk.logout().done, 2)
    assert.equal(await desk.logout('--dir', elsewhere).done, 0)
    assert.deepEqual(readdirSync(elsewhere), [])
  })
})
