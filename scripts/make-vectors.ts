/**
 * Writes test/vectors/journey.json: one authorization request a case, with the world it meets and the one right verdict.
 * The file is data that any implementation can run; this script is only needed to add a case.
 */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { credentialKey } from '../src/core/identifiers.ts'
import { encodePublicNkey, encodeSeed } from '../src/core/nkey.ts'
import { tweetnaclBox, xkeyFromSeed } from '../src/nats/xkey.ts'
import { testNkey } from '../test/support/authorization-request.ts'
import {
  assertionOf,
  boundSig,
  endorsedSession,
  endorsingSig,
  fixed,
  guardKey,
  NOW,
  plainSig,
  proofSig,
  requestOf,
  resumeOf,
  rules,
  type Scenario,
  scenario,
  URL_USED,
} from '../test/support/scenario.ts'
import { b64u, FLAGS, testKey } from '../test/support/test-authenticator.ts'
import { LEGACY_CASES, type LegacyVector } from './legacy-cases.ts'
import { type FailedBefore, LIMIT_CASES } from './limit-cases.ts'

type Outcome = 'granted' | 'denied' | 'error' | 'reported' | 'dropped'

interface Case {
  name: string
  description: string
  expect: { outcome: Outcome; reason: string | null }
  who?: 'machine' | 'person'
  /** Breaks one thing before anything is signed. */
  before?: (s: Scenario) => void
  /** `sig` of the connection; a proof unless it says otherwise. */
  sig?: (s: Scenario) => string
  /** Breaks one thing after everything was signed. */
  payload?: (token: string) => Uint8Array | string
  sealed?: boolean
  serverXkey?: string
  elapsedMs?: number
  auditTakesMs?: number
  unavailable?: string[]
  room?: boolean
  failed?: FailedBefore[]
  /** Report-only mode; off without. */
  legacy?: LegacyVector
}

const key = testKey()
const otherKey = testKey()
const otherNkey = testNkey('U', fixed('another session'))
// The neutral element as key, and the signature that it "made" of everything.
const neutral = new Uint8Array(32).fill(1, 0, 1)
const smallOrderNkey = encodePublicNkey('U', neutral)
const smallOrderSignature = b64u(new Uint8Array([...neutral, ...new Uint8Array(32)]))
const otherServer = testNkey('N', fixed('another server'))
const verifierXkey = xkeyFromSeed(encodeSeed('X', fixed('verifier xkey')), tweetnaclBox)
const serverXkey = xkeyFromSeed(encodeSeed('X', fixed('server xkey')), tweetnaclBox)

const denied = (reason: string) => ({ outcome: 'denied' as const, reason })
const granted = (reason: string) => ({ outcome: 'granted' as const, reason })
const error = (reason: string) => ({ outcome: 'error' as const, reason })

const withSession =
  (change: Parameters<typeof endorsedSession>[1] = {}) =>
  (s: Scenario) => {
    s.sessions.push(endorsedSession(s, change))
  }

function remembered(s: Scenario, sig: string, exp = NOW / 1000 + 300): void {
  s.guard[guardKey(s)] = {
    v: 1,
    serverId: s.server.publicKey,
    clientId: 7,
    proof: b64u(digest(sig)),
    credential: endorsedSession(s).credential,
    session: null,
    handle: s.credential.handle,
    iat: NOW / 1000 - 60,
    exp,
  }
}

function digest(text: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(text).digest())
}

