/** Ways to bend an assertion, each of them signed anew or not: what the differential and the fuzz test draw from. */
import fc from 'fast-check'
import { type AssertionCase, bytesOf, type CaseChange, coseBytes, machineCase, personCase } from './assertion-case.ts'
import { b64u, FLAGS, type TestAlg, type TestKey, testKey } from './test-authenticator.ts'

const { UP, UV, BE, BS, ED } = FLAGS

// Fresh keys, but few. On Node 20 a key pair made and exported as JWK tens of thousands of times hangs sooner or later:
// collecting the finished generator locks the key that the export has locked (~KeyGenJob in ExportJWK).
const KEYS = new Map<TestAlg, readonly TestKey[]>([
  [-7, Array.from({ length: 8 }, () => testKey(-7))],
  [-8, Array.from({ length: 8 }, () => testKey(-8))],
  [-257, Array.from({ length: 2 }, () => testKey(-257))],
])

function pick(alg: TestAlg, n: number): TestKey {
  const keys = KEYS.get(alg)
  const key = keys?.[n % keys.length]
  if (key === undefined) throw new Error(`picking a key for algorithm ${alg}`)
  return key
}

export interface Bent {
  /** What was done, for the message of a failed run. */
  what: string
  given: AssertionCase
}

type Bend = (valid: () => Required<CaseChange>, make: (change: CaseChange) => AssertionCase, draw: Draw) => AssertionCase

interface Draw {
  n: number
  key: TestKey
  otherKey: TestKey
}

const input =
  (change: CaseChange['input'] & object): Bend =>
  (valid, make) =>
    make({ ...valid(), input: { ...valid().input, ...change } })
const clientData = (change: Record<string, unknown>) => input({ clientData: change })
const credential =
  (change: CaseChange['credential'] & object): Bend =>
  (valid, make) =>
    make({ ...valid(), credential: change })
const expected =
  (change: CaseChange['expected'] & object): Bend =>
  (valid, make) =>
    make({ ...valid(), expected: change })
const extensions =
  (hex: string): Bend =>
  (valid, make) => {
    const given = make(valid())
    const flags = (bytesOf(given.response.response.authenticatorData)[32] ?? 0) | ED
    return make({ ...valid(), input: { flags, extra: new Uint8Array(Buffer.from(hex, 'hex')) } })
  }

type Part = 'clientDataJSON' | 'authenticatorData' | 'signature'

/** Changes bytes after they were signed. */
const part =
  (name: Part, change: (bytes: Uint8Array, draw: Draw) => Uint8Array): Bend =>
  (valid, make, draw) => {
    const given = make(valid())
    const { response } = given.response
    const bytes = change(bytesOf(response[name]), draw)
    return { ...given, response: { ...given.response, response: { ...response, [name]: b64u(bytes) } } }
  }
const flip = (bytes: Uint8Array, { n }: Draw) => {
  const out = Uint8Array.from(bytes)
  if (out.length > 0) out[n % out.length] = (out[n % out.length] ?? 0) ^ (1 << (n % 8))
  return out
}
const cut = (bytes: Uint8Array, { n }: Draw) => bytes.subarray(0, n % bytes.length)
const grow = (bytes: Uint8Array, { n }: Draw) => Uint8Array.of(...bytes, n & 0xff)
const member =
  (
    change: (given: AssertionCase) => Record<string, unknown>,
    inner: (given: AssertionCase) => Record<string, unknown> = () => ({}),
  ): Bend =>
  (valid, make) => {
    const given = make(valid())
    const response = { ...given.response, ...change(given), response: { ...given.response.response, ...inner(given) } }
    return { ...given, response: response as AssertionCase['response'] }
  }

/** BER spellings of an ECDSA signature, and the other member of its pair; other algorithms' signatures stay as they are. */
function ber(change: (r: Uint8Array, s: Uint8Array) => number[]): Bend {
  return (valid, make, draw) =>
    draw.key.alg !== -7
      ? make(valid())
      : part('signature', (bytes) => {
          const rLength = bytes[3] ?? 0
          return Uint8Array.from(change(bytes.subarray(4, 4 + rLength), bytes.subarray(6 + rLength)))
        })(valid, make, draw)
}
const int = (value: Uint8Array | number[]) => [0x02, value.length, ...value]
const seq = (body: number[]) => [0x30, body.length, ...body]

