import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Command, CommandInput } from '../../src/cli/command.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { helpOf, overview, suggestion } from '../../src/cli/help.ts'
import { run } from '../../src/cli/run.ts'
import { ConfigInvalid } from '../../src/config.ts'
import { memoryIo } from '../support/memory-io.ts'

let seen: CommandInput | null = null
const base = { summary: 'Does it.', usage: '', examples: ['nats-webauthn x'], options: {}, positionals: { min: 0, max: 0 } }
const failing = (name: string, error: unknown): Command => ({ ...base, name, run: () => Promise.reject(error) })
const TABLE: Command[] = [
  {
    ...base,
    name: 'greet',
    usage: 'NAME [--role ROLE]… [--loud]',
    positionals: { min: 1, max: 1 },
    options: {
      role: { type: 'string', multiple: true, value: 'ROLE', help: 'A role.' },
      config: { type: 'string', short: 'c', value: 'FILE', help: 'A file.' },
      loud: { type: 'boolean', help: 'Shout.' },
    },
    run: (input) => {
      seen = input
      return Promise.resolve(EXIT.ok)
    },
  },
  { ...base, name: 'door list', run: () => Promise.resolve(EXIT.ok) },
  { ...base, name: 'door open', run: () => Promise.resolve(EXIT.refused) },
  {
    ...base,
    name: 'help',
    run: (_input, io) => {
      io.out('the help')
      return Promise.resolve(EXIT.ok)
    },
  },
  {
    ...base,
    name: 'version',
    run: (_input, io) => {
      io.out('1.2.3')
      return Promise.resolve(EXIT.ok)
    },
  },
  failing('break', new Error('opening the door', { cause: new Error('no key') })),
  failing('misconfigured', new ConfigInvalid(['a.yaml:3: unknown key x', 'a.yaml:4: unknown key y'])),
]

async function outcome(...args: string[]) {
  const io = memoryIo()
  const code = await run(args, TABLE, io)
  return { code, out: io.stdout.join('\n'), err: io.stderr.join('\n') }
}

describe('a command line', () => {
  test('gives the command its options and arguments', async () => {
    assert.equal((await outcome('greet', 'alice', '--role', 'a', '--role=b', '-c', 'f', '--loud')).code, EXIT.ok)
    assert.deepEqual(seen?.positionals, ['alice'])
    assert.deepEqual(seen?.texts('role'), ['a', 'b'])
    assert.equal(seen?.text('config'), 'f')
    assert.equal(seen?.flag('loud'), true)
    assert.equal(seen?.text('absent'), undefined)
  })

  test('takes an id that begins with a dash for an argument, wherever it stands', async () => {
    const id = '-qBzmEXsLy1reSwFj-NfN8-L0mVmwkCCIrrxKpKQM4Q'
    for (const args of [
      ['greet', id, '--loud'],
      ['greet', '--loud', id],
      ['greet', '--loud', '--', id],
      ['greet', `-${id}`, '--loud'],
    ]) {
      assert.equal((await outcome(...args)).code, EXIT.ok, args.join(' '))
      assert.deepEqual([seen?.positionals[0]?.endsWith(id), seen?.flag('loud')], [true, true])
    }
  })

  test('with nothing, --help or --version does what people expect', async () => {
    for (const args of [[], ['--help'], ['-h']]) assert.deepEqual(await outcome(...args), { code: EXIT.ok, out: 'the help', err: '' })
    for (const args of [['--version'], ['-V']]) assert.equal((await outcome(...args)).out, '1.2.3')
    assert.match((await outcome('greet', '--help')).out, /Usage: nats-webauthn greet NAME/)
  })

  for (const [name, args, hint] of [
    ['a mistyped command', ['gret', 'alice'], /no command `gret`; did you mean `greet`\?/],
    ['a mistyped second word', ['door', 'lsit'], /did you mean `door list`\?/],
    ['half a command', ['door'], /there is: door list, door open/],
    ['a command like nothing', ['zzzzzzzz'], /see `nats-webauthn help`/],
    ['a name of Object.prototype', ['constructor'], /no command/],
    ['a mistyped option', ['greet', 'alice', '--rle', 'x'], /no option --rle; did you mean --role\?/],
    ['an option that would pollute', ['greet', 'alice', '--__proto__', 'x'], /an option|no option/],
    ['an option without its value', ['greet', 'alice', '--role'], /an option has no value/],
    ['a value for a flag', ['greet', 'alice', '--loud=yes'], /an option has no value, or one it does not take/],
    ['a missing argument', ['greet'], /an argument is missing/],
    ['one argument too many', ['greet', 'alice', 'bob'], /unexpected argument "bob"/],
    ['too many words', Array.from({ length: 300 }, () => 'x'), /too many arguments/],
  ] satisfies [string, string[], RegExp][]) {
    test(`exits 2 on ${name}`, async () => {
      const { code, out, err } = await outcome(...args)
      assert.equal(code, EXIT.usage)
      assert.equal(out, '')
      assert.match(err, hint)
    })
  }

  test('does not repeat the value of a wrong option: it may be a secret in the wrong place', async () => {
    assert.doesNotMatch((await outcome('greet', 'alice', '--ticket=hush-hush')).err, /hush/)
    assert.doesNotMatch((await outcome('greet', 'alice', '--loud=hush-hush')).err, /hush/)
  })

  test('exits 78 with a line for each problem of the configuration', async () => {
    assert.deepEqual(await outcome('misconfigured'), {
      code: EXIT.configInvalid,
      out: '',
      err: 'a.yaml:3: unknown key x\na.yaml:4: unknown key y',
    })
  })

  test('exits 1 with one line when something broke, and passes on what commands say', async () => {
    assert.deepEqual(await outcome('break'), { code: EXIT.refused, out: '', err: 'nats-webauthn: opening the door: no key' })
    assert.equal((await outcome('door', 'open')).code, EXIT.refused)
  })
})

describe('help', () => {
  test('shows examples before options', () => {
    const [greet] = TABLE
    assert.ok(greet)
    const text = helpOf(greet)
    assert.ok(text.indexOf('$ nats-webauthn x') < text.indexOf('Usage:'))
    assert.ok(text.indexOf('Usage:') < text.indexOf('-c, --config FILE'))
    for (const { name } of TABLE) assert.ok(overview(TABLE).includes(`  ${name}`))
  })

  test('suggests only what is near', () => {
    assert.equal(suggestion('servr', ['serve', 'check']), 'serve')
    assert.equal(suggestion('x', ['serve', 'check']), null)
    assert.equal(suggestion('', []), null)
  })
})
