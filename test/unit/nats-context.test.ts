import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { UsageError } from '../../src/cli/command.ts'
import {
  configHome,
  contextFile,
  contextUrl,
  defaultContextName,
  readContext,
  readContextName,
  removeContext,
  writeContext,
} from '../../src/cli/nats-context.ts'
import { browserCommand, openBrowser } from '../../src/cli/open-browser.ts'
import { makeSessionDir, readSaved, readSavedKey, savedNames, seedFileOf, sessionDir, writeSaved } from '../../src/cli/saved-session.ts'
import { createSessionKey } from '../../src/client/session-key.ts'

const dirs: string[] = []
after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})
function home(): { env: { XDG_CONFIG_HOME: string }; dir: string } {
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-context-'))
  dirs.push(dir)
  return { env: { XDG_CONFIG_HOME: dir }, dir }
}

const settings = { description: 'alice', url: 'tls://nats.example.com:4222', nkey: '/keys/work.nk', inbox_prefix: '_INBOX_alice' }
const mode = (path: string) => statSync(path).mode & 0o777

describe('a context of the nats CLI', () => {
  test('is where its library looks: XDG_CONFIG_HOME, or ~/.config', () => {
    assert.equal(contextFile('work', { XDG_CONFIG_HOME: '/x' }), '/x/nats/context/work.json')
    assert.equal(contextFile('work', { XDG_CONFIG_HOME: '', HOME: '/home/alice' }), '/home/alice/.config/nats/context/work.json')
    assert.equal(configHome({}), join(homedir(), '.config'))
  })

  test('has the members that its library reads, in a file for its owner alone', () => {
    const { env } = home()
    const path = contextFile('work', env)
    writeContext(path, settings, null)
    // Names as in jsm.go natscontext: what is not one of these would silently be ignored.
    const members = ['description', 'url', 'socks_proxy', 'token', 'user', 'password', 'creds', 'nkey', 'cert', 'key', 'ca', 'nsc']
    const known = [
      ...members,
      'jetstream_domain',
      'jetstream_api_prefix',
      'jetstream_event_prefix',
      'inbox_prefix',
      'user_jwt',
      'tls_first',
    ]
    const written = JSON.parse(readFileSync(path, 'utf8'))
    assert.deepEqual(written, settings)
    for (const name of Object.keys(written)) assert.ok(known.includes(name), name)
    assert.deepEqual([mode(path), mode(dirname(path))], [0o600, 0o700])
    assert.deepEqual(readdirSync(dirname(path)), ['work.json'])
  })

  test('keeps what a person added to it', () => {
    const { env } = home()
    const path = contextFile('work', env)
    writeContext(path, settings, null)
    writeContext(path, { ...settings, url: 'tls://b:4222' }, { ...settings, ca: '/ca.pem' })
    assert.deepEqual(readContext(path), { ...settings, url: 'tls://b:4222', ca: '/ca.pem' })
  })

  test('is removed only while it uses our key, and not as the current one of somebody else', () => {
    const { env, dir } = home()
    const path = contextFile('work', env)
    const current = join(dir, 'nats', 'context.txt')
    writeContext(path, settings, null)
    writeFileSync(current, 'other')
    assert.equal(removeContext(path, { name: 'work', seedFile: '/keys/other.nk', env }), false)
    assert.equal(removeContext(path, { name: 'work', seedFile: settings.nkey, env }), true)
    assert.equal(readFileSync(current, 'utf8'), 'other')
    assert.equal(removeContext(path, { name: 'work', seedFile: settings.nkey, env }), false)
    writeContext(path, settings, null)
    writeFileSync(current, 'work\n')
    removeContext(path, { name: 'work', seedFile: settings.nkey, env })
    assert.deepEqual(readdirSync(join(dir, 'nats')), ['context'])
  })

  test('that is no file, or no JSON, is not taken for none', () => {
    const { env } = home()
    const path = contextFile('work', env)
    mkdirSync(path, { recursive: true })
    assert.throws(() => readContext(path), /no file of a context/)
    for (const text of ['', '[]', 'null', '{']) {
      const file = contextFile(`bad${text.length}`, env)
      writeFileSync(file, text)
      assert.throws(() => readContext(file), /not the JSON of a context/, text)
    }
    assert.equal(readContext(contextFile('none', env)), null)
  })

  test('is not written through a symbolic link', () => {
    const { env, dir } = home()
    const path = contextFile('work', env)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(join(dir, 'elsewhere'), path)
    assert.throws(() => writeContext(path, settings, null), { code: 'key_file_unsafe' })
  })

  for (const name of ['', '.', '..', '.hidden', 'a..b', 'a/b', 'a\\b', '-x', 'a b', 'ä', 'a'.repeat(65), 'a\n']) {
    test(`is not called ${JSON.stringify(name)}`, () => assert.throws(() => readContextName(name), UsageError))
  }

  test('is called by the host of the verifier otherwise', () => {
    assert.equal(defaultContextName('https://verifier.example.com:8443'), 'verifier.example.com')
    assert.equal(defaultContextName('http://[::1]:8181'), '1')
    assert.equal(defaultContextName('http://127.0.0.1:8181'), '127.0.0.1')
  })

  test('dials the native protocol, and WebSocket only where there is nothing else', () => {
    assert.equal(contextUrl(['wss://a:443', 'tls://a:4222', 'nats://b:4222']), 'tls://a:4222,nats://b:4222')
    assert.equal(contextUrl(['wss://a:443', 'ws://b:80']), 'wss://a:443,ws://b:80')
  })
})

