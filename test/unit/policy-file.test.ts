import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Policy } from '../../src/core/policy/policy.ts'
import { type PolicyFile, PolicyInvalid, type PolicyRefusal, watchPolicyFile } from '../../src/policy/policy-file.ts'
import { accountName } from '../support/policy-subject.ts'

const text = (role: string) => `version: 1\nroles:\n  ${role}: { account: APP }\n`
const broken = 'version: 1\nroles:\n  r: { account: SYS }\n'
const roles = (policy: Policy) => [...policy.roles.keys()]

describe('the policy file', () => {
  let dir: string
  let path: string
  let opened: PolicyFile[]
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-policy-'))
    path = join(dir, 'policy.yaml')
    opened = []
  })
  afterEach(() => {
    for (const file of opened) file.close()
    rmSync(dir, { recursive: true })
  })

  /** Opens the file; `changes` and `refusals` hand out what happened, in order, as it happens. */
  async function open(onChange: (policy: Policy) => void | Promise<void> = () => undefined) {
    const changes = queueOf<[string[], string[]]>()
    const refusals = queueOf<PolicyRefusal>()
    const mended = queueOf<string[]>()
    const file = await watchPolicyFile({
      path,
      targetAccounts: [accountName('APP')],
      reservedAccounts: [],
      onChange: async (policy, previous) => {
        await onChange(policy)
        changes.push([roles(policy), roles(previous)])
      },
      onRefused: refusals.push,
      onMended: (policy) => mended.push(roles(policy)),
    })
    opened.push(file)
    return { file, changes, refusals, mended }
  }
  function queueOf<T>() {
    const items: T[] = []
    let wake: (() => void) | null = null
    return {
      items,
      push: (item: T) => {
        items.push(item)
        wake?.()
      },
      next: async (): Promise<T> => {
        while (items.length === 0)
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        return items.shift() as T
      },
    }
  }

  test('must be valid at the start', async () => {
    writeFileSync(path, broken)
    await assert.rejects(open(), (error: unknown) => error instanceof PolicyInvalid && error.issues[0]?.line === 3)
  })
  test('must be there at the start', async () => assert.rejects(open(), (error: Error) => error.cause instanceof Error))
  test('must be UTF-8, and a file', async () => {
    writeFileSync(path, Buffer.from([0xff, 0xfe]))
    await assert.rejects(open(), PolicyInvalid)
    rmSync(path)
    mkdirSync(path)
    await assert.rejects(open())
  })

  test('is taken over when it is written, and the old one handed along', async () => {
    writeFileSync(path, text('one'))
    const { file, changes } = await open()
    writeFileSync(path, text('two'))
    assert.deepEqual(await changes.next(), [['two'], ['one']])
    await file.reload()
    assert.deepEqual(roles(file.current()), ['two'])
  })
  test('is taken over when another file is renamed over it', async () => {
    writeFileSync(path, text('one'))
    const { changes } = await open()
    writeFileSync(`${path}.new`, text('two'))
    renameSync(`${path}.new`, path)
    assert.deepEqual(await changes.next(), [['two'], ['one']])
  })
  test('is taken over when a symbolic link beside it is swapped', async () => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(dir, version))
      writeFileSync(join(dir, version, 'policy.yaml'), text(version))
    }
    symlinkSync('v1', join(dir, '..data'))
    symlinkSync('..data/policy.yaml', path)
    const { changes } = await open()
    symlinkSync('v2', join(dir, '..data_new'))
    renameSync(join(dir, '..data_new'), join(dir, '..data'))
    assert.deepEqual(await changes.next(), [['v2'], ['v1']])
  })

  test('keeps the old policy when the new one is bad, and says why once', async () => {
    writeFileSync(path, text('one'))
    const { file, refusals, changes } = await open()
    writeFileSync(path, broken)
    const refusal = await refusals.next()
    assert.ok(refusal.kind === 'invalid' && refusal.issues[0]?.line === 3)
    assert.deepEqual(roles(file.current()), ['one'])
    assert.equal((await file.reload()).outcome, 'refused')
    assert.equal(refusals.items.length, 0)
    assert.equal(changes.items.length, 0)
    writeFileSync(path, text('two'))
    assert.deepEqual(await changes.next(), [['two'], ['one']])
  })
  test('says so when a bad one is taken back', async () => {
    writeFileSync(path, text('one'))
    const { file, refusals, changes, mended } = await open()
    writeFileSync(path, broken)
    await refusals.next()
    writeFileSync(path, text('one'))
    assert.deepEqual(await mended.next(), ['one'])
    assert.deepEqual(await file.reload(), { outcome: 'unchanged' })
    assert.equal(mended.items.length, 0)
    assert.equal(changes.items.length, 0)
  })
  test('is taken over although its directory never rests', async () => {
    writeFileSync(path, text('one'))
    const { changes } = await open()
    const noise = setInterval(() => writeFileSync(join(dir, 'log'), 'a line'), 5)
    try {
      writeFileSync(path, text('two'))
      assert.deepEqual(await changes.next(), [['two'], ['one']])
    } finally {
      clearInterval(noise)
    }
  })
  test('keeps the old policy when the file goes away', async () => {
    writeFileSync(path, text('one'))
    const { file, refusals } = await open()
    rmSync(path)
    assert.equal((await refusals.next()).kind, 'unreadable')
    assert.deepEqual(roles(file.current()), ['one'])
  })
  test('takes the new one over once it can be recorded, unasked, and says only once that it could not', async () => {
    writeFileSync(path, text('one'))
    let attempts = 0
    const { file, refusals, changes } = await open(() => {
      if (++attempts < 3) throw new Error('recording')
    })
    writeFileSync(path, text('two'))
    assert.deepEqual(await changes.next(), [['two'], ['one']])
    assert.deepEqual([attempts, refusals.items.length], [3, 1])
    await file.reload()
    assert.deepEqual(roles(file.current()), ['two'])
  })
  test('keeps the old policy when the new one cannot be recorded, and tries again when asked', async () => {
    writeFileSync(path, text('one'))
    let recording = false
    const { file, refusals } = await open(() => {
      if (!recording) throw new Error('recording')
    })
    writeFileSync(path, text('two'))
    assert.equal((await refusals.next()).kind, 'unreadable')
    assert.deepEqual(roles(file.current()), ['one'])
    recording = true
    assert.equal((await file.reload()).outcome, 'loaded')
    assert.deepEqual(roles(file.current()), ['two'])
  })
  test('is not current before its record is durable', async () => {
    writeFileSync(path, text('one'))
    let during: string[] = []
    const held: { file: PolicyFile | null } = { file: null }
    const { file } = await open(async () => {
      await Promise.resolve()
      during = held.file === null ? [] : roles(held.file.current())
    })
    held.file = file
    writeFileSync(path, text('two'))
    await file.reload()
    assert.deepEqual(during, ['one'])
    assert.deepEqual(roles(file.current()), ['two'])
  })
  test('reload says so when nothing changed', async () => {
    writeFileSync(path, text('one'))
    const { file, changes } = await open()
    assert.deepEqual(await file.reload(), { outcome: 'unchanged' })
    assert.equal(changes.items.length, 0)
  })
  test('reloads run one after the other', async () => {
    writeFileSync(path, text('one'))
    const { file, changes } = await open()
    writeFileSync(path, text('two'))
    const outcomes = await Promise.all([file.reload(), file.reload(), file.reload()])
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ['loaded', 'unchanged', 'unchanged'],
    )
    assert.equal(changes.items.length, 1)
  })
  test('is refused whole when it grew too large', async () => {
    writeFileSync(path, text('one'))
    const { file } = await open()
    writeFileSync(path, `${text('two')}#${'x'.repeat(300_000)}`)
    assert.equal((await file.reload()).outcome, 'refused')
    assert.deepEqual(roles(file.current()), ['one'])
  })
})
