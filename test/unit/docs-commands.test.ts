/** What the pages tell people to type is a command line that the program takes, and needs no tool that nobody mentioned. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { COMMANDS } from '../../src/cli/commands.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { run } from '../../src/cli/run.ts'
import { memoryIo } from '../support/memory-io.ts'

const at = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const PAGES = ['README.md', ...readdirSync(new URL('../../docs', import.meta.url)).filter((name) => name.endsWith('.md'))].map((name) =>
  name === 'README.md' ? name : `docs/${name}`,
)
const FILTERS = ['jq', 'sort', 'uniq', 'nats-webauthn']
/** The table, but nothing is done. */
const PARSED = COMMANDS.map((command) => ({ ...command, run: async () => EXIT.ok }))

/** The lines in code blocks that begin with our program, perhaps after a prompt. */
function typed(page: string): string[] {
  const blocks = [...page.matchAll(/^ *```\w*\n([\s\S]*?)^ *```/gm)].map(([, block = '']) => block)
  return blocks.flatMap((block) => block.split('\n')).flatMap((line) => /^\s*(?:\$ )?(?:npx )?(nats-webauthn .*)/.exec(line)?.[1] ?? [])
}

/** The commands of a pipeline, each as the words that a shell makes of it, without redirections and comments. */
function words(line: string): string[][] {
  const commands: string[][] = [[]]
  for (const [token] of line.matchAll(/'[^']*'|"[^"]*"|\||&&|\s#.*|[^\s|'"]+/g)) {
    if (/^\s#/.test(token)) break
    if (token === '|' || token === '&&') commands.push([])
    else commands.at(-1)?.push(token.replace(/^(['"])(.*)\1$/, '$2'))
  }
  return commands.map((command) => {
    const redirected = command.findIndex((word) => /^\d?[<>]/.test(word))
    return redirected < 0 ? command : command.slice(0, redirected)
  })
}

describe('commands on the pages', () => {
  for (const page of PAGES) {
    const lines = typed(at(page)).filter((line) => !/…|\[/.test(line.replace(/'[^']*'/g, '')))
    if (lines.length === 0) continue
    test(`${page}: ${lines.length} that the program takes`, async () => {
      for (const line of lines) {
        for (const [program = '', ...args] of words(line)) {
          assert.ok(FILTERS.includes(program), `${program} in ${line}`)
          if (program !== 'nats-webauthn') continue
          const io = memoryIo()
          assert.equal(await run(args, PARSED, io), EXIT.ok, `${line}\n${io.stderr.join('\n')}`)
        }
      }
    })
  }

  test('are told apart from those that it does not take', async () => {
    for (const line of [
      'nats-webauthn identity disable',
      'nats-webauthn audit tail everything, one line',
      'nats-webauthn check --colour',
    ]) {
      const [[, ...args] = []] = words(line)
      assert.equal(await run(args, PARSED, memoryIo()), EXIT.usage, line)
    }
    assert.deepEqual(words("nats-webauthn a --b 'c | d' < e | jq '.f' # g"), [
      ['nats-webauthn', 'a', '--b', 'c | d'],
      ['jq', '.f'],
    ])
  })
})
