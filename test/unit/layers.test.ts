import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join, posix, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { filesUnder } from '../support/source-files.ts'

const EDGES = ['nats', 'http', 'audit', 'observability', 'policy', 'idp']
const CORE_PACKAGES = ['node:crypto', 'node:net', 'zod', 'yaml', '@simplewebauthn/server', '@simplewebauthn/server/helpers']
const PROTOCOL_FILES = ['encoding', 'protocol', 'nkey', 'reconnect-pace', 'server-address', 'session-evidence'].map(
  (name) => `src/core/${name}.ts`,
)
// Only these may write to the terminal or end the process, so only they are at the top.
const TOP = ['src/cli/', 'src/main.ts']

/** Everything that a file imports: static, re-exported, dynamic and type-only. */
function importsOf(source: string): string[] {
  const text = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const forms = [
    /^\s*(?:import|export)\s[^'"`;]*?\sfrom\s+['"]([^'"]+)['"]/gm,
    /^\s*import\s+['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
    /\brequire\(\s*['"]([^'"]+)['"]/g,
  ]
  return forms.flatMap((form) => [...text.matchAll(form)].map((match) => match[1] as string))
}

/** Why `file` may not import `specifier`, or null. Paths are relative to the repository. */
function violation(file: string, specifier: string): string | null {
  const isLocal = specifier.startsWith('.')
  if (isLocal && !specifier.endsWith('.ts') && !specifier.endsWith('.json')) return 'a specifier of our own ends in .ts'
  if (!isLocal && !specifier.startsWith('node:') && builtinModules.includes(specifier)) return "Node's modules are written node:"
  const target = isLocal ? posix.normalize(posix.join(posix.dirname(file), specifier)) : specifier
  const [, layer = ''] = file.split('/')
  const inLayer = (name: string): boolean => target.startsWith(`src/${name}/`)
  if (TOP.some((top) => file.startsWith(top))) return null
  if (TOP.some((top) => target.startsWith(top))) return 'nothing imports main or the CLI'
  if (layer === 'core') {
    if (isLocal) return inLayer('core') ? null : 'core imports core alone'
    return CORE_PACKAGES.includes(specifier) ? null : 'core is pure'
  }
  if (layer === 'client') {
    if (!isLocal) return specifier.startsWith('node:') ? null : 'the SDK has no dependencies'
    return inLayer('client') || PROTOCOL_FILES.includes(target) ? null : 'the SDK shares the protocol files of core only'
  }
  if (layer === 'browser') {
    if (!isLocal) return specifier === '@nats-io/nats-core' || specifier.startsWith('@noble/hashes/') ? null : 'browsers have no Node'
    return inLayer('browser') || PROTOCOL_FILES.includes(target) ? null : 'the browser SDK shares the protocol files of core only'
  }
  if (layer === 'page') {
    if (!isLocal) return specifier === '@simplewebauthn/browser' ? null : 'the page uses SimpleWebAuthn alone'
    return inLayer('page') || ['src/core/people/people.ts', 'src/core/refusal.ts', 'src/core/encoding.ts'].includes(target)
      ? null
      : "the page shares core's types of people"
  }
  if (EDGES.includes(layer)) {
    if (!isLocal) return null
    return inLayer('core') || inLayer(layer) ? null : 'an edge imports core and itself, never another edge'
  }
  return null
}

const files = filesUnder('src', '.ts')

describe('the layers', () => {
  test('are kept by every import there is', () => {
    assert.ok(files.length > 20)
    const broken = files.flatMap((file) =>
      importsOf(readFileSync(file, 'utf8')).flatMap((specifier) => {
        const why = violation(file, specifier)
        return why === null ? [] : [`${file} imports ${specifier}: ${why}`]
      }),
    )
    assert.deepEqual(broken, [])
  })

  test('hold a file of every folder, so that none escapes the rules', () => {
    const folders = new Set(files.filter((file) => file.split('/').length > 2).map((file) => file.split('/')[1]))
    for (const folder of folders)
      assert.ok(['core', 'client', 'browser', 'page', 'cli', ...EDGES].includes(folder as string), `src/${folder}`)
  })

  const violations: [string, string][] = [
    ['src/core/decide.ts', 'node:fs'],
    ['src/core/decide.ts', 'node:timers/promises'],
    ['src/core/decide.ts', 'crypto'],
    ['src/core/decide.ts', 'nats'],
    ['src/core/decide.ts', 'pino'],
    ['src/core/decide.ts', '../nats/connection.ts'],
    ['src/core/decide.ts', '../config.ts'],
    ['src/core/decide.ts', '../client/index.ts'],
    ['src/core/decide.ts', './denial'],
    ['src/core/deeper/x.ts', '../../nats/connection.ts'],
    ['src/nats/auth-callout.ts', '../audit/publisher.ts'],
    ['src/nats/auth-callout.ts', '../observability/metrics.ts'],
    ['src/nats/auth-callout.ts', '../client/index.ts'],
    ['src/nats/auth-callout.ts', '../main.ts'],
    ['src/nats/auth-callout.ts', '../config.ts'],
    ['src/nats/auth-callout.ts', '../core/../http/server.ts'],
    ['src/http/server.ts', '../nats/connection.ts'],
    ['src/http/server.ts', '../cli/command.ts'],
    ['src/audit/publisher.ts', '../nats/connection.ts'],
    ['src/observability/metrics.ts', '../http/server.ts'],
    ['src/policy/watch.ts', '../audit/publisher.ts'],
    ['src/client/index.ts', 'nats'],
    ['src/client/index.ts', '@nats-io/nats-core'],
    ['src/client/index.ts', '../core/decide.ts'],
    ['src/client/index.ts', '../core/identifiers.ts'],
    ['src/client/index.ts', '../nats/connection.ts'],
    ['src/browser/index.ts', 'node:crypto'],
    ['src/browser/index.ts', '../client/index.ts'],
    ['src/browser/index.ts', '../core/people/people.ts'],
    ['src/page/main.ts', '../core/decide.ts'],
    ['src/page/main.ts', '../browser/index.ts'],
    ['src/page/main.ts', 'openid-client'],
    ['src/config.ts', './main.ts'],
    ['src/config.ts', './cli/command.ts'],
  ]
  for (const [file, specifier] of violations) {
    test(`refuse ${specifier} in ${file}`, () => assert.notEqual(violation(file, specifier), null))
  }

  test('allow what they are for', () => {
    const allowed: [string, string][] = [
      ['src/core/decide.ts', './denial.ts'],
      ['src/core/x.ts', 'node:crypto'],
      ['src/core/x.ts', 'zod'],
      ['src/nats/x.ts', '../core/ports.ts'],
      ['src/nats/x.ts', 'nats'],
      ['src/client/x.ts', '../core/nkey.ts'],
      ['src/client/x.ts', 'node:fs'],
      ['src/browser/x.ts', '@noble/hashes/sha2.js'],
      ['src/browser/x.ts', '../core/protocol.ts'],
      ['src/page/x.ts', '@simplewebauthn/browser'],
      ['src/page/x.ts', '../core/people/people.ts'],
      ['src/cli/x.ts', '../nats/connection.ts'],
      ['src/main.ts', './http/server.ts'],
    ]
    for (const [file, specifier] of allowed) assert.equal(violation(file, specifier), null, `${file} ${specifier}`)
  })

  test('are read from every form of import', () => {
    const source = [
      "import { a } from './a.ts'",
      "import type { b } from './b.ts'",
      "import {\n  c,\n  d,\n} from './c.ts'",
      "import './d.ts'",
      "export { e } from './e.ts'",
      "export * from './f.ts'",
      "const g = await import('./g.ts')",
      "type H = import('./h.ts').H",
      "// import './no.ts'",
      "/* import './no.ts' */",
    ].join('\n')
    assert.deepEqual(
      importsOf(source).sort(),
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `./${name}.ts`),
    )
  })

  test('are enforced by the linter as well: it finds one violation of each rule, and nothing else', () => {
    const config = JSON.parse(readFileSync('biome.json', 'utf8')) as Record<string, unknown>
    const text = JSON.stringify(config)
    for (const name of ['core/*', 'client', 'browser', 'page', ...EDGES]) assert.ok(text.includes(`"src/${name}/**"`), name)
    const refused: [string, string][] = [
      ['src/core/refused.ts', '../nats/connection.ts'],
      ['src/core/refused-package.ts', 'nats'],
      ['src/core/deeper/refused.ts', '../../nats/connection.ts'],
      ['src/core/deeper/refused-package.ts', 'nats'],
      ['src/nats/refused.ts', '../http/server.ts'],
      ['src/client/refused.ts', '../core/decide.ts'],
      ['src/browser/refused.ts', '../core/people/people.ts'],
      ['src/page/refused.ts', '../core/decide.ts'],
      ['src/refused.ts', './main.ts'],
    ]
    const allowed: [string, string][] = [
      ['src/core/allowed.ts', './denial.ts'],
      ['src/core/allowed-folder.ts', './webauthn/assertion.ts'],
      ['src/core/deeper/allowed.ts', '../denial.ts'],
      ['src/core/deeper/allowed-beside.ts', '../webauthn/assertion.ts'],
      ['src/nats/allowed.ts', '../core/ports.ts'],
      ['src/client/allowed.ts', '../core/nkey.ts'],
      ['src/browser/allowed.ts', '../core/nkey.ts'],
      ['src/page/allowed.ts', '../core/people/people.ts'],
      ['src/allowed.ts', './nats/connection.ts'],
    ]
    const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-layers-'))
    try {
      const { $schema: _, vcs: __, ...rest } = config
      writeFileSync(join(dir, 'biome.json'), JSON.stringify(rest))
      for (const [file, specifier] of [...refused, ...allowed]) {
        mkdirSync(join(dir, posix.dirname(file)), { recursive: true })
        writeFileSync(join(dir, file), `import { a } from '${specifier}'\n\nexport const b = a\n`)
      }
      const { stdout } = spawnSync(
        process.execPath,
        [resolve('node_modules/@biomejs/biome/bin/biome'), 'lint', '--reporter=github', 'src'],
        { cwd: dir, encoding: 'utf8' },
      )
      const found = [...stdout.matchAll(/^::error title=lint\/style\/noRestrictedImports,file=[^,]*?(src\/[^,]+),/gm)].map(
        (match) => match[1] as string,
      )
      assert.deepEqual(found.sort(), refused.map(([file]) => file).sort())
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