describe('a saved session', () => {
  const saved = (dir: string, nkey: string) => ({
    origin: 'https://verifier.example.com',
    nkey,
    handle: 'alice',
    seedFile: seedFileOf(dir, 'work'),
    contextFile: '/x/work.json',
    expiresAt: 1,
  })

  test('is a seed and a memo for their owner alone', () => {
    const { env } = home()
    const dir = sessionDir(undefined, env)
    makeSessionDir(dir)
    const key = createSessionKey()
    writeSaved(dir, 'work', { key, saved: saved(dir, key.nkey) })
    assert.deepEqual(readdirSync(dir).sort(), ['work.json', 'work.nk'])
    assert.deepEqual([mode(dir), mode(join(dir, 'work.json')), mode(join(dir, 'work.nk'))], [0o700, 0o600, 0o600])
    assert.equal(readFileSync(join(dir, 'work.nk'), 'utf8'), `${key.seed()}\n`)
    assert.ok(!readFileSync(join(dir, 'work.json'), 'utf8').includes(key.seed()))
    assert.deepEqual(savedNames(dir), ['work'])
    const found = readSaved(dir, 'work') ?? assert.fail()
    assert.deepEqual(found, saved(dir, key.nkey))
    assert.equal(readSavedKey(found)?.nkey, key.nkey)
  })

  test('does not take a seed that is gone, is another, or that others may read', () => {
    const { dir } = home()
    const key = createSessionKey()
    const session = saved(dir, key.nkey)
    assert.equal(readSavedKey(session), null)
    writeFileSync(session.seedFile, createSessionKey().seed(), { mode: 0o600 })
    assert.equal(readSavedKey(session), null)
    writeFileSync(session.seedFile, 'no seed')
    assert.equal(readSavedKey(session), null)
    rmSync(session.seedFile)
    writeFileSync(session.seedFile, key.seed(), { mode: 0o644 })
    assert.throws(() => readSavedKey(session), { code: 'key_file_unsafe' })
  })

  test('that was tampered with is refused', () => {
    const { dir } = home()
    const session = saved(dir, 'U')
    for (const text of [
      '',
      '{',
      'null',
      '{"v":2}',
      JSON.stringify({ v: 1, ...session, expiresAt: 'x' }),
      JSON.stringify({ v: 1, ...session, seedFile: 7 }),
    ]) {
      rmSync(join(dir, 'work.json'), { force: true })
      writeFileSync(join(dir, 'work.json'), text, { mode: 0o600 })
      assert.throws(() => readSaved(dir, 'work'), /reading .*work\.json/, text)
    }
    assert.deepEqual([readSaved(dir, 'none'), savedNames(join(dir, 'none'))], [null, []])
  })
})

describe('the browser', () => {
  const url = 'https://verifier.example.com/#session=x;rm -rf $(a)'
  const cases: [string, Record<string, string>, NodeJS.Platform, string[] | null][] = [
    ['is none without a display', {}, 'linux', null],
    ['is the desktop on X', { DISPLAY: ':0' }, 'linux', ['xdg-open', url]],
    ['is the desktop on Wayland', { WAYLAND_DISPLAY: 'wayland-0' }, 'linux', ['xdg-open', url]],
    ['is open on macOS', {}, 'darwin', ['open', url]],
    ['is the handler on Windows', {}, 'win32', ['rundll32', 'url.dll,FileProtocolHandler', url]],
    ['is the first of BROWSER', { BROWSER: 'firefox --new-window:w3m' }, 'linux', ['firefox', '--new-window', url]],
    ['gets the address where BROWSER says', { BROWSER: 'show %s now' }, 'darwin', ['show', url, 'now']],
    ['is the desktop when BROWSER is empty', { BROWSER: '', DISPLAY: ':0' }, 'linux', ['xdg-open', url]],
  ]
  for (const [name, env, platform, expected] of cases) {
    test(name, () => assert.deepEqual(browserCommand(url, { env, platform }), expected))
  }

  test('that cannot be started is none', async () => {
    assert.equal(await openBrowser(url, { BROWSER: '/nonexistent/browser' }), false)
  })
})
