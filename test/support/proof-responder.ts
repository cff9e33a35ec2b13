/** A verifier in miniature for the SDK's tests: it checks proofs and resumes, and forgets everything else. */
import { EventEmitter, once } from 'node:events'
import { connect, nkeyAuthenticator } from 'nats'
import { ed25519PrivateKey, ed25519Sign } from '../../src/core/ed25519.ts'
import { base64url, fromBase64url, fromUtf8, utf8 } from '../../src/core/encoding.ts'
import { type Nonce, parseNonce, type UserNkey } from '../../src/core/identifiers.ts'
import { decodeSeed } from '../../src/core/nkey.ts'
import { readOffer } from '../../src/core/proof.ts'
import { connectChallenge, MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import { verifyBoundResume } from '../../src/core/session.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import type { Deployment } from './deployment.ts'
import type { TestMachine } from './machine.ts'
import { signatures } from './signatures.ts'

export interface Answered {
  form: 'proof' | 'endorsing' | 'bound' | 'plain' | 'none'
  granted: boolean
  url: string
}

export interface ProofResponder {
  /** What was asked, in order. */
  answered: Answered[]
  /** Resolves when that many were asked. */
  asked(count: number): Promise<void>
  /** nkeys that may resume. Shared between responders, or emptied, by the test. */
  sessions: Set<string>
  /** Lifetime of the next grants. */
  expiresSeconds: number
  /** From now on everything is denied. */
  denying: boolean
  stop(): Promise<void>
}

interface Request {
  nats: { user_nkey: string; server_id: { id: string }; client_info: { nonce?: string }; connect_opts: { sig?: string; nkey?: string } }
}

/** Answers the callouts of a deployment without xkey for one machine. Sessions are kept unless `sessions` is null. */
export async function startProofResponder(
  deployment: Deployment,
  machine: TestMachine,
  sessions: Set<string> | null = new Set(),
  tls?: { ca: string },
): Promise<ProofResponder> {
  const key = ed25519PrivateKey(decodeSeed('A', deployment.seeds.issuer) as Uint8Array)
  const jwt = (claims: object) => {
    const signed = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part({ ...claims, iss: deployment.publicKeys.issuer })}`
    return `${signed}.${base64url(ed25519Sign(key, utf8(signed)))}`
  }
  const nc = await connect({
    servers: `localhost:${deployment.server.port}`,
    ...(tls === undefined ? {} : { tls }),
    authenticator: nkeyAuthenticator(utf8(deployment.seeds.verifierAuth)),
    inboxPrefix: '_INBOX_verifier',
    reconnectTimeWait: 50,
    maxReconnectAttempts: -1,
  })
  const events = new EventEmitter()
  const responder: ProofResponder = {
    answered: [],
    sessions: sessions ?? new Set(),
    expiresSeconds: 60,
    denying: false,
    asked: async (count) => {
      while (responder.answered.length < count) await once(events, 'answered')
    },
    stop: () => nc.close(),
  }
  nc.subscribe('$SYS.REQ.USER.AUTH', {
    callback: (_error, message) => {
      const { nats }: Request = JSON.parse(fromUtf8(fromBase64url(message.string().split('.')[1] ?? '') as Uint8Array) as string)
      const judged = judge(machine, responder.sessions, nats)
      const granted = judged.granted && !responder.denying
      if (granted && judged.form === 'endorsing' && sessions !== null) sessions.add(nats.connect_opts.nkey ?? '')
      responder.answered.push({ ...judged, granted })
      events.emit('answered')
      const iat = Math.floor(Date.now() / 1000)
      const user = {
        sub: nats.user_nkey,
        aud: 'APP',
        name: machine.key.handle,
        iat,
        exp: iat + responder.expiresSeconds,
        nats: { type: 'user', version: 2, pub: {}, sub: {}, subs: -1, data: -1, payload: -1 },
      }
      const answer = granted ? { jwt: jwt(user) } : { error: 'denied' }
      message.respond(
        utf8(jwt({ sub: nats.user_nkey, aud: nats.server_id.id, iat, nats: { type: 'authorization_response', version: 2, ...answer } })),
      )
    },
  })
  await nc.flush()
  return responder
}

function judge(machine: TestMachine, sessions: ReadonlySet<string>, request: Request['nats']): Answered {
  const { sig = '', nkey = '' } = request.connect_opts
  const nonce = parseNonce(request.client_info.nonce)
  const read = readOffer({ sig, nkey })
  if (!read.ok || nonce === null) return { form: 'none', granted: false, url: '' }
  const offer = read.value
  switch (offer.form) {
    case 'plain':
      return { form: 'plain', granted: false, url: '' }
    case 'bound':
      return { form: 'bound', granted: resumes(offer, nonce) && sessions.has(offer.nkey), url: offer.url }
    case 'proof':
    case 'endorsing': {
      const plain = offer.form === 'endorsing' && offer.plain
      const verdict = verifyAssertion(offer.assertion, machine.credential, {
        challenge: connectChallenge(sha256, { nonce, url: offer.url, nkey: offer.nkey ?? '', plain }),
        rpId: machine.credential.rpId,
        origins: [MACHINE_ORIGIN],
        class: 'machine',
        requireUserVerification: false,
        algorithms: [-7, -8],
      })
      const possessed = offer.form === 'proof' || resumes(offer, nonce)
      return { form: offer.form, granted: verdict.ok && possessed, url: offer.url }
    }
  }
}

function resumes(
  offer: { nkey: UserNkey; url: Parameters<typeof verifyBoundResume>[0]['url']; resume: Uint8Array },
  nonce: Nonce,
): boolean {
  return verifyBoundResume({ nkey: offer.nkey, nonce, url: offer.url, signature: offer.resume }, signatures)
}

function part(value: object): string {
  return base64url(utf8(JSON.stringify(value)))
}
