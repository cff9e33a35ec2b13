/** The journey vectors of report-only mode: legacy users, those who are none, and what the journey said of their proofs. */
import { type TestNkey, testNkey } from '../test/support/authorization-request.ts'
import { fixed, NOW, plainSig, proofSig, type Scenario } from '../test/support/scenario.ts'
import { b64u } from '../test/support/test-authenticator.ts'

/** Report-only mode in a vector: the file, when it ends, and which secret fits which hash. */
export interface LegacyVector {
  file: string
  until: string
  secrets: Record<string, string>
  busy: boolean
}

interface LegacyCase {
  name: string
  description: string
  expect: { outcome: 'granted' | 'denied' | 'error' | 'reported'; reason: string }
  before?: (s: Scenario) => void
  sig?: (s: Scenario) => string
  payload?: (token: string) => string
  unavailable?: string[]
  legacy: LegacyVector
}

const PASSWORD_HASH = `$2a$10$${'p'.repeat(53)}`
const TOKEN_HASH = `$2b$10$${'t'.repeat(53)}`
const listed = testNkey('U', fixed('legacy user'))
const stranger = testNkey('U', fixed('another session'))
const file = `users:
  - { user: billing, password: "${PASSWORD_HASH}", account: APP, permissions: { publish: [billing.>], subscribe: ["billing.jobs workers"], allow_responses: true } }
  - { name: board, token: "${TOKEN_HASH}", account: OTHER, permissions: { publish: [], subscribe: { allow: [">"], deny: [private.>] } } }
  - { name: sensors, nkey: ${listed.publicKey}, account: APP, permissions: { publish: [sensors.>], subscribe: [] } }
`
const legacy: LegacyVector = {
  file,
  until: '2026-02-01T00:00:00Z',
  secrets: { [PASSWORD_HASH]: 'right password', [TOKEN_HASH]: 'right token' },
  busy: false,
}
const ended: LegacyVector = { ...legacy, until: new Date(NOW).toISOString() }

const granted = (reason: string) => ({ outcome: 'granted' as const, reason })
const denied = (reason: string) => ({ outcome: 'denied' as const, reason })
const reported = (reason: string) => ({ outcome: 'reported' as const, reason })
const none = () => ''

/** Puts fields into CONNECT. */
const connect = (options: Record<string, unknown>) => (s: Scenario) => {
  s.request = { ...s.request, connect: options }
}
const right = connect({ user: 'billing', pass: 'right password' })
const wrong = connect({ user: 'billing', pass: 'wrong password' })

/** The listed nkey, and the bare nonce signed by `signer`. */
const bareNkey = (signer: TestNkey) => (s: Scenario) => {
  s.nkey = listed.publicKey
  return b64u(signer.sign(Buffer.from(s.nonce)))
}

/** A proof that was made for another connection. */
const brokenProof = (s: Scenario) => {
  s.assertion = { challenge: new Uint8Array(32) }
  return proofSig(s)
}

// biome-ignore format: the cases are read as a table.
const CASES: (Omit<LegacyCase, 'legacy'> & { legacy?: LegacyVector })[] = [
  { name: 'password', description: 'A user with a password, and no proof.', before: right, sig: none, expect: reported('sig_missing') },
  { name: 'token', description: 'The token, and no proof.', before: connect({ auth_token: 'right token' }), sig: none, expect: reported('sig_missing') },
  { name: 'nkey', description: 'A bare nkey that nobody endorsed, but the file lists.', sig: bareNkey(listed), expect: reported('session_unknown') },
  { name: 'password-beside-a-broken-proof', description: 'The proof is for another connection.', before: right, sig: brokenProof, expect: reported('challenge_mismatch') },
  { name: 'password-beside-a-proof-without-a-role', description: 'The proof is good, and the identity holds no role.', before: (s) => { right(s); s.identity.roles = [] }, expect: reported('roles_none') },
  { name: 'password-beside-a-revoked-device', description: 'What the administrator has already revoked.', before: (s) => { right(s); s.credential.state = 'revoked' }, expect: reported('credential_revoked') },
  { name: 'password-while-the-stores-are-away', description: 'A password needs no bucket, but the connection has to be claimed.', before: right, sig: none, unavailable: ['stores'], expect: { outcome: 'error', reason: 'store_unavailable' } },
  { name: 'password-beside-a-good-proof', description: 'A proof is preferred.', before: right, expect: granted('proof') },
  { name: 'wrong-password', description: 'Another password.', before: wrong, sig: none, expect: denied('legacy_credentials_invalid') },
  { name: 'unknown-user', description: 'A name that the file does not know.', before: connect({ user: 'admin', pass: 'right password' }), sig: none, expect: denied('legacy_credentials_invalid') },
  { name: 'hash-as-password', description: 'What the file holds is not the password.', before: connect({ user: 'billing', pass: PASSWORD_HASH }), sig: none, expect: denied('legacy_credentials_invalid') },
  { name: 'name-of-the-token', description: 'The token has a name, and no user is called so.', before: connect({ user: 'board', pass: 'right token' }), sig: none, expect: denied('legacy_credentials_invalid') },
  { name: 'password-as-token', description: 'A password is no token.', before: connect({ auth_token: 'right password' }), sig: none, expect: denied('legacy_credentials_invalid') },
  { name: 'user-without-password', description: 'A name alone proves nothing.', before: connect({ user: 'billing' }), sig: none, expect: denied('sig_missing') },
  { name: 'nkey-signed-by-another', description: "The listed nkey, and somebody else's signature.", sig: bareNkey(stranger), expect: denied('legacy_credentials_invalid') },
  { name: 'nkey-unlisted', description: 'An nkey that is neither endorsed nor listed.', sig: plainSig, expect: denied('session_unknown') },
  { name: 'nothing', description: 'Nothing is brought, and nothing given.', sig: none, expect: denied('sig_missing') },
  { name: 'broken-proof-and-wrong-password', description: 'What the proof was refused for says more.', before: wrong, sig: brokenProof, expect: denied('challenge_mismatch') },
  { name: 'broken-proof-alone', description: 'Report-only mode forgives no proof.', sig: brokenProof, expect: denied('challenge_mismatch') },
  { name: 'ended', description: 'The end is over.', before: right, sig: none, legacy: ended, expect: denied('legacy_users_ended') },
  { name: 'ended-beside-a-good-proof', description: 'Proofs go on.', before: right, legacy: ended, expect: granted('proof') },
  { name: 'busy', description: 'Too many passwords are waiting.', before: right, sig: none, legacy: { ...legacy, busy: true }, expect: denied('legacy_check_busy') },
  { name: 'audit-unavailable', description: 'No durable record, no admission.', before: right, sig: none, unavailable: ['audit'], expect: { outcome: 'error', reason: 'audit_unavailable' } },
  { name: 'forged-request', description: 'A request that no server signed, with the right password in it.', before: right, sig: none, payload: (token) => `${token.slice(0, -2)}AA`, expect: denied('request_signature_invalid') },
  { name: 'leafnode', description: 'A leafnode with the right password.', before: (s) => { right(s); s.request = { ...s.request, client: { kind: 'Leafnode' } } }, sig: none, expect: denied('client_kind_refused') },
]

export const LEGACY_CASES: readonly LegacyCase[] = CASES.map((one) => ({ legacy, ...one, name: `legacy-${one.name}` }))
