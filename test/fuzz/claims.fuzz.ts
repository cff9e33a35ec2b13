import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { readClaims } from '../../src/core/people/claim-mapping.ts'
import { atPointer, parsePointer } from '../../src/core/people/json-pointer.ts'
import { handleCandidates } from '../../src/core/people/person-handle.ts'
import { mappingFor, statementOf } from '../support/people-world.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const folder = new URL('../vectors/claims/', import.meta.url)
const MAPPINGS = [
  mappingFor(''),
  mappingFor('p-'),
  { ...mappingFor(''), roles: { ...mappingFor('').roles, pointer: '/realm_access/roles', listMax: 3 } },
]
const ROLES = new Set(['reader', 'writer', 'admin', 'vault'])

/** Claims of a provider, whatever they are: known roles, a handle, printable text; or a refusal. Pointers reach own members alone. */
export const claims: FuzzTarget = {
  name: 'claims',
  seeds: () => [
    ...readdirSync(folder).map((name) => new Uint8Array(readFileSync(new URL(name, folder)))),
    bytesOf(JSON.stringify(statementOf('corp').claims)),
    bytesOf('{"groups":"readers","preferred_username":"\u00c4nne@example.com","name":"\\u202e","team":"a b"}'),
  ],
  dictionary: [
    '"groups":',
    '"_claim_names":{"groups":"src1"}',
    '"hasgroups":true',
    '"preferred_username":',
    '"readers"',
    '"team":',
    '/',
    '~1',
    '~0',
    '__proto__',
  ],
  shape: 'json',
  run(input) {
    const text = textOf(input)
    pointsAtOwn(text)
    const document = jsonOf(text)
    if (typeof document !== 'object' || document === null) return
    for (const mapping of MAPPINGS) {
      const read = readClaims({ ...statementOf('corp'), claims: document as Record<string, unknown> }, mapping)
      if (!read.ok) continue
      const { roles, handleHint, displayName, claims: values } = read.value
      assert.ok(roles.every((role) => ROLES.has(role)) && new Set(roles).size === roles.length)
      assert.match(handleHint, /^[a-z0-9_-]{1,56}$/)
      assert.ok(handleHint.startsWith(mapping.handle.prefix))
      for (const shown of [displayName, ...Object.values(values)]) assert.match(shown, /^[^\p{Cc}\p{Cf}\p{Cs}]{1,128}$/u)
      const candidates = [...handleCandidates(handleHint, { issuer: 'https://corp.example', subject: 's' })]
      assert.equal(new Set(candidates).size, candidates.length)
    }
  },
}

function pointsAtOwn(text: string): void {
  const tokens = parsePointer(text)
  if (tokens === null) return
  assert.equal(tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''), text)
  const leaf = {}
  const document = tokens.reduceRight<unknown>((inner, token) => Object.fromEntries([[token, inner]]), leaf)
  assert.equal(atPointer(document, text), leaf)
  if (tokens.length > 0) assert.equal(atPointer({}, text), undefined)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