// biome-ignore format: the cases are read as a table.
const CASES: Case[] = [
  { name: 'machine-proof', description: 'A machine proves with a key in a file.', expect: granted('proof') },
  { name: 'person-proof', description: 'A person proves with a passkey.', who: 'person', expect: granted('proof') },
  { name: 'machine-proof-sealed', description: 'The same over xkey.', sealed: true, expect: granted('proof') },
  { name: 'machine-proof-with-nkey', description: 'An nkey without resume is just part of the challenge.', before: (s) => { s.nkey = s.sessionNkey.publicKey }, expect: granted('proof') },
  { name: 'endorsing-proof', description: 'A proof endorses a session nkey.', sig: endorsingSig, expect: granted('proof_endorsing') },
  { name: 'endorsing-plain-proof', description: 'A proof endorses a session nkey for stock clients.', before: (s) => { s.plain = true }, sig: endorsingSig, expect: granted('proof_endorsing') },
  { name: 'endorsing-again', description: 'The same credential endorses its nkey once more.', before: withSession(), sig: endorsingSig, expect: granted('proof_endorsing') },
  { name: 'bound-resume', description: 'A session nkey resumes.', before: withSession(), sig: boundSig, expect: granted('session_bound') },
  { name: 'plain-resume', description: 'A stock client resumes over TLS.', before: withSession(), sig: plainSig, expect: granted('session_plain') },
  { name: 'plain-resume-standard-base64', description: 'A stock client that pads its base64.', before: withSession(), sig: (s) => Buffer.from(plainSig(s), 'base64url').toString('base64'), expect: granted('session_plain') },
  { name: 'reasked', description: 'A second CONNECT with the same proof on the live socket.', sig: (s) => { const sig = proofSig(s); remembered(s, sig); return sig }, expect: granted('reasked') },
  { name: 'reasked-with-a-counter', description: 'The same proof again: its counter was counted the first time.', before: (s) => { s.credential.signCount = 10; s.credential.signCountAt = NOW - 60_000; s.assertion = { signCount: 10 } }, sig: (s) => { const sig = proofSig(s); remembered(s, sig); return sig }, expect: granted('reasked') },
  { name: 'endorsing-bound-only', description: 'The role allows bound sessions, and no other is asked for.', before: (s) => { role(s, 'bound-only') }, sig: endorsingSig, expect: granted('proof_endorsing') },
  { name: 'plain-resume-from-a-network', description: 'From another host, over TLS.', before: (s) => { withSession()(s); s.request = { client: { host: '192.0.2.7' } } }, sig: plainSig, expect: granted('session_plain') },
  { name: 'plain-resume-on-loopback', description: 'Without TLS, where there is no network.', before: (s) => { withSession()(s); s.request = { tls: false } }, sig: plainSig, expect: granted('session_plain') },
  { name: 'plain-resume-tls-terminated-upstream', description: 'The proxy is said to speak TLS with clients.', before: (s) => { withSession()(s); s.rules = rules({ behindProxy: true, tlsTerminatedUpstream: true }); s.request = { tls: false } }, sig: plainSig, expect: granted('session_plain') },
  { name: 'plain-resume-without-tls-allowed', description: 'The deployment says that it accepts the danger.', before: (s) => { withSession()(s); s.rules = rules({ dangerouslyAllowPlainSessionsWithoutTls: true }); s.request = { tls: false, client: { host: '192.0.2.7' } } }, sig: plainSig, expect: granted('session_plain') },
  { name: 'url-of-this-cluster-and-server', description: 'An address that is pinned to this very server.', before: (s) => { s.rules = rules({ urls: [{ url: URL_USED as never, cluster: 'east', serverName: 'nats-1' }] }); s.request = { serverInfo: { cluster: 'east' } } }, expect: granted('proof') },

  { name: 'request-oversized', description: 'More bytes than the verifier reads.', payload: (token) => token + 'A'.repeat(70_000), expect: denied('request_oversized') },
  { name: 'request-plaintext-where-xkey', description: 'A plain request where xkey is configured.', sealed: true, payload: (token) => token, expect: denied('request_unsealed') },
  { name: 'request-foreign-xkey', description: 'Sealed by an xkey that the signed request does not name.', sealed: true, serverXkey: xkeyFromSeed(encodeSeed('X', fixed('foreign xkey')), tweetnaclBox).publicKey, expect: denied('request_unopenable') },
  { name: 'request-xkey-not-the-signed-one', description: 'The header names the sealing xkey, the signed request another.', sealed: true, before: (s) => { s.request = { serverInfo: { xkey: encodePublicNkey('X', fixed('signed xkey')) } } }, expect: denied('request_unsealed') },
  { name: 'request-unopenable', description: 'Sealed bytes that were changed.', sealed: true, payload: (token) => { const sealed = verifierSeal(token); sealed[40] = (sealed[40] ?? 0) ^ 1; return sealed }, expect: denied('request_unopenable') },
  { name: 'request-xkey-header-malformed', description: 'A header that is no curve key.', sealed: true, serverXkey: 'XNOTAKEY', expect: denied('request_unsealed') },
  { name: 'request-not-a-jwt', description: 'Some text.', payload: () => 'hello', expect: denied('request_malformed') },
  { name: 'request-not-utf8', description: 'Bytes that are no text.', payload: () => new Uint8Array([0xff, 0xfe, 0x80]), expect: denied('request_malformed') },
  { name: 'request-truncated', description: 'The token without its signature.', payload: (token) => token.slice(0, token.lastIndexOf('.')), expect: denied('request_malformed') },
  { name: 'request-fourth-part', description: 'Something after the signature.', payload: (token) => `${token}.AAAA`, expect: denied('request_malformed') },
  { name: 'request-signature-short', description: 'A signature of 61 bytes.', payload: (token) => token.slice(0, -4), expect: denied('request_malformed') },
  { name: 'request-of-another-type', description: 'A token of a server that asks for nothing.', before: (s) => { s.request = { claims: { nats: { type: 'authorization_response' } } } }, expect: denied('request_malformed') },
  { name: 'request-issued-by-an-account', description: 'The issuer is no server.', before: (s) => { const issuer = testNkey('A', fixed('an account')); s.request = { claims: { iss: issuer.publicKey }, serverInfo: { id: issuer.publicKey }, signer: issuer } }, expect: denied('request_malformed') },
  { name: 'request-without-expiry', description: 'No exp.', before: (s) => { s.request = { claims: { exp: undefined } } }, expect: denied('request_malformed') },
  { name: 'request-without-time', description: 'No iat.', before: (s) => { s.request = { claims: { iat: undefined } } }, expect: denied('request_malformed') },
  { name: 'request-ends-before-it-begins', description: 'exp before iat.', before: (s) => { s.request = { claims: { exp: NOW / 1000 - 1 } } }, expect: denied('request_malformed') },
  { name: 'request-not-yet-valid', description: 'nbf in an hour.', before: (s) => { s.request = { claims: { nbf: NOW / 1000 + 3600 } } }, expect: denied('request_expired') },
  { name: 'request-nbf-no-number', description: 'nbf is text.', before: (s) => { s.request = { claims: { nbf: 'now' } } }, expect: denied('request_malformed') },
  { name: 'request-without-user-nkey', description: 'Nobody to issue a JWT to.', before: (s) => { s.userNkey = 'UNOTAKEY' }, expect: denied('request_malformed') },
  { name: 'request-without-client-id', description: 'A connection without a number.', before: (s) => { s.request = { client: { id: undefined } } }, expect: denied('request_malformed') },
  { name: 'request-alg-none', description: 'A header that asks for no signature.', before: (s) => { s.request = { header: { typ: 'JWT', alg: 'none' } } }, expect: denied('request_malformed') },
  { name: 'request-other-audience', description: 'A server\'s token for another audience.', before: (s) => { s.request = { claims: { aud: 'APP' } } }, expect: denied('request_readdressed') },
  { name: 'request-names-another-server', description: 'Signed by one server about another.', before: (s) => { s.request = { serverInfo: { id: otherServer.publicKey } } }, expect: denied('request_readdressed') },
  { name: 'request-forged', description: 'Not signed by the server it names.', before: (s) => { s.request = { signer: otherServer } }, expect: denied('request_signature_invalid') },
  { name: 'request-server-not-listed', description: 'A server that is not in server_ids.', before: (s) => { s.rules = rules({ serverIds: [otherServer.publicKey] as never }) }, expect: denied('request_server_unknown') },
  { name: 'request-expired', description: 'An hour old.', before: (s) => { s.request = { now: NOW / 1000 - 3600 } }, expect: denied('request_expired') },
  { name: 'request-from-the-future', description: 'An hour ahead.', before: (s) => { s.request = { now: NOW / 1000 + 3600 } }, expect: denied('request_expired') },
  { name: 'leafnode', description: 'A leafnode that presents a good proof.', before: (s) => { s.request = { client: { kind: 'Leafnode' } } }, expect: denied('client_kind_refused') },
  { name: 'mqtt', description: 'An MQTT client.', before: (s) => { s.request = { client: { type: 'mqtt' } } }, expect: denied('client_type_refused') },
  { name: 'overloaded', description: 'No room for another request.', room: false, expect: denied('overloaded') },
  { name: 'past-the-deadline', description: 'The server has given up on it.', elapsedMs: 4_600, expect: { outcome: 'dropped', reason: null } },
  { name: 'at-the-deadline', description: 'The last millisecond in which the server is still sure to wait.', elapsedMs: 4_500, expect: granted('proof') },

  { name: 'no-sig', description: 'A client without credentials.', sig: () => '', expect: denied('sig_missing') },
  { name: 'no-nonce', description: 'A server that sends no nonce.', before: (s) => { s.request = { client: { nonce: undefined } } }, expect: denied('nonce_missing') },
  { name: 'sig-oversized', description: 'A sig of 20,000 characters.', sig: () => 'A'.repeat(20_000), expect: denied('sig_oversized') },
  { name: 'sig-client-data-oversized', description: 'Client data of more than 4 KiB.', before: (s) => { s.assertion = { clientData: { extra: 'x'.repeat(5000) } } }, expect: denied('sig_oversized') },
  { name: 'sig-not-base64url', description: 'Padding.', sig: (s) => `${proofSig(s)}=`, expect: denied('sig_malformed') },
  { name: 'sig-duplicate-member', description: 'Two urls: which one was signed?', sig: (s) => b64u(`{"v":1,"url":"${URL_USED}","url":"${URL_USED}","assertion":${JSON.stringify(assertionOf(s))}}`), expect: denied('sig_malformed') },
  { name: 'sig-unknown-member', description: 'A member the protocol does not know.', sig: (s) => b64u(JSON.stringify({ v: 1, url: s.url, assertion: assertionOf(s), debug: true })), expect: denied('sig_malformed') },
  { name: 'sig-plain-false', description: 'plain may only be true.', sig: (s) => { s.nkey = s.sessionNkey.publicKey; return b64u(JSON.stringify({ v: 1, url: s.url, assertion: assertionOf(s), resume: resumeOf(s), plain: false })) }, expect: denied('sig_malformed') },
  { name: 'sig-other-version', description: 'Version 2.', sig: (s) => b64u(JSON.stringify({ v: 2, url: s.url, assertion: assertionOf(s) })), expect: denied('sig_malformed') },
  { name: 'sig-url-not-canonical', description: 'An upper-case host.', sig: (s) => b64u(JSON.stringify({ v: 1, url: s.url.replace('nats.', 'NATS.'), assertion: assertionOf(s) })), expect: denied('sig_malformed') },
  { name: 'resume-without-nkey', description: 'A resume that does not say whose.', before: withSession(), sig: (s) => { const sig = boundSig(s); s.nkey = ''; return sig }, expect: denied('nkey_malformed') },
  { name: 'plain-resume-without-nkey', description: 'A nonce signature that does not say whose.', before: withSession(), sig: (s) => { const sig = plainSig(s); s.nkey = ''; return sig }, expect: denied('nkey_malformed') },
  { name: 'plain-resume-overlong', description: 'A nonce signature with something before its padding.', before: withSession(), sig: (s) => `${plainSig(s)}AAAAAAAAAAAA==`, expect: denied('sig_malformed') },
  { name: 'nkey-of-an-account', description: 'An account key as user nkey.', before: (s) => { s.nkey = testNkey('A', fixed('account')).publicKey }, expect: denied('nkey_malformed') },
  { name: 'endorsing-an-nkey-of-small-order', description: 'One signature by such a key fits every nonce and address.', sig: (s) => { s.nkey = smallOrderNkey; return b64u(JSON.stringify({ v: 1, url: s.url, assertion: assertionOf(s), resume: smallOrderSignature })) }, expect: denied('nkey_malformed') },
  { name: 'plain-resume-of-small-order', description: 'A session of such a key, resumed by anybody.', before: withSession({ nkey: smallOrderNkey as never }), sig: (s) => { s.nkey = smallOrderNkey; return smallOrderSignature }, expect: denied('nkey_malformed') },
  { name: 'url-of-a-hostile-server', description: 'The client dialled a server that relays.', before: (s) => { s.url = 'tls://evil.example.net:4222' }, expect: denied('url_not_allowed') },
  { name: 'url-without-port', description: 'Never normalised: the same address spelled otherwise is another address.', before: (s) => { s.url = 'tls://nats.example.com:443' }, expect: denied('url_not_allowed') },
  { name: 'url-of-another-cluster', description: 'An address of one cluster at a server of another.', before: (s) => { s.rules = rules({ urls: [{ url: URL_USED as never, cluster: 'east', serverName: null }] }); s.request = { serverInfo: { cluster: 'west' } } }, expect: denied('url_wrong_server') },
  { name: 'url-of-another-server', description: 'An address of one server at another.', before: (s) => { s.rules = rules({ urls: [{ url: URL_USED as never, cluster: null, serverName: 'nats-2' }] }) }, expect: denied('url_wrong_server') },
  { name: 'url-plaintext-on-a-network', description: 'nats:// from another host.', before: (s) => { s.url = 'nats://nats.example.com:4222'; s.rules = rules({ urls: [{ url: s.url as never, cluster: null, serverName: null }] }); s.request = { client: { host: '192.0.2.7' } } }, expect: denied('url_plaintext') },
  { name: 'url-plaintext-behind-a-proxy', description: 'Behind a proxy everybody seems to be on loopback.', before: (s) => { s.url = 'nats://localhost:4222'; s.rules = rules({ urls: [{ url: s.url as never, cluster: null, serverName: null }], behindProxy: true }) }, expect: denied('url_plaintext') },
  { name: 'url-plaintext-on-loopback', description: 'On loopback there is no network.', before: (s) => { s.url = 'nats://localhost:4222'; s.rules = rules({ urls: [{ url: s.url as never, cluster: null, serverName: null }] }) }, expect: granted('proof') },

  { name: 'credential-unknown', description: 'A made-up credential id.', before: (s) => { s.assertion = { credentialId: b64u(fixed('nobody')) } }, expect: denied('credential_unknown') },
  { name: 'credential-pending', description: 'Enrolment was not finished.', before: (s) => { s.credential.state = 'pending' }, expect: denied('credential_pending') },
  { name: 'credential-revoked', description: 'Revoked.', before: (s) => { s.credential.state = 'revoked' }, expect: denied('credential_revoked') },
  { name: 'credential-revoked-session', description: 'A session does not outlive its credential.', before: (s) => { withSession()(s); s.credential.state = 'revoked' }, sig: boundSig, expect: denied('credential_revoked') },
  { name: 'credential-quarantined', description: 'Quarantined.', before: (s) => { s.credential.state = 'quarantined' }, expect: denied('credential_quarantined') },
  { name: 'credential-expired', description: 'Past its expiry.', before: (s) => { s.credential.expiresAt = NOW - 1 }, expect: denied('credential_expired') },
  { name: 'credential-at-its-expiry', description: 'At the very millisecond.', before: (s) => { s.credential.expiresAt = NOW }, expect: denied('credential_expired') },
  { name: 'identity-unknown', description: 'A credential of nobody.', before: (s) => { s.identity.handle = 'somebody' as never }, expect: denied('identity_unknown') },
  { name: 'identity-disabled', description: 'A disabled identity.', before: (s) => { s.identity.state = 'disabled' }, expect: denied('identity_disabled') },
  { name: 'session-unknown', description: 'An nkey that nobody endorsed.', sig: boundSig, expect: denied('session_unknown') },
  { name: 'session-pending', description: 'The endorsement\'s record never became durable.', before: withSession({ state: 'pending' }), sig: boundSig, expect: denied('session_pending') },
  { name: 'session-revoked', description: 'A revoked session.', before: withSession({ state: 'revoked' }), sig: boundSig, expect: denied('session_revoked') },
  { name: 'session-expired', description: 'A session that is over.', before: withSession({ expiresAt: NOW - 1 }), sig: boundSig, expect: denied('session_expired') },
  { name: 'session-at-its-expiry', description: 'At the very millisecond.', before: withSession({ expiresAt: NOW }), sig: boundSig, expect: denied('session_expired') },
  { name: 'session-of-a-looser-policy', description: 'Endorsed for a month when the role allowed that; today it allows a day.', before: withSession({ createdAt: NOW - 86_400_000, expiresAt: NOW + 86_400_000 }), sig: boundSig, expect: denied('session_expired') },
  { name: 'session-not-plain', description: 'A bare nonce signature where only bound use was endorsed.', before: withSession({ plain: false }), sig: plainSig, expect: denied('session_not_plain') },
  { name: 'plain-session-without-tls', description: 'A hostile network could relay it.', before: (s) => { withSession()(s); s.request = { tls: false, client: { host: '192.0.2.7' } } }, sig: plainSig, expect: denied('plain_session_without_tls') },
  { name: 'plain-session-behind-a-proxy', description: 'TLS to the proxy says nothing about the client.', before: (s) => { withSession()(s); s.rules = rules({ behindProxy: true }) }, sig: plainSig, expect: denied('plain_session_without_tls') },
  { name: 'second-proof-on-the-socket', description: 'Another proof on a connection that was admitted.', sig: (s) => { remembered(s, 'another sig'); return proofSig(s) }, expect: denied('connection_already_proven') },
  { name: 'same-proof-after-its-time', description: 'The grant is over, and the server has not closed the socket yet: an old proof gets no new expiry.', sig: (s) => { const sig = proofSig(s); remembered(s, sig, NOW / 1000); return sig }, expect: denied('connection_already_proven') },
  { name: 'same-resume-after-its-time', description: 'The same with a session.', before: withSession(), sig: (s) => { const sig = boundSig(s); remembered(s, sig, NOW / 1000 - 1); return sig }, expect: denied('connection_already_proven') },

  { name: 'authenticator-data-short', description: 'Authenticator data that ends early.', sig: (s) => { const a = assertionOf(s); a.response.authenticatorData = b64u(Buffer.from(a.response.authenticatorData, 'base64url').subarray(0, 30)); return b64u(JSON.stringify({ v: 1, url: s.url, assertion: a })) }, expect: denied('assertion_malformed') },
  { name: 'client-data-duplicate-member', description: 'Two challenges in the client data.', before: (s) => { s.assertion = { clientDataText: '{"type":"webauthn.get","challenge":"AA","challenge":"AA","origin":"nats-webauthn://machine"}' } }, expect: denied('assertion_malformed') },
  { name: 'user-handle-of-another', description: 'Another user\'s handle.', before: (s) => { s.assertion = { userHandle: b64u(fixed('another user')) } }, expect: denied('user_handle_mismatch') },
  { name: 'registration-as-proof', description: 'Client data of a registration.', before: (s) => { s.assertion = { clientData: { type: 'webauthn.create' } } }, expect: denied('type_mismatch') },
  { name: 'replay-on-another-connection', description: 'A recorded proof under another nonce.', sig: (s) => { const sig = proofSig(s); s.nonce = 'AnotherNonce_15'; return sig }, expect: denied('challenge_mismatch') },
  { name: 'proof-for-another-url', description: 'A relay forwards what was signed for it, under our address.', sig: (s) => { s.url = 'tls://evil.example.net:4222'; const assertion = assertionOf(s); return b64u(JSON.stringify({ v: 1, url: URL_USED, assertion })) }, expect: denied('challenge_mismatch') },
  { name: 'proof-for-another-nkey', description: 'Somebody puts an nkey of their own beside the proof.', sig: (s) => { const sig = proofSig(s); s.nkey = otherNkey.publicKey; return sig }, expect: denied('challenge_mismatch') },
  { name: 'proof-made-plain', description: 'plain was added to a proof that was not signed for it.', sig: (s) => { s.nkey = s.sessionNkey.publicKey; return b64u(JSON.stringify({ v: 1, url: s.url, assertion: assertionOf(s), resume: resumeOf(s), plain: true })) }, expect: denied('challenge_mismatch') },
  { name: 'proof-from-another-ceremony', description: 'An assertion of a sign-in ceremony.', before: (s) => { s.assertion = { challenge: fixed('sign-in challenge') } }, expect: denied('challenge_mismatch') },
  { name: 'origin-of-a-look-alike', description: 'A page on another origin.', who: 'person', before: (s) => { s.assertion = { origin: 'https://nats.example.com.evil.example.net' } }, expect: denied('origin_mismatch') },
  { name: 'machine-as-person', description: 'A person\'s credential used on the machine origin.', who: 'person', before: (s) => { s.assertion = { origin: 'nats-webauthn://machine', flags: FLAGS.BE | FLAGS.BS } }, expect: denied('origin_mismatch') },
  { name: 'person-as-machine', description: 'A machine\'s credential used on a web origin.', before: (s) => { s.assertion = { origin: 'https://nats.example.com', flags: FLAGS.UP | FLAGS.UV | FLAGS.BE } }, expect: denied('origin_mismatch') },
  { name: 'person-where-only-machines', description: 'A deployment without people.', who: 'person', before: (s) => { s.rules = rules({ person: null }) }, expect: denied('rp_id_mismatch') },
  { name: 'embedded-page', description: 'A page inside another origin\'s page.', who: 'person', before: (s) => { s.assertion = { clientData: { crossOrigin: true } } }, expect: denied('cross_origin') },
  { name: 'top-origin', description: 'Client data with a top origin.', who: 'person', before: (s) => { s.assertion = { clientData: { topOrigin: 'https://evil.example.net' } } }, expect: denied('cross_origin') },
  { name: 'other-relying-party', description: 'An assertion for another rpId.', before: (s) => { s.assertion = { rpId: 'nats.example.com' } }, expect: denied('rp_id_mismatch') },
  { name: 'person-absent', description: 'UP=0 from a person.', who: 'person', before: (s) => { s.assertion = { flags: FLAGS.BE | FLAGS.BS } }, expect: denied('user_not_present') },
  { name: 'person-not-verified', description: 'UV=0 where UV is required.', who: 'person', before: (s) => { s.assertion = { flags: FLAGS.UP | FLAGS.BE | FLAGS.BS } }, expect: denied('user_not_verified') },
  { name: 'machine-claims-presence', description: 'UP=1 from a machine.', before: (s) => { s.assertion = { flags: FLAGS.UP | FLAGS.BE } }, expect: denied('machine_flags_mismatch') },
  { name: 'backed-up-but-not-eligible', description: 'BS=1 with BE=0.', before: (s) => { s.assertion = { flags: FLAGS.BS } }, expect: denied('backup_flags_invalid') },
  { name: 'backup-eligibility-changed', description: 'BE=0 where BE=1 was enrolled.', before: (s) => { s.assertion = { flags: 0 } }, expect: denied('backup_eligibility_changed') },
  { name: 'algorithm-not-allowed', description: 'An allowed key under a list without its algorithm.', before: (s) => { s.rules = rules({ algorithms: [-8] }) }, expect: denied('algorithm_refused') },
  { name: 'signed-by-another-key', description: 'Another key\'s signature.', before: (s) => { s.assertion = { key: otherKey } }, expect: denied('signature_invalid') },
  { name: 'signature-not-strict-der', description: 'A byte after the signature.', sig: (s) => { const a = assertionOf(s); a.response.signature = b64u(Buffer.concat([Buffer.from(a.response.signature, 'base64url'), Buffer.from([0])])); return b64u(JSON.stringify({ v: 1, url: s.url, assertion: a })) }, expect: denied('signature_invalid') },
  { name: 'cloned-device-bound', description: 'The counter of a device-bound key went back.', before: (s) => { s.credential.backupEligible = false; s.credential.signCount = 10; s.assertion = { flags: 0, signCount: 9 } }, expect: denied('sign_count_regression') },
  { name: 'cloned-synced', description: 'The counter of a synced key stood still.', who: 'person', before: (s) => { s.credential.signCount = 10; s.assertion = { signCount: 10 } }, expect: denied('sign_count_regression') },
  { name: 'counter-moves', description: 'The counter moves on.', before: (s) => { s.credential.signCount = 10; s.assertion = { signCount: 11 } }, expect: granted('proof') },
  { name: 'counter-race', description: 'Overtaken a second ago.', before: (s) => { s.credential.signCount = 10; s.credential.signCountAt = NOW - 1000; s.assertion = { signCount: 10 } }, expect: denied('sign_count_race') },
  { name: 'clone-by-unsigned-bytes', description: 'A low counter that nobody signed is no clone.', before: (s) => { s.credential.signCount = 10; s.assertion = { signCount: 9, key: otherKey } }, expect: denied('signature_invalid') },
  { name: 'bound-resume-replayed', description: 'A resume recorded on another connection.', before: withSession(), sig: (s) => { const sig = boundSig(s); s.nonce = 'AnotherNonce_15'; return sig }, expect: denied('session_signature_invalid') },
  { name: 'bound-resume-for-another-url', description: 'A resume signed for a relay\'s address.', before: withSession(), sig: (s) => { s.url = 'tls://evil.example.net:4222'; boundSig(s); const resume = resumeOf(s); return b64u(JSON.stringify({ v: 1, url: URL_USED, resume })) }, expect: denied('session_signature_invalid') },
  { name: 'plain-resume-replayed', description: 'A nonce signature of another connection.', before: withSession(), sig: (s) => { const sig = plainSig(s); s.nonce = 'AnotherNonce_15'; return sig }, expect: denied('session_signature_invalid') },
  { name: 'bound-signature-as-plain', description: 'A bound signature sent as a plain one.', before: withSession(), sig: (s) => { s.nkey = s.sessionNkey.publicKey; return resumeOf(s) }, expect: denied('session_signature_invalid') },
  { name: 'endorsing-without-possession', description: 'Endorsing an nkey that somebody else signs for.', sig: (s) => { s.nkey = s.sessionNkey.publicKey; return b64u(JSON.stringify({ v: 1, url: s.url, assertion: assertionOf(s), resume: resumeOf(s, otherNkey) })) }, expect: denied('session_signature_invalid') },

  { name: 'no-role', description: 'No role at all.', before: (s) => { s.identity.roles = [] }, expect: denied('roles_none') },
  { name: 'role-requirement-unmet', description: 'A machine with a role for people only.', before: (s) => { role(s, 'people-only') }, expect: denied('roles_none') },
  { name: 'role-stale', description: 'The identity provider last confirmed it two days ago.', who: 'person', before: (s) => { s.identity.roles = [{ name: 'orders-writer' as never, source: 'idp', asOf: NOW - 2 * 86_400_000 }] }, expect: denied('roles_stale') },
  { name: 'accounts-disagree', description: 'Two roles, two accounts.', before: (s) => { role(s, 'orders-writer', 'elsewhere') }, expect: denied('account_ambiguous') },
  { name: 'template-injection', description: 'A claim that would widen a subject.', before: (s) => { role(s, 'team-writer'); s.identity.claims = { team: '*' } }, expect: denied('template_value_refused') },
  { name: 'template-value-missing', description: 'A claim that is not there.', before: (s) => { role(s, 'team-writer') }, expect: denied('template_value_refused') },
  { name: 'too-many-connections', description: 'A second connection where one is allowed.', before: (s) => { role(s, 'one-connection'); s.connections = 1 }, expect: denied('connection_limit') },
  { name: 'plain-session-not-in-role', description: 'Endorsing for stock clients where the role forbids it.', before: (s) => { role(s, 'bound-only'); s.plain = true }, sig: endorsingSig, expect: denied('plain_session_refused') },
  { name: 'plain-resume-not-in-role-any-more', description: 'The role no longer allows plain sessions.', before: (s) => { withSession()(s); role(s, 'bound-only') }, sig: plainSig, expect: denied('plain_session_refused') },
  { name: 'session-where-role-demands-proofs', description: 'The role now demands a proof each time.', before: (s) => { withSession()(s); role(s, 'proof-each-time') }, sig: boundSig, expect: denied('session_expired') },
  { name: 'endorsing-where-role-demands-proofs', description: 'The proof connects, nothing is stored.', before: (s) => { role(s, 'proof-each-time') }, sig: endorsingSig, expect: granted('proof_endorsing') },

  { name: 'endorsing-another-credentials-nkey', description: 'The nkey serves another credential.', before: withSession({ credential: 'x'.repeat(43) as never }), sig: endorsingSig, expect: denied('endorsement_refused') },
  { name: 'endorsing-a-revoked-nkey', description: 'A tombstoned nkey.', before: withSession({ state: 'revoked' }), sig: endorsingSig, expect: denied('endorsement_refused') },

  { name: 'audit-unavailable', description: 'No durable record, no grant.', unavailable: ['audit'], expect: error('audit_unavailable') },
  { name: 'denied-while-audit-unavailable', description: 'Denials are answered all the same.', unavailable: ['audit'], sig: () => '', expect: denied('sig_missing') },
  { name: 'stores-unavailable', description: 'No bucket, no verdict on who this is.', unavailable: ['stores'], expect: error('store_unavailable') },
  { name: 'internal', description: 'Anything else that breaks.', unavailable: ['identities'], expect: error('internal') },
  { name: 'record-took-too-long', description: 'The record became durable after the server gave up.', auditTakesMs: 6_000, expect: error('deadline_exceeded') },
  ...LIMIT_CASES,
  ...LEGACY_CASES,
]

