/** How requests and proofs are bent: bytes of the token, claims that the server then signs, `sig` and everything inside it. */
import { encodeSeed } from '../../src/core/nkey.ts'
import { tweetnaclBox, xkeyFromSeed } from '../../src/nats/xkey.ts'
import { mutateBytes } from './byte-mutations.ts'
import { type FuzzPool, type Genuine, OTHER_SERVER, SERVER, tokenOf } from './fuzz-pool.ts'
import { mutateJson } from './json-mutations.ts'
import type { Random } from './random.ts'
import { assertionOf, fixed, type Scenario } from './scenario.ts'
import { b64u } from './test-authenticator.ts'

export interface FuzzedRequest {
  /** What was done, for the message of a failure. */
  what: string
  payload: Uint8Array
  serverXkey: string
  sealed: boolean
  /** The JSON of the claims that the server signed, or null where the token itself was bent. */
  claims: string | null
  /** Whose key signed what was bent, or null where nothing was signed anew. */
  owner: Genuine | null
}

export const verifierXkey = xkeyFromSeed(encodeSeed('X', fixed('verifier xkey')), tweetnaclBox)
export const serverXkey = xkeyFromSeed(encodeSeed('X', fixed('server xkey')), tweetnaclBox)

export function seal(payload: Uint8Array): Uint8Array {
  return serverXkey.seal(payload, verifierXkey.publicKey)
}

type Bent = { claims: string; owner?: Genuine } | { token: Uint8Array }
type Layer = (base: Genuine, other: Genuine, random: Random) => Bent

/** Makes one bent request after the other of what is in the pool. */
export function requestMaker(pool: FuzzPool): (random: Random) => FuzzedRequest {
  const tokens = new Map<Genuine, Uint8Array>()
  const tokenOfGenuine = (genuine: Genuine) => {
    const token = tokens.get(genuine) ?? new Uint8Array(Buffer.from(tokenOf(JSON.stringify(genuine.claims), SERVER)))
    tokens.set(genuine, token)
    return token
  }
  const layers: [number, string, Layer][] = [
    [12, 'token bytes', (base, other, random) => ({ token: mutateBytes(tokenOfGenuine(base), random, { donor: tokenOfGenuine(other) }) })],
    [6, 'token parts', (base, other, random) => ({ token: mixedToken(tokenOfGenuine(base), tokenOfGenuine(other), random) })],
    [14, 'claims', (base, other, random) => ({ claims: mutateJson(base.claims, random, other.claims) })],
    [30, 'sig', (base, other, random) => withSig(base, bentSig(base, other, random))],
    [24, 'signed bytes', (base, other, random) => withSig(base, JSON.stringify(bentBytes(base, other, random)))],
    [8, 'own signature', (base, _, random) => signedAnew(base, random)],
    [14, 'parts of others', (base, other, random) => exchanged(base, other, random)],
  ]
  const table = layers.flatMap(([weight, name, layer]) => Array.from({ length: weight }, () => [name, layer] as const))
  return (random) => {
    const base = random.pick(pool.genuine)
    // Close relatives are the best donors: the same subject, or the same form.
    const other = random.once(2) ? random.pick(pool.genuine) : random.pick(pool.genuine.slice(pool.genuine.indexOf(base)).slice(0, 12))
    const [name, layer] = random.pick(table)
    const made = layer(base, other, random)
    const what = `${name} of ${base.name}, donor ${other.name}`
    const claims = 'claims' in made ? made.claims : null
    const owner = ('owner' in made && made.owner) || null
    const payload = 'token' in made ? made.token : Buffer.from(tokenOf(made.claims, random.once(40) ? OTHER_SERVER : SERVER))
    return random.once(64)
      ? sealedRequest({ what, claims, owner, payload }, random)
      : { what, claims, owner, payload, serverXkey: '', sealed: false }
  }
}

/** Sealed as it should be, or with the box, the sender or the envelope wrong. */
function sealedRequest({ payload, ...bent }: Pick<FuzzedRequest, 'what' | 'claims' | 'owner' | 'payload'>, random: Random): FuzzedRequest {
  const sender = serverXkey.publicKey
  const box = seal(payload)
  const way = random.below(6)
  const asked = { ...bent, what: `sealed ${way}, ${bent.what}`, sealed: true }
  if (way === 0) return { ...asked, payload: mutateBytes(box, random), serverXkey: sender }
  if (way === 1) return { ...asked, payload, serverXkey: sender }
  if (way === 2) return { ...asked, payload: box, serverXkey: Buffer.from(mutateBytes(Buffer.from(sender), random)).toString('latin1') }
  if (way === 3) return { ...asked, payload: box, serverXkey: '' }
  return { ...asked, payload: box, serverXkey: sender }
}

/** Header, claims and signature of two tokens, in any combination and number. */
function mixedToken(base: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const parts = [...Buffer.from(base).toString().split('.'), ...Buffer.from(other).toString().split('.'), '', 'e30', 'bnVsbA']
  const count = random.pick([1, 2, 3, 3, 3, 3, 3, 3, 4])
  const own = parts.slice(0, 3)
  const mixed = Array.from({ length: count }, (_, i) => (random.once(2) ? (own[i] ?? '') : random.pick(parts)))
  return Buffer.from(mixed.join('.'))
}

function withSig({ claims }: Genuine, sigText: string, nkey?: unknown): { claims: string } {
  return {
    claims: JSON.stringify(
      withConnect(claims, { sig: sigText.startsWith('{') ? b64u(sigText) : sigText, ...(nkey === undefined ? {} : { nkey }) }),
    ),
  }
}

function withConnect(claims: Record<string, unknown>, change: Record<string, unknown>): Record<string, unknown> {
  const nats = claims['nats'] as Record<string, unknown>
  return { ...claims, nats: { ...nats, connect_opts: { ...(nats['connect_opts'] as object), ...change } } }
}

