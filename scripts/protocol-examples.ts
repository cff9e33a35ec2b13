/**
 * The worked bytes of docs/protocol.md, computed by core from fixed inputs. A test proves that the document says exactly
 * these, and that a second computation, written without core, comes to the same.
 *
 *   node --import tsx scripts/protocol-examples.ts        prints them all
 */
import { createPublicKey, verify } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { ed25519PrivateKey, ed25519RawPublic, ed25519Sign } from '../src/core/ed25519.ts'
import { base64url, concat, lengthPrefixed, utf8 } from '../src/core/encoding.ts'
import { encodePublicNkey } from '../src/core/nkey.ts'
import {
  ceremonyChallenge,
  connectChallenge,
  MACHINE_ORIGIN,
  plainMessage,
  possessionMessage,
  resumeMessage,
} from '../src/core/protocol.ts'
import { sha256 } from '../src/core/sha256.ts'

/** 32 bytes, counting up from `first`. Keys made like this are for examples only. */
function countingBytes(first: number, length = 32): Uint8Array {
  return new Uint8Array(length).map((_, i) => first + i)
}

/** What every example starts from. */
const INPUTS = {
  nonce: 'O2VRyWtLHNKhBnU',
  url: 'tls://nats.example.com:4222',
  rpId: 'machines.nats.example.com',
  sessionSeed: countingBytes(0x00),
  ed25519Seed: countingBytes(0x20),
  es256: {
    // The public point of the private scalar 40 41 … 5f.
    x: '68ec7cf08cd4106e43b14de895426522bd0a45150c027e45c7953434d747e7ba',
    y: 'e3af39a88ebbee8679bb61e7845c3a89cb9b5a3237c3fdb0b0587dbaf415118d',
    // ECDSA signatures are random, so one is fixed here; it is verified below.
    signature:
      '30440220379d038e1dfa3d8ba0621b4f1853c71a993253258b3abd43d4625f3b1e844663022014a827d40dc670673ecbfda13e9760f9f902ca38d8ed602a631b03498502812e',
  },
  credentialId: countingBytes(0xa0, 16),
  userHandle: countingBytes(0xb0, 16),
  issued: countingBytes(0x60),
  verifierOrigin: 'https://verifier.example.com',
  ticket: base64url(countingBytes(0x80)),
} as const

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function clientData(challenge: Uint8Array): string {
  return JSON.stringify({ type: 'webauthn.get', challenge: base64url(challenge), origin: MACHINE_ORIGIN, crossOrigin: false })
}

// WebAuthn L3 §6.1: SHA-256 of the rpId, flags (BE alone), signCount 0.
function authenticatorData(): Uint8Array {
  return concat(sha256(utf8(INPUTS.rpId)), new Uint8Array([0x08, 0, 0, 0, 0]))
}

function assertionJson(challenge: Uint8Array, signature: Uint8Array): object {
  return {
    id: base64url(INPUTS.credentialId),
    rawId: base64url(INPUTS.credentialId),
    type: 'public-key',
    response: {
      clientDataJSON: base64url(utf8(clientData(challenge))),
      authenticatorData: base64url(authenticatorData()),
      signature: base64url(signature),
      userHandle: base64url(INPUTS.userHandle),
    },
    clientExtensionResults: {},
  }
}

function signedBytes(challenge: Uint8Array): Uint8Array {
  return concat(authenticatorData(), sha256(utf8(clientData(challenge))))
}

function sigOf(members: object): string {
  return base64url(utf8(JSON.stringify(members)))
}

type Examples = Record<string, string>

function keys(): Examples & { nkey: string } {
  const session = ed25519PrivateKey(INPUTS.sessionSeed)
  const ed25519 = ed25519RawPublic(ed25519PrivateKey(INPUTS.ed25519Seed))
  const nkey = encodePublicNkey('U', ed25519RawPublic(session))
  // COSE_Key (RFC 9053 §7.2): {1: 1, 3: -8, -1: 6, -2: x}.
  const ed25519Cose = concat(new Uint8Array([0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20]), ed25519)
  // COSE_Key (RFC 9053 §7.1): {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
  const es256Cose = `a5010203262001215820${INPUTS.es256.x}225820${INPUTS.es256.y}`
  return {
    nonce: INPUTS.nonce,
    url: INPUTS.url,
    'session.seed': hex(INPUTS.sessionSeed),
    nkey,
    'credential.id': base64url(INPUTS.credentialId),
    'credential.user_handle': base64url(INPUTS.userHandle),
    'ed25519.seed': hex(INPUTS.ed25519Seed),
    'ed25519.public': hex(ed25519),
    'ed25519.cose': hex(ed25519Cose),
    'es256.x': INPUTS.es256.x,
    'es256.y': INPUTS.es256.y,
    'es256.cose': es256Cose,
    rp_id: INPUTS.rpId,
  }
}

function connect(nkey: string): Examples {
  const { nonce, url } = INPUTS
  const framed = (key: string, plain: string) => hex(lengthPrefixed('nats-webauthn/connect/v1', nonce, url, key, plain))
  const challenge = (key: string, plain: boolean) => hex(connectChallenge(sha256, { nonce, url, nkey: key, plain }))
  return {
    'lp.empty': hex(lengthPrefixed('')),
    'lp.cafe': hex(lengthPrefixed('café')),
    'connect.framed': framed('', ''),
    'connect.challenge': challenge('', false),
    'connect.nkey.framed': framed(nkey, ''),
    'connect.nkey.challenge': challenge(nkey, false),
    'connect.nkey.plain.framed': framed(nkey, 'plain'),
    'connect.nkey.plain.challenge': challenge(nkey, true),
  }
}

