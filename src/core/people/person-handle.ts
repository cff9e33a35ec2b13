/** The handles a new person may get: what their provider calls them, and never anybody else's. */
import { lengthPrefixed } from '../encoding.ts'
import { type Handle, parseHandle } from '../identifiers.ts'
import { sha256 } from '../sha256.ts'

const handleCharsMax = 64
const numberedMax = 20

/**
 * Handles to try for a person, best first: the hint, then the hint with `-2`, `-3` and so on; at last with a digest of who
 * it is, where a provider calls everybody the same. `hint`: `[a-z0-9_-]+`.
 */
export function* handleCandidates(hint: string, { issuer, subject }: { issuer: string; subject: string }): Generator<Handle> {
  yield handleOf(hint, '')
  for (let n = 2; n <= numberedMax; n++) yield handleOf(hint, `-${n}`)
  const digest = Buffer.from(sha256(lengthPrefixed('nats-webauthn/handle/v1', issuer, subject))).toString('hex')
  yield handleOf(hint, `-${digest.slice(0, 16)}`)
}

function handleOf(hint: string, suffix: string): Handle {
  const handle = parseHandle(hint.slice(0, handleCharsMax - suffix.length) + suffix)
  if (handle === null) throw new Error('making a handle: the hint is not of a-z 0-9 _ -')
  return handle
}