/** The JSON of `sig` bent, or its base64url. */
function bentSig({ sig }: Genuine, other: Genuine, random: Random): string {
  if (typeof sig === 'string') {
    const bytes = Buffer.from(sig, 'base64url')
    const bent = random.once(8) ? bytes : Buffer.from(mutateBytes(bytes, random))
    return bent.toString(random.pick(['base64url', 'base64url', 'base64', 'hex', 'latin1']))
  }
  const text = mutateJson(sig, random, other.sig)
  // As it is, so that what is no base64url gets through too.
  return random.once(30) ? ` ${text}` : b64u(text)
}

const BYTE_MEMBERS = ['clientDataJSON', 'authenticatorData', 'signature', 'userHandle'] as const

/** One of the byte strings inside `sig` changed: a bit, a length, a piece of another's. */
function bentBytes(base: Genuine, other: Genuine, random: Random): unknown {
  if (typeof base.sig === 'string') return bentSig(base, other, random)
  const sig = structuredClone(base.sig)
  const holder = memberOf(memberOf(sig, 'assertion'), 'response') as Record<string, unknown> | undefined
  const name = holder === undefined || ('resume' in sig && random.once(4)) ? 'resume' : random.pick(BYTE_MEMBERS)
  const target = name === 'resume' ? sig : (holder as Record<string, unknown>)
  const donor = Buffer.from(String(memberOf(memberOf(memberOf(other.sig, 'assertion'), 'response'), name) ?? ''), 'base64url')
  const bytes = Buffer.from(String(target[name] ?? ''), 'base64url')
  const bent =
    name === 'clientDataJSON' && random.once(2)
      ? Buffer.from(bentClientData(bytes, random))
      : mutateBytes(bytes, random, donor.length > 0 ? { donor } : {})
  target[name] = b64u(bent)
  return sig
}

function bentClientData(bytes: Uint8Array, random: Random): string {
  return mutateJson(JSON.parse(Buffer.from(bytes).toString()), random)
}

const MEMBERS = ['url', 'assertion', 'resume', 'plain', 'v'] as const

/** A member of another connection's proof, its nkey, nonce or whole `sig` in the place of one's own. */
function exchanged(base: Genuine, other: Genuine, random: Random): { claims: string } {
  const theirs = other.claims['nats'] as Record<string, Record<string, unknown>>
  const way = random.below(4)
  if (way === 0) return { claims: JSON.stringify(withConnect(base.claims, { sig: theirs['connect_opts']?.['sig'] })) }
  if (way === 1) return { claims: JSON.stringify(withConnect(base.claims, { nkey: theirs['connect_opts']?.['nkey'] ?? '' })) }
  if (way === 2 || typeof base.sig === 'string' || typeof other.sig === 'string')
    return { claims: withNonce(base, theirs['client_info']?.['nonce']) }
  const sig = { ...base.sig }
  const assertion = structuredClone(sig['assertion'] ?? other.sig['assertion']) as Record<string, unknown> | undefined
  const from = memberOf(memberOf(other.sig, 'assertion'), 'response') as Record<string, unknown> | undefined
  if (random.once(2) && assertion !== undefined && from !== undefined) {
    for (const name of BYTE_MEMBERS) if (random.once(3)) Object.assign(assertion['response'] as object, { [name]: from[name] })
    if (random.once(3))
      Object.assign(assertion, { id: memberOf(other.sig['assertion'], 'id'), rawId: memberOf(other.sig['assertion'], 'id') })
    sig['assertion'] = assertion
  } else {
    const name = random.pick(MEMBERS)
    if (other.sig[name] === undefined) delete sig[name]
    else sig[name] = other.sig[name]
  }
  return withSig(base, JSON.stringify(sig), random.once(4) ? theirs['connect_opts']?.['nkey'] : undefined)
}

function withNonce({ claims }: Genuine, nonce: unknown): string {
  const nats = claims['nats'] as Record<string, unknown>
  return JSON.stringify({ ...claims, nats: { ...nats, client_info: { ...(nats['client_info'] as object), nonce } } })
}

/** The credential's own key signs what nobody should have asked it to: other client data, other flags. */
function signedAnew(base: Genuine, random: Random): Bent {
  if (typeof base.sig === 'string' || base.sig['assertion'] === undefined) return withSig(base, bentSig(base, base, random))
  const { scenario } = base
  const assertion = { ...scenario.assertion, ...bentInput(base, random) }
  const sig = { ...base.sig, assertion: assertionOf({ ...scenario, assertion }) }
  return { ...withSig(base, JSON.stringify(sig)), owner: base }
}

function bentInput({ sig }: Genuine, random: Random): Scenario['assertion'] {
  const response = memberOf(memberOf(sig, 'assertion'), 'response')
  const clientData = Buffer.from(String(memberOf(response, 'clientDataJSON')), 'base64url')
  switch (random.below(7)) {
    case 0:
      return { flags: random.below(256) }
    case 1:
      return { signCount: random.pick([1, 2 ** 31, 2 ** 32 - 1]), flags: random.below(256) }
    case 2:
      return { extra: random.bytes(1 + random.below(40)), flags: 0x80 | random.below(64) }
    case 3:
      return { rpId: random.pick(['', 'example.com', 'nats.example.com', 'machines.nats.example.com', 'evil.nats.example.com']) }
    case 4:
      return {
        clientData: random.pick([
          { type: 'webauthn.create' },
          { crossOrigin: true },
          { topOrigin: '' },
          { origin: 'null' },
          { challenge: '' },
          { a: 1 },
        ]),
      }
    default:
      return { clientDataText: bentClientData(clientData, random) }
  }
}

/** A member of what may be an object. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