function role(s: Scenario, ...names: string[]): void {
  s.identity.roles = names.map((name) => ({ name: name as never, source: 'assigned', asOf: NOW }))
}

function verifierSeal(token: string): Uint8Array {
  return serverXkey.seal(Buffer.from(token), verifierXkey.publicKey)
}

function materialize(one: Case) {
  const s = scenario(one.who ?? 'machine', key)
  if (one.sealed) s.request = { serverInfo: { xkey: serverXkey.publicKey } }
  one.before?.(s)
  const sig = (one.sig ?? proofSig)(s)
  const token = requestOf(s, sig)
  const bytes = one.payload ? one.payload(token) : one.sealed ? verifierSeal(token) : token
  return {
    name: one.name,
    description: one.description,
    rules: s.rules,
    credentials: [s.credential],
    sessions: s.sessions,
    identities: [s.identity],
    guard: s.guard,
    connections: s.connections,
    sealed: one.sealed ?? false,
    elapsedMs: one.elapsedMs ?? 0,
    auditTakesMs: one.auditTakesMs ?? 0,
    unavailable: one.unavailable ?? [],
    room: one.room ?? true,
    request: { payload: b64u(Buffer.from(bytes as Uint8Array)), serverXkey: one.sealed ? (one.serverXkey ?? serverXkey.publicKey) : '' },
    ...(one.failed === undefined ? {} : { failed: one.failed.map((each) => ({ credential: credentialKey(s.credential.id), ...each })) }),
    ...(one.legacy === undefined ? {} : { legacy: one.legacy }),
    expect: one.expect,
  }
}

const file = new URL('../test/vectors/journey.json', import.meta.url)
const vectors = {
  description: 'Authorization requests and the one right verdict on each. Binary values are unpadded base64url. See docs/protocol.md.',
  now: new Date(NOW).toISOString(),
  xkeySeed: encodeSeed('X', fixed('verifier xkey')),
  policy: scenario().policy,
  targetAccounts: ['APP', 'OTHER'],
  cases: CASES.map(materialize),
}
writeFileSync(file, `${JSON.stringify(vectors, null, 1)}\n`)
process.stdout.write(`${vectors.cases.length} cases\n`)