function assertion(): Examples {
  const { nonce, url } = INPUTS
  const challenge = connectChallenge(sha256, { nonce, url, nkey: '', plain: false })
  const signed = signedBytes(challenge)
  const signature = ed25519Sign(ed25519PrivateKey(INPUTS.ed25519Seed), signed)
  const es256 = Buffer.from(INPUTS.es256.signature, 'hex')
  const [x, y] = [INPUTS.es256.x, INPUTS.es256.y].map((half) => Buffer.from(half, 'hex').toString('base64url'))
  const es256Key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x as string, y: y as string }, format: 'jwk' })
  if (!verify('sha256', signed, es256Key, es256)) throw new Error('computing the examples: the ES256 signature does not verify')
  return {
    'assertion.client_data': clientData(challenge),
    'assertion.client_data.sha256': hex(sha256(utf8(clientData(challenge)))),
    'assertion.rp_id.sha256': hex(sha256(utf8(INPUTS.rpId))),
    'assertion.authenticator_data': hex(authenticatorData()),
    'assertion.signed': hex(signed),
    'assertion.ed25519.signature': hex(signature),
    'assertion.es256.signature': INPUTS.es256.signature,
    'assertion.json': JSON.stringify(assertionJson(challenge, signature)),
    'assertion.es256.json': JSON.stringify(assertionJson(challenge, es256)),
  }
}

function resume(nkey: string): Examples {
  const { nonce, url } = INPUTS
  const key = ed25519PrivateKey(INPUTS.sessionSeed)
  const message = resumeMessage(sha256, { nonce, url, nkey })
  return {
    'resume.framed': hex(lengthPrefixed('nats-webauthn/resume/v1', nonce, url, nkey)),
    'resume.message': hex(message),
    'resume.signature': hex(ed25519Sign(key, message)),
    'resume.signature.base64url': base64url(ed25519Sign(key, message)),
    'plain.message': hex(plainMessage(nonce)),
    'plain.signature': hex(ed25519Sign(key, plainMessage(nonce))),
  }
}

function sigs(nkey: string): Examples {
  const { nonce, url } = INPUTS
  const sessionKey = ed25519PrivateKey(INPUTS.sessionSeed)
  const prove = (key: string, plain: boolean): object => {
    const challenge = connectChallenge(sha256, { nonce, url, nkey: key, plain })
    return assertionJson(challenge, ed25519Sign(ed25519PrivateKey(INPUTS.ed25519Seed), signedBytes(challenge)))
  }
  const resumed = base64url(ed25519Sign(sessionKey, resumeMessage(sha256, { nonce, url, nkey })))
  const plain = ed25519Sign(sessionKey, plainMessage(nonce))
  const bound = sigOf({ v: 1, url, resume: resumed })
  return {
    'sig.proof': sigOf({ v: 1, url, assertion: prove('', false) }),
    'sig.endorsing': sigOf({ v: 1, url, assertion: prove(nkey, false), resume: resumed }),
    'sig.endorsing.plain': sigOf({ v: 1, url, assertion: prove(nkey, true), resume: resumed, plain: true }),
    'sig.bound.json': JSON.stringify({ v: 1, url, resume: resumed }),
    'sig.bound': bound,
    'sig.plain': base64url(plain),
    'sig.plain.base64': Buffer.from(plain).toString('base64'),
    'connect.line': `CONNECT ${JSON.stringify({ verbose: false, pedantic: false, lang: 'example', version: '1.0.0', protocol: 1, nkey, sig: bound })}`,
  }
}

function ceremonies(nkey: string): Examples {
  const { issued, verifierOrigin: origin } = INPUTS
  const ticketId = base64url(sha256(utf8(INPUTS.ticket)))
  const credentialId = base64url(INPUTS.credentialId)
  const challenge = (purpose: Parameters<typeof ceremonyChallenge>[1]['purpose'], subject: string) =>
    ceremonyChallenge(sha256, { purpose, issued, origin, subject })
  const session = challenge('session', `${nkey}\nplain`)
  const possession = possessionMessage(sha256, session)
  return {
    'ceremony.issued': hex(issued),
    'ceremony.origin': origin,
    'ceremony.ticket': INPUTS.ticket,
    'ceremony.ticket.id': ticketId,
    'ceremony.enrol.framed': hex(lengthPrefixed('nats-webauthn/enrol/v1', issued, origin, ticketId)),
    'ceremony.enrol.challenge': hex(challenge('enrol', ticketId)),
    'ceremony.enrol-possession.framed': hex(lengthPrefixed('nats-webauthn/enrol-possession/v1', issued, origin, credentialId)),
    'ceremony.enrol-possession.challenge': hex(challenge('enrol-possession', credentialId)),
    'ceremony.session.framed': hex(lengthPrefixed('nats-webauthn/session/v1', issued, origin, `${nkey}\nplain`)),
    'ceremony.session.challenge': hex(session),
    'possession.framed': hex(concat(lengthPrefixed('nats-webauthn/possess/v1'), session)),
    'possession.message': hex(possession),
    'possession.signature': hex(ed25519Sign(ed25519PrivateKey(INPUTS.sessionSeed), possession)),
  }
}

/** Every worked value, by the name it has in docs/protocol.md. */
export function protocolExamples(): Examples {
  const inputs = keys()
  const { nkey } = inputs
  return { ...inputs, ...connect(nkey), ...assertion(), ...resume(nkey), ...sigs(nkey), ...ceremonies(nkey) }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [name, value] of Object.entries(protocolExamples())) process.stdout.write(`${name} = ${value}\n`)
}
