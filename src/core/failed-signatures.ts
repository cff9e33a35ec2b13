/**
 * How often signatures may fail before the next one is refused unchecked: of one source, for one credential, and of one
 * source for one credential (ADR-0016). Each has a bucket that a failure takes from and time refills; a success takes
 * nothing. Nobody can shut out another from elsewhere: a source is always heard about a credential it has not failed with
 * lately, and where it proved itself with that credential lately, what others do does not count.
 */
import type { AuthorizationRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import type { DenialReason } from './denial.ts'
import { Generations } from './generations.ts'
import { credentialKey } from './identifiers.ts'
import type { SignatureAttempt, SignatureLimitPort } from './ports.ts'
import type { CredentialRecord } from './records.ts'
import type { Rules } from './rules.ts'
import { sourceOf } from './source-address.ts'

/** Failures a minute, and at once. */
export interface SignatureLimits {
  perSource: number
  perCredential: number
}

export const DEFAULT_SIGNATURE_LIMITS: SignatureLimits = { perSource: 120, perCredential: 60 }

const perPairMax = 10
const provenMsMax = 24 * 3_600_000
const bucketsMax = 20_000
const provenPairsMax = 50_000

/** Whether a signature may be verified: asked right before that is done, and then it is. */
export type SignatureGate = () => Checked<null>

/** What `check` says, which asks the gate before it verifies a signature. What fails is counted. */
export function withinLimits<T>(
  { request, credential, rules, limits, now }: Checking,
  check: (gate: SignatureGate) => Checked<T>,
): Checked<T> {
  // Behind a proxy everybody has its address, and one attacker would speak for all: nothing is limited.
  if (rules.behindProxy) return check(() => passed(null))
  const attempt = { source: sourceOf(request.clientHost), credential: credentialKey(credential.id) }
  const checked = check(() => {
    const refusal = limits.refusal(attempt, now)
    return refusal === null ? passed(null) : denied(refusal)
  })
  if (checked.ok) limits.proved(attempt, now)
  else if (FAILED_SIGNATURES.has(checked.denial)) limits.failed(attempt, now)
  return checked
}

interface Checking {
  request: AuthorizationRequest
  credential: CredentialRecord
  rules: Rules
  limits: SignatureLimitPort
  now: Date
}

/** Denials that cost a signature's verification. */
const FAILED_SIGNATURES: ReadonlySet<DenialReason> = new Set<DenialReason>(['signature_invalid', 'session_signature_invalid'])

/** The state of these limits. `now` never needs to be exact: a clock that goes back only refills later. */
export function createSignatureLimits({ perSource, perCredential }: SignatureLimits): SignatureLimitPort {
  const sources = createBuckets(perSource)
  const credentials = createBuckets(perCredential)
  const pairs = createBuckets(Math.min(perPairMax, perSource, perCredential))
  const provenAt = new Generations<number>(provenPairsMax)
  const isProven = (pair: string, now: Date) => now.getTime() - (provenAt.get(pair) ?? Number.NEGATIVE_INFINITY) < provenMsMax

  return {
    refusal(attempt, now): DenialReason | null {
      const pair = pairOf(attempt)
      if (pairs.isFull(pair, now)) return null
      if (pairs.isEmpty(pair, now)) return 'credential_limited'
      if (isProven(pair, now)) return null
      if (sources.isEmpty(attempt.source, now)) return 'source_limited'
      return credentials.isEmpty(attempt.credential, now) ? 'credential_limited' : null
    },
    failed(attempt, now) {
      const pair = pairOf(attempt)
      pairs.take(pair, now)
      if (isProven(pair, now)) return
      sources.take(attempt.source, now)
      credentials.take(attempt.credential, now)
    },
    proved: (attempt, now) => provenAt.set(pairOf(attempt), now.getTime()),
  }
}

function pairOf({ source, credential }: SignatureAttempt): string {
  return `${credential} ${source}`
}

/** Token buckets by key, all of one size that refills within a minute. A key that was forgotten has a full one. */
function createBuckets(tokensMax: number) {
  const kept = new Generations<{ tokens: number; at: number }>(bucketsMax)
  const tokensMs = tokensMax / 60_000

  function tokensOf(key: string, now: Date): number {
    const bucket = kept.get(key)
    if (bucket === undefined) return tokensMax
    return Math.min(tokensMax, bucket.tokens + Math.max(0, now.getTime() - bucket.at) * tokensMs)
  }
  return {
    isFull: (key: string, now: Date) => tokensOf(key, now) === tokensMax,
    isEmpty: (key: string, now: Date) => tokensOf(key, now) < 1,
    take: (key: string, now: Date) => kept.set(key, { tokens: Math.max(0, tokensOf(key, now) - 1), at: now.getTime() }),
  }
}
