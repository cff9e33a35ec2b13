/** CONNECT fields of every form, for identities of the product's test deployment. */
import { connectChallenge, MACHINE_ORIGIN, resumeMessage } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'
import type { TestNkey } from './authorization-request.ts'
import { PERSON, type TestIdentity } from './product.ts'
import { type AssertionInput, b64u, FLAGS, testAssertion } from './test-authenticator.ts'

export interface ProofInput {
  nonce: string
  url: string
  nkey?: string
  plain?: boolean
  assertion?: Partial<AssertionInput>
}

/** An AuthenticationResponseJSON of `who` for one connection, in order unless `assertion` says otherwise. */
export function assertionFor(who: TestIdentity, { nonce, url, nkey = '', plain = false, assertion }: ProofInput) {
  const machine = who.credential.class === 'machine'
  return testAssertion({
    key: who.key,
    credentialId: who.credential.id,
    challenge: connectChallenge(sha256, { nonce, url, nkey, plain }),
    rpId: who.credential.rpId,
    origin: machine ? MACHINE_ORIGIN : PERSON.origin,
    flags: machine ? FLAGS.BE : FLAGS.UP | FLAGS.UV | FLAGS.BE | FLAGS.BS,
    userHandle: who.credential.userHandle,
    ...assertion,
  })
}

/** CONNECT fields of a proof. */
export function proof(who: TestIdentity, input: ProofInput): { sig: string; nkey?: string } {
  const sig = b64u(JSON.stringify({ v: 1, url: input.url, assertion: assertionFor(who, input) }))
  return input.nkey === undefined ? { sig } : { sig, nkey: input.nkey }
}

export function resumeSignature(nkey: TestNkey, { nonce, url }: { nonce: string; url: string }): string {
  return b64u(nkey.sign(resumeMessage(sha256, { nonce, url, nkey: nkey.publicKey })))
}

/** CONNECT fields of a proof that endorses `who`'s session nkey. */
export function endorsing(who: TestIdentity, input: Omit<ProofInput, 'nkey'>): { sig: string; nkey: string } {
  const nkey = who.session.publicKey
  const members = { v: 1, url: input.url, assertion: assertionFor(who, { ...input, nkey }), resume: resumeSignature(who.session, input) }
  return { nkey, sig: b64u(JSON.stringify(input.plain ? { ...members, plain: true } : members)) }
}

/** CONNECT fields of a bound resume. */
export function boundResume(session: TestNkey, input: { nonce: string; url: string }): { sig: string; nkey: string } {
  return { nkey: session.publicKey, sig: b64u(JSON.stringify({ v: 1, url: input.url, resume: resumeSignature(session, input) })) }
}

/** CONNECT fields of a plain resume. */
export function plainResume(session: TestNkey, nonce: string): { sig: string; nkey: string } {
  return { nkey: session.publicKey, sig: b64u(session.sign(Buffer.from(nonce))) }
}
