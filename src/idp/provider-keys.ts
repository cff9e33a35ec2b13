/** A provider's signing keys (JWKS, RFC 7517): kept for a while, and fetched again for a key that is not among them. */
import { type CryptoKey, importJWK } from 'jose'
import { z } from 'zod'
import { kept } from './kept.ts'
import { ProviderTrouble } from './provider-fetch.ts'

// A key that the provider withdrew is not trusted for longer.
const keysAgeMsMax = 10 * 60_000
// Tokens with invented kids must not make this verifier flood the provider.
const renewAfterMs = 30_000
const keysMax = 100

/** Signature algorithms of ID tokens (RFC 7518 §3.1, RFC 8037, RFC 9864), with the key that each needs. Never `none`, never a shared secret. */
export const ID_TOKEN_ALGORITHMS: ReadonlyMap<string, { kty: string; crv: string | null }> = new Map(
  Object.entries({
    RS256: { kty: 'RSA', crv: null },
    RS384: { kty: 'RSA', crv: null },
    RS512: { kty: 'RSA', crv: null },
    PS256: { kty: 'RSA', crv: null },
    PS384: { kty: 'RSA', crv: null },
    PS512: { kty: 'RSA', crv: null },
    ES256: { kty: 'EC', crv: 'P-256' },
    ES384: { kty: 'EC', crv: 'P-384' },
    ES512: { kty: 'EC', crv: 'P-521' },
    EdDSA: { kty: 'OKP', crv: 'Ed25519' },
    Ed25519: { kty: 'OKP', crv: 'Ed25519' },
  }),
)

export interface ProviderKeys {
  /** Keys that may have signed a token with that header; none when the provider publishes no such key. Throws when it does not answer. */
  find(header: { alg: string; kid: string | null }): Promise<CryptoKey[]>
}

const text = z.string().max(8_192)
const jwkSchema = z.object({
  kty: text,
  kid: text.optional(),
  use: text.optional(),
  alg: text.optional(),
  key_ops: z.array(text).optional(),
  crv: text.optional(),
  n: text.optional(),
  e: text.optional(),
  x: text.optional(),
  y: text.optional(),
})
type PublishedKey = z.output<typeof jwkSchema>
const setSchema = z.object({ keys: z.array(z.unknown()).max(keysMax) })

/** `fetchKeys`: the provider's key set, as JSON. */
export function providerKeys(fetchKeys: () => Promise<unknown>, now: () => Date): ProviderKeys {
  const set = kept(async () => parseSet(await fetchKeys()), { ageMsMax: keysAgeMsMax, now })
  let renewal: Promise<PublishedKey[]> | null = null
  let renewedAt = Number.NEGATIVE_INFINITY

  /** The set anew, or null when that was asked for a moment ago. */
  const renew = (): Promise<PublishedKey[]> | null => {
    if (renewal !== null) return renewal
    const at = now().getTime()
    if (at - renewedAt < renewAfterMs && at >= renewedAt) return null
    renewedAt = at
    renewal = set.renew().finally(() => {
      renewal = null
    })
    return renewal
  }
  return {
    async find(header) {
      const { value, loaded } = await set.get()
      const known = candidates(value, header)
      if (known.length > 0 || loaded) return importAll(known, header.alg)
      const renewed = await renew()
      return renewed === null ? [] : importAll(candidates(renewed, header), header.alg)
    },
  }
}

function parseSet(value: unknown): PublishedKey[] {
  const set = setSchema.safeParse(value)
  if (!set.success) throw new ProviderTrouble('the keys are no JWK set')
  // RFC 7517 §5: keys that cannot be understood are passed over.
  return set.data.keys.flatMap((key) => {
    const parsed = jwkSchema.safeParse(key)
    return parsed.success ? [parsed.data] : []
  })
}

function candidates(keys: readonly PublishedKey[], { alg, kid }: { alg: string; kid: string | null }): PublishedKey[] {
  const wanted = ID_TOKEN_ALGORITHMS.get(alg)
  return keys.filter(
    (key) =>
      key.kty === wanted?.kty &&
      (wanted.crv === null || key.crv === wanted.crv) &&
      (kid === null || key.kid === kid) &&
      (key.use === undefined || key.use === 'sig') &&
      (key.alg === undefined || key.alg === alg) &&
      (key.key_ops === undefined || key.key_ops.includes('verify')),
  )
}

async function importAll(keys: readonly PublishedKey[], alg: string): Promise<CryptoKey[]> {
  const imported = await Promise.all(keys.map((key) => importPublic(key, alg)))
  return imported.filter((key) => key !== null)
}

async function importPublic({ kty, crv, n, e, x, y }: PublishedKey, alg: string): Promise<CryptoKey | null> {
  // Public members alone: a set that shows private ones must not make them ours.
  const members = Object.entries({ crv, n, e, x, y }).filter(([, value]) => value !== undefined)
  try {
    const key = await importJWK({ kty, ...Object.fromEntries(members) }, alg)
    return key instanceof Uint8Array ? null : key
  } catch {
    return null
  }
}