const P256_ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
const negated = (s: Uint8Array) => {
  const hex = (P256_ORDER - BigInt(`0x${Buffer.from(s).toString('hex')}`)).toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return (bytes[0] ?? 0) >= 0x80 ? [0, ...bytes] : [...bytes]
}

const text =
  (change: (json: string) => string): Bend =>
  (valid, make) => {
    const given = make(valid())
    const json = Buffer.from(given.response.response.clientDataJSON, 'base64url').toString()
    return make({ ...valid(), input: { ...valid().input, clientDataText: change(json) } })
  }

const BENDS: Record<string, Bend> = {
  nothing: (valid, make) => make(valid()),
  'any flags': (valid, make, { n }) => make({ ...valid(), input: { flags: n & 0xff } }),
  'no UP': (valid, make) => make({ ...valid(), input: { flags: UV | BE } }),
  'no UV': (valid, make) => make({ ...valid(), input: { flags: UP | BE } }),
  'BS without BE': (valid, make) => make({ ...valid(), input: { flags: UP | UV | BS }, credential: { backupEligible: false } }),
  'BE changed': credential({ backupEligible: false }),
  'counter moved by one': credential({ signCount: 5 }),
  'counter stands still': credential({ signCount: 6 }),
  'counter went back': credential({ signCount: 7 }),
  'counter is gone': input({ signCount: 0 }),
  'no counter': (valid, make) => make({ ...valid(), input: { signCount: 0 }, credential: { signCount: 0 } }),
  'other challenge': expected({ challenge: new Uint8Array(32) }),
  'no challenge': clientData({ challenge: undefined }),
  'other origin': expected({ origins: ['https://example.org'] }),
  'other rpId': input({ rpId: 'example.com' }),
  'rpId changed since enrolment': credential({ rpId: 'example.com' }),
  'other class': (valid, make) => {
    const given = make(valid())
    return { ...given, credential: { ...given.credential, class: given.credential.class === 'person' ? 'machine' : 'person' } }
  },
  'registration type': clientData({ type: 'webauthn.create' }),
  'crossOrigin true': clientData({ crossOrigin: true }),
  'crossOrigin a text': clientData({ crossOrigin: 'no' }),
  'topOrigin alone': clientData({ topOrigin: 'https://example.com' }),
  'topOrigin empty': clientData({ topOrigin: '' }),
  'topOrigin and crossOrigin': clientData({ crossOrigin: true, topOrigin: 'https://example.com' }),
  'tokenBinding null': clientData({ tokenBinding: null }),
  'tokenBinding of unknown status': clientData({ tokenBinding: { status: 'maybe' } }),
  'tokenBinding supported': clientData({ tokenBinding: { status: 'supported' } }),
  'member twice': text((json) => json.replace('{', '{"origin":"https://evil.example",')),
  'deep member': text((json) => json.replace('{', `{"a":${'['.repeat(20)}${']'.repeat(20)},`)),
  'byte order mark': text((json) => `\ufeff${json}`),
  'no JSON': text((json) => json.slice(1)),
  'other user': input({ userHandle: b64u('user-2') }),
  'no user': input({}),
  'other credential': (valid, make) => {
    const given = make(valid())
    return { ...given, response: { ...given.response, id: b64u('other'), rawId: b64u('other') } }
  },
  'other key': (valid, make, { otherKey }) => make({ ...valid(), credential: { publicKey: b64u(otherKey.cose) } }),
  'key with one more member': (valid, make, { key }) => {
    const bytes = Uint8Array.from([(key.cose[0] ?? 0) + 1, ...key.cose.subarray(1), 0x18, 0x63, 0x01])
    return make({ ...valid(), credential: { publicKey: b64u(bytes) } })
  },
  'key that says another algorithm': (valid, make, { key }) => make({ ...valid(), credential: { publicKey: b64u(saying(key, -257)) } }),
  'algorithm no longer allowed': (valid, make, { key }) =>
    make({ ...valid(), expected: { algorithms: [-7, -8, -257].filter((alg) => alg !== key.alg) } }),
  'one extension': extensions('a16161f5'),
  'no extensions though promised': extensions(''),
  'extensions cut short': extensions('a1616145'),
  'extensions with a string cut short': extensions('a161614501'),
  'extensions twice': extensions('a26161f56161f4'),
  'extensions with something after': extensions('a16161f500'),
  'extensions too deep': extensions('a161618181818101'),
  'a byte more authenticator data': input({ extra: new Uint8Array(1) }),
  'client data flipped': part('clientDataJSON', flip),
  'client data cut': part('clientDataJSON', cut),
  'authenticator data flipped': part('authenticatorData', flip),
  'authenticator data cut': part('authenticatorData', cut),
  'authenticator data grown': part('authenticatorData', grow),
  'signature flipped': part('signature', flip),
  'signature cut': part('signature', cut),
  'signature grown': part('signature', grow),
  'BER long length': ber((r, s) => [0x30, 0x81, ...seq([...int(r), ...int(s)]).slice(1)]),
  'BER two-byte length': ber((r, s) => [0x30, 0x82, 0, ...seq([...int(r), ...int(s)]).slice(1)]),
  'BER indefinite length': ber((r, s) => [0x30, 0x80, ...int(r), ...int(s), 0, 0]),
  'BER padded r': ber((r, s) => seq([...int([0, ...r]), ...int(s)])),
  'BER third element': ber((r, s) => seq([...int(r), ...int(s), 0x05, 0x00])),
  'raw r and s': ber((r, s) => [...r, ...s]),
  's negated': ber((r, s) => seq([...int(r), ...int(negated(s))])),
  'padded signature text': member(
    () => ({}),
    ({ response }) => ({ signature: `${response.response.signature}=` }),
  ),
  'unknown member': member(() => ({ more: 1 })),
  'other rawId': member(() => ({ rawId: b64u('other') })),
}

