/** How much of the product's code runs for inputs of growing size: counted by V8 block by block, so no clock is involved. */
import { type Profiler, Session } from 'node:inspector'
import type { AccountName } from '../../src/core/identifiers.ts'
import { readClaims } from '../../src/core/people/claim-mapping.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { readOffer } from '../../src/core/proof.ts'
import { canonicalServerUrl } from '../../src/core/server-address.ts'
import { parseStrictJson } from '../../src/core/strict-json.ts'
import { endOfCborMap } from '../../src/core/webauthn/cbor-map.ts'
import { readCertificate } from '../../src/core/webauthn/certificate.ts'
import { parseClientData } from '../../src/core/webauthn/client-data.ts'
import { mappingFor, statementOf } from '../support/people-world.ts'
import { b64u } from '../support/test-authenticator.ts'
import { bytesOf } from './fuzz-target.ts'

type Family = (size: number) => () => unknown

const ofText =
  (make: (size: number) => string, read: (text: string) => unknown): Family =>
  (size) => {
    const text = make(size)
    return () => read(text)
  }
const many = (size: number, piece: (i: number) => string, joint = ',') => Array.from({ length: size }, (_, i) => piece(i)).join(joint)
const json = (text: string) => parseStrictJson(text, 8)
const policy = (text: string) => parsePolicy(text, { targetAccounts: ['APP'] as AccountName[], reservedAccounts: [] })
const groups = (size: number) => Array.from({ length: Math.min(size, 2_000) }, (_, i) => `g${i}`)

const FAMILIES: Record<string, Family> = {
  'json members': ofText((n) => `{${many(n, (i) => `"m${i}":0`)}}`, json),
  'json spaces after strings': ofText((n) => `[${many(n / 8, () => '"a"        ')}]`, json),
  'json escapes': ofText((n) => `{"${'\\u0061'.repeat(n)}":1}`, json),
  'json brackets': ofText((n) => `[${many(n, () => '[]')}]`, json),
  'client data': ofText(
    (n) => JSON.stringify({ type: 'a'.repeat(n), challenge: '"'.repeat(n) }),
    (text) => parseClientData(bytesOf(text)),
  ),
  'sig of junk': ofText(
    (n) => b64u(JSON.stringify({ v: 1, url: 'a'.repeat(n) })),
    (sig) => readOffer({ sig, nkey: '' }),
  ),
  'cbor items': (n) => {
    const items = Uint8Array.of(0xa1, 0x01, 0x99, n >> 8, n & 0xff, ...new Uint8Array(n))
    return () => endOfCborMap(items, 0)
  },
  'cbor count of a lie': (n) => () => endOfCborMap(Uint8Array.of(0xbb, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...new Uint8Array(n)), 0),
  'der items': (n) => {
    const items = Uint8Array.from({ length: n }, (_, i) => [0x05, 0x00][i % 2] as number)
    return () =>
      readCertificate(Uint8Array.of(0x30, 0x82, n >> 8, n & 0xff, 0x30, 0x82, (n - 4) >> 8, (n - 4) & 0xff, ...items.subarray(4)))
  },
  addresses: ofText(
    (n) => `tls://${'a.'.repeat(n)}b:4222`,
    (text) => canonicalServerUrl(text),
  ),
  'policy keys': ofText((n) => `version: 1\nroles: {}\n${many(n, (i) => `k${i}: 1\n`, '')}`, policy),
  'policy subjects': ofText(
    (n) => `version: 1\nroles: {r: {account: APP, publish: {allow: [${many(Math.min(n / 4, 500), (i) => `a.${i}`)}]}}}`,
    policy,
  ),
  'policy dots': ofText((n) => `version: 1\nroles: {r: {account: APP, publish: {allow: ["${'.'.repeat(n)}"]}}}`, policy),
  groups: (n) => {
    const statement = statementOf('corp', { groups: groups(n), name: '\u202e'.repeat(n), preferred_username: '-'.repeat(n) })
    return () => readClaims(statement, mappingFor(''))
  },
}

const session = new Session()
session.connect()

/** Blocks that ran, each as often as it did. */
function operationsOf(run: () => unknown): number {
  let scripts: Profiler.ScriptCoverage[] = []
  const take = () =>
    session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error
      scripts = result
    })
  take()
  run()
  take()
  const own = scripts.filter(({ url }) => url.includes('/src/core/'))
  return own.flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges)).reduce((sum, { count }) => sum + count, 0)
}

/** Operations by family, at each of the sizes. */
export function operationsBySize(sizes: readonly number[]): Record<string, number[]> {
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return Object.fromEntries(
    Object.entries(FAMILIES).map(([name, family]) => {
      const runs = sizes.map((size) => family(size))
      // Once before it is counted: what is made once and kept is nobody's input.
      for (const run of runs) run()
      return [name, runs.map(operationsOf)]
    }),
  )
}

if (process.argv[1]?.endsWith('operations.ts')) process.stdout.write(JSON.stringify(operationsBySize([512, 1024, 2048])))
