import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { inspect } from 'node:util'
import {
  completeKeyFile,
  createKeyFile,
  type Enrolled,
  loadKeyFile,
  loadPendingKey,
  parseKeyFile,
  WebAuthnClientError,
} from '../../src/client/index.ts'

const enrolled: Enrolled = {
  credentialId: 'Y3JlZGVudGlhbA',
  rpId: 'machines.example',
  userHandle: 'dXNlcg',
  handle: 'orders',
  urls: ['tls://nats.example:4222'],
  inboxPrefix: '_INBOX_orders',
  roles: ['orders-writer'],
}

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-test-'))
  path = join(dir, 'orders.key')
})
afterEach(() => rmSync(dir, { recursive: true }))

/** The code of the error that `act` throws, after a look that it tells nothing of the file. */
function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof WebAuthnClientError)
    if (existsSync(path) && statSync(path).isFile()) {
      const secret = /"privateKey":\s*"([^"]+)"/.exec(readFileSync(path, 'utf8'))?.[1] ?? 'nothing to find'
      assert.ok(!inspect(error, { depth: 10 }).includes(secret.slice(0, 24)))
    }
    return error.code
  }
  return 'no error'
}

function edit(change: (members: Record<string, unknown>) => void): void {
  const members: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'))
  change(members)
  writeFileSync(path, JSON.stringify(members))
}

describe('a key file', () => {
  for (const alg of [-7, -8] as const) {
    test(`is made pending, then completed, then loaded: algorithm ${alg}`, () => {
      const made = createKeyFile(path, { alg })
      assert.equal(
        codeOf(() => loadKeyFile(path)),
        'key_file_pending',
      )
      assert.deepEqual(loadPendingKey(path).publicKeyCose, made.publicKeyCose)
      completeKeyFile(path, enrolled)
      const { key, ...rest } = loadKeyFile(path)
      assert.deepEqual(rest, enrolled)
      assert.deepEqual(key.publicKeyCose, made.publicKeyCose)
      assert.equal(
        codeOf(() => loadPendingKey(path)),
        'key_file_exists',
      )
    })
  }

  test('is readable by its owner alone from its first moment, whatever the umask', () => {
    const umask = process.umask(0)
    try {
      createKeyFile(path)
      assert.equal(statSync(path).mode & 0o777, 0o600)
      completeKeyFile(path, enrolled)
      assert.equal(statSync(path).mode & 0o777, 0o600)
    } finally {
      process.umask(umask)
    }
  })

  test('leaves nothing else in its directory', () => {
    createKeyFile(path)
    codeOf(() => createKeyFile(path))
    completeKeyFile(path, enrolled)
    assert.deepEqual(readdirSync(dir), ['orders.key'])
  })

  test('is read from text too, for secret stores', () => {
    createKeyFile(path)
    completeKeyFile(path, enrolled)
    assert.equal(parseKeyFile(readFileSync(path, 'utf8')).handle, 'orders')
  })
})

describe('a key file refuses', () => {
  test('to overwrite anything: a file, an empty file, a directory, a symbolic link, even one that leads nowhere', () => {
    createKeyFile(path)
    const before = readFileSync(path, 'utf8')
    assert.equal(
      codeOf(() => createKeyFile(path)),
      'key_file_exists',
    )
    assert.equal(readFileSync(path, 'utf8'), before)
    writeFileSync(join(dir, 'empty'), '')
    mkdirSync(join(dir, 'directory'))
    symlinkSync(join(dir, 'nowhere'), join(dir, 'link'))
    for (const name of ['empty', 'directory', 'link'])
      assert.equal(
        codeOf(() => createKeyFile(join(dir, name))),
        'key_file_exists',
        name,
      )
    assert.equal(existsSync(join(dir, 'nowhere')), false)
  })

  test('to be completed twice, or through a symbolic link', () => {
    createKeyFile(path)
    symlinkSync(path, join(dir, 'link'))
    assert.equal(
      codeOf(() => completeKeyFile(join(dir, 'link'), enrolled)),
      'key_file_unsafe',
    )
    completeKeyFile(path, enrolled)
    assert.equal(
      codeOf(() => completeKeyFile(path, { ...enrolled, handle: 'other' })),
      'key_file_exists',
    )
    assert.equal(loadKeyFile(path).handle, 'orders')
  })

  test('to be completed with nonsense, and stays pending', () => {
    createKeyFile(path)
    for (const wrong of [
      { credentialId: '' },
      { rpId: 'UPPER' },
      { handle: 'a.b' },
      { userHandle: '!' },
      { inboxPrefix: '' },
      { inboxPrefix: 'a b' },
    ]) {
      assert.equal(
        codeOf(() => completeKeyFile(path, { ...enrolled, ...wrong })),
        'key_file_invalid',
      )
    }
    assert.equal(
      codeOf(() => loadKeyFile(path)),
      'key_file_pending',
    )
  })

  test('to be read when others may use it', () => {
    createKeyFile(path)
    completeKeyFile(path, enrolled)
    for (const mode of [0o644, 0o640, 0o660, 0o602, 0o601]) {
      chmodSync(path, mode)
      assert.equal(
        codeOf(() => loadKeyFile(path)),
        'key_file_unsafe',
      )
    }
    chmodSync(path, 0o400)
    assert.equal(loadKeyFile(path).handle, 'orders')
  })

  test('to be anything but a file', () => {
    assert.equal(
      codeOf(() => loadKeyFile(dir)),
      'key_file_unsafe',
    )
    assert.equal(
      codeOf(() => loadKeyFile('/dev/null')),
      'key_file_unsafe',
    )
    assert.equal(
      codeOf(() => loadKeyFile(join(dir, 'missing'))),
      'key_file_io',
    )
    assert.equal(
      codeOf(() => createKeyFile(join(dir, 'missing', 'orders.key'))),
      'key_file_io',
    )
  })

  test('content that is not as written: without repeating any of it', () => {
    createKeyFile(path)
    completeKeyFile(path, enrolled)
    const whole = readFileSync(path, 'utf8')
    const changes: ((members: Record<string, unknown>) => void)[] = [
      (m) => {
        m['v'] = 2
      },
      (m) => {
        m['alg'] = -8
      },
      (m) => {
        m['alg'] = -257
      },
      (m) => {
        m['privateKey'] = 'AAAA'
      },
      (m) => {
        m['privateKey'] = 7
      },
      (m) => {
        delete m['privateKey']
      },
      (m) => {
        m['extra'] = 1
      },
      (m) => {
        delete m['rpId']
      },
      (m) => {
        m['urls'] = 'tls://x'
      },
      (m) => {
        m['urls'] = [1]
      },
      (m) => {
        m['urls'] = Array.from({ length: 101 }, () => 'x')
      },
      (m) => {
        m['roles'] = null
      },
      (m) => {
        m['handle'] = 'Ä'
      },
    ]
    for (const change of changes) {
      writeFileSync(path, whole)
      edit(change)
      assert.equal(
        codeOf(() => loadKeyFile(path)),
        'key_file_invalid',
      )
    }
    for (const text of ['', 'null', '[]', '"x"', whole.slice(0, -20), whole.replace('{', ''), `${whole}${' '.repeat(70_000)}`]) {
      writeFileSync(path, text)
      assert.equal(
        codeOf(() => loadKeyFile(path)),
        'key_file_invalid',
      )
    }
  })
})
