/** Assertions against @simplewebauthn/server: wherever it refuses, ours refuses. Bent by their structure, their bytes, or with their own key. */
import { DENIALS } from '../../src/core/denial.ts'
import { type AssertionCase, bytesOf, machineCase, personCase, verdictOf } from './assertion-case.ts'
import { mutateBytes } from './byte-mutations.ts'
import { type FuzzArea, FuzzFailure, shown } from './fuzz-area.ts'
import { mutateJson } from './json-mutations.ts'
import { isAcceptedByLibrary } from './library-verdict.ts'
import type { Random } from './random.ts'
import { b64u, type TestAlg, testKey } from './test-authenticator.ts'

const KEYS = ([-7, -7, -8, -8, -257] satisfies TestAlg[]).map((alg) => testKey(alg))
const GENUINE = KEYS.flatMap((key) => [personCase({ key }), machineCase({ key })])

export function differentialArea(): FuzzArea {
  return {
    name: 'differential',
    share: 0.1,
    async one(random) {
      const base = random.pick(GENUINE)
      const given = bent(base, random.pick(GENUINE), random)
      const ours = verdictOf(given)
      if (ours !== 'accepted' && !Object.hasOwn(DENIALS, ours)) throw new FuzzFailure(`verdict ${ours}: ${shown(JSON.stringify(given))}`)
      if (ours === 'accepted' && !(await isAcceptedByLibrary(withRawId(given))))
        throw new FuzzFailure(`weaker than the library: ${shown(JSON.stringify(given))}`)
      return ours
    },
    close: async () => {},
  }
}

function bent(base: AssertionCase, other: AssertionCase, random: Random): AssertionCase {
  const { response } = base
  switch (random.below(5)) {
    case 0:
      return { ...base, response: json(mutateJson(response, random, other.response)) }
    case 1: {
      const name = random.pick(['clientDataJSON', 'authenticatorData', 'signature', 'userHandle'] as const)
      const bytes = mutateBytes(bytesOf(response.response[name] ?? ''), random, { donor: bytesOf(other.response.response[name] ?? 'AA') })
      return { ...base, response: { ...response, response: { ...response.response, [name]: b64u(bytes) } } }
    }
    case 2: {
      const publicKey = mutateBytes(bytesOf(base.credential.publicKey), random, { donor: bytesOf(other.credential.publicKey) })
      return { ...base, credential: { ...base.credential, publicKey: b64u(publicKey) } }
    }
    default:
      return signedAnew(base, random)
  }
}

/** The credential's own key, over other client data or other authenticator data. */
function signedAnew(base: AssertionCase, random: Random): AssertionCase {
  const key = KEYS.find(({ cose }) => b64u(cose) === base.credential.publicKey)
  if (key === undefined) throw new Error('finding the key of a test case')
  const text = Buffer.from(base.response.response.clientDataJSON, 'base64url').toString()
  const input = random.once(2)
    ? { clientDataText: mutateJson(JSON.parse(text), random) }
    : { flags: random.below(256), extra: random.bytes(random.pick([0, 0, 1, 4, 20])), signCount: random.pick([0, 5, 6, 7, 2 ** 32 - 1]) }
  return base.expected.class === 'machine' ? machineCase({ key, input }) : personCase({ key, input })
}

/** What JSON.parse makes of it, as a caller of the library would have it. */
function json(text: string): AssertionCase['response'] {
  try {
    return JSON.parse(text)
  } catch {
    return text as unknown as AssertionCase['response']
  }
}

/** The same as `id` in base64url, so our protocol lets it be left out; the library wants to see it. */
function withRawId(given: AssertionCase): AssertionCase {
  return { ...given, response: { ...given.response, rawId: given.response.rawId ?? given.response.id } }
}
