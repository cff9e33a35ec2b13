import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { GENERATED, withGenerated } from '../../scripts/reference.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { run } from '../../src/cli/run.ts'
import { VERSION } from '../../src/version.ts'
import { memoryIo } from '../support/memory-io.ts'

const at = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe('the reference', () => {
  for (const [path, generate] of Object.entries(GENERATED)) {
    test(`${path} is what the program says (node --import tsx scripts/reference.ts)`, () => {
      assert.equal(withGenerated(at(path), generate()), at(path))
    })
  }
})

describe('the table of commands', () => {
  test('names each command once, with examples that are itself and options that help explains', async () => {
    assert.equal(new Set(COMMANDS.map(({ name }) => name)).size, COMMANDS.length)
    for (const { name, examples, options, summary, usage } of COMMANDS) {
      assert.ok(examples.length > 0, name)
      for (const example of examples) assert.ok(example.includes(`nats-webauthn ${name}`), example)
      assert.match(summary, /\.$/, name)
      for (const [option, spec] of Object.entries(options)) {
        assert.match(spec.help, /\.$/, `${name} --${option}`)
        assert.equal(spec.type === 'string', spec.value !== undefined, `${name} --${option}`)
      }
      for (const [, option] of usage.matchAll(/--([a-z-]+)/g)) assert.ok(options[option ?? ''], `${name}: ${option} in usage`)
    }
  })

  test('takes no secret as the value of an option', () => {
    for (const { name, options } of COMMANDS) {
      for (const [option, { type, value }] of Object.entries(options)) {
        if (type === 'string' && /seed|ticket|token|password|secret|key/.test(option)) assert.equal(value, 'FILE', `${name} --${option}`)
      }
    }
  })

  test('has --json on every command that prints data', () => {
    const silent = ['serve', 'healthcheck', 'help']
    for (const { name, options } of COMMANDS) assert.equal(options['json'] !== undefined, !silent.includes(name), name)
  })

  test('explains each command with help COMMAND and with --help', async () => {
    for (const { name } of COMMANDS) {
      const asked = memoryIo()
      assert.equal(await run(['help', ...name.split(' ')], COMMANDS, asked), EXIT.ok)
      const flagged = memoryIo()
      assert.equal(await run([...name.split(' '), '--help'], COMMANDS, flagged), EXIT.ok)
      assert.deepEqual(flagged.stdout, asked.stdout)
    }
    const group = memoryIo()
    assert.equal(await run(['help', 'credential'], COMMANDS, group), EXIT.ok)
    assert.match(group.stdout.join('\n'), /credential release/)
  })

  test('prints the version of package.json', async () => {
    const io = memoryIo()
    assert.equal(await run(['version', '--json'], COMMANDS, io), EXIT.ok)
    assert.equal(JSON.parse(io.stdout[0] ?? '').version, (JSON.parse(at('package.json')) as { version: string }).version)
    assert.equal(VERSION, JSON.parse(io.stdout[0] ?? '').version)
  })

  test('is the binary that package.json names', () => {
    const { bin } = JSON.parse(at('package.json')) as { bin: Record<string, string> }
    const source = (bin['nats-webauthn'] ?? '').replace(/^dist/, 'src').replace(/\.js$/, '.ts')
    assert.equal(existsSync(new URL(`../../${source}`, import.meta.url)), true)
    assert.match(at(source), /^#!\/usr\/bin\/env node\n/)
  })
})