function saying(key: TestKey, alg: number): Uint8Array {
  const members = key.alg === -7 ? p256Members(key) : key.alg === -8 ? okpMembers(key) : null
  return members === null ? key.cose : coseBytes(members.map(([label, value]) => [label, label === 3 ? alg : value]))
}
// The encoder writes members in a fixed order, so the coordinates are where they always are.
const p256Members = ({ cose }: TestKey): [number, unknown][] => [
  [1, 2],
  [3, -7],
  [-1, 1],
  [-2, cose.slice(-67, -35)],
  [-3, cose.slice(-32)],
]
const okpMembers = ({ cose }: TestKey): [number, unknown][] => [
  [1, 1],
  [3, -8],
  [-1, 6],
  [-2, cose.slice(-32)],
]

/** One bent assertion; `bends` of the table above. */
export function bentAssertion(bends: readonly string[] = Object.keys(BENDS)): fc.Arbitrary<Bent> {
  return fc
    .record({
      bend: fc.constantFrom(...bends),
      alg: fc.constantFrom<TestAlg>(-7, -7, -8, -8, -257),
      machine: fc.boolean(),
      requireUserVerification: fc.boolean(),
      n: fc.nat(),
    })
    .map(({ bend, alg, machine, requireUserVerification, n }) => {
      const key = pick(alg, n)
      const otherKey = pick(alg, n + 1)
      const make = (change: CaseChange) => {
        const whole = { ...change, key }
        return machine ? machineCase(whole) : personCase({ ...whole, expected: { requireUserVerification, ...change.expected } })
      }
      const run = BENDS[bend]
      if (run === undefined) throw new Error(`bending an assertion: ${bend}`)
      const given = run(() => ({ key, input: {}, credential: {}, expected: {} }), make, { n, key, otherKey })
      return { what: `${bend}, alg ${alg}, ${machine ? 'machine' : `person, UV required ${requireUserVerification}`}, n ${n}`, given }
    })
}
