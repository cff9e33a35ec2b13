/** alice at her terminal and her browser, over the real HTTP server with stores in memory. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { browser, startPeopleService } from './people-service.ts'
import { putDevice, putLogin, putPerson } from './people-world.ts'
import { type TypedCommand, typed } from './typed-command.ts'

/** The address that `login` prints in the loopback flow. */
export const LINK = /(http:\S+#session=\S+)/
export const requestIn = (url: string) => new URL(url).hash.replace('#session=', '')

export async function loginDesk() {
  const service = await startPeopleService({ world: { now: Date.now() } })
  putPerson(service.world, 'alice')
  const { passkey } = putDevice(service.world, 'alice')
  const page = browser(service)
  page.cookies.set('nats-webauthn-login', putLogin(service.world, 'alice').cookie)
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-login-'))
  const env = { XDG_CONFIG_HOME: dir }
  const login = (...more: string[]) => typed(['login', '--url', service.origin, '--no-browser', ...more], env)
  async function endorse(request: string): Promise<string> {
    const { options } = (await page.post('/v1/session/options', { request })).body
    return (await page.post('/v1/session/endorse', { request, response: passkey.get(options) })).body.callback
  }
  return {
    service,
    page,
    dir,
    env,
    login,
    logout: (...more: string[]) => typed(['logout', ...more], env),
    /** The tap; where the browser goes then. */
    endorse,
    /** A `login` that comes to its end. */
    async loggedIn(...more: string[]): Promise<TypedCommand> {
      const command = login(...more)
      const callback = await endorse(requestIn(await command.said(LINK)))
      assert.equal((await fetch(callback)).status, 200)
      assert.equal(await command.done, 0, command.io.stderr.join('\n'))
      return command
    },
    sessionDir: join(dir, 'nats-webauthn'),
    seedPath: (name = 'localhost') => join(dir, 'nats-webauthn', `${name}.nk`),
    contextPath: (name = 'localhost') => join(dir, 'nats', 'context', `${name}.json`),
    sessions: () => [...service.world.sessions.records.all().values()].map(({ record }) => record),
    async stop() {
      await service.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export type LoginDesk = Awaited<ReturnType<typeof loginDesk>>
