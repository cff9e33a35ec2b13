/**
 * The responder to compare with: what one would write in an afternoon from the libraries as they are, and nothing else. It
 * verifies the request and the assertion and signs the answer; it records nothing, keeps nothing, and lets anybody replay.
 */
import { writeFileSync } from 'node:fs'
import { decode, encodeAuthorizationResponse, encodeUser } from '@nats-io/jwt'
import { type AuthenticationResponseJSON, verifyAuthenticationResponse } from '@simplewebauthn/server'
import { connect, type Msg, nkeyAuthenticator } from 'nats'
import { fromCurveSeed, fromSeed } from 'nkeys.js'
import { connectChallenge, MACHINE_ORIGIN } from '../src/core/protocol.ts'
import { sha256 } from '../src/core/sha256.ts'
import { readPlan } from './responder-plan.ts'

interface Request {
  user_nkey: string
  server_id: { id: string }
  client_info: { nonce: string }
  connect_opts: { sig: string }
}

const plan = readPlan()
const text = new TextEncoder()
const issuer = fromSeed(text.encode(plan.issuerSeed))
const xkey = fromCurveSeed(text.encode(plan.xkeySeed))
const credentials = new Map(plan.credentials.map((credential) => [credential.id, credential]))
const grantSeconds = 900

const nats = await connect({
  servers: plan.servers,
  authenticator: nkeyAuthenticator(text.encode(plan.authSeed)),
  inboxPrefix: '_INBOX_verifier',
})
nats.subscribe('$SYS.REQ.USER.AUTH', {
  callback: (_, message) => {
    answer(message).then(
      (reply) => message.respond(reply),
      () => message.respond(new Uint8Array(0)),
    )
  },
})
await nats.flush()
writeFileSync(plan.readyFile, '')
process.once('SIGTERM', () => void nats.close())

async function answer(message: Msg): Promise<Uint8Array> {
  const serverXkey = message.headers?.get('Nats-Server-Xkey') ?? ''
  const token = new TextDecoder().decode(xkey.open(message.data, serverXkey) ?? new Uint8Array(0))
  // `decode` verifies the signature of the server that it names.
  const request = decode(token).nats as unknown as Request
  const { sig } = request.connect_opts
  const { nonce } = request.client_info
  const { assertion } = JSON.parse(Buffer.from(sig, 'base64url').toString()) as { assertion: AuthenticationResponseJSON }
  const credential = credentials.get(assertion.id)
  if (credential === undefined) throw new Error('answering for an unknown credential')
  const { verified } = await verifyAuthenticationResponse({
    response: assertion,
    expectedChallenge: Buffer.from(connectChallenge(sha256, { nonce, url: plan.url, nkey: '', plain: false })).toString('base64url'),
    expectedOrigin: MACHINE_ORIGIN,
    expectedRPID: plan.rpId,
    credential: { id: credential.id, publicKey: Buffer.from(credential.publicKey, 'base64url'), counter: 0 },
    requireUserVerification: false,
  })
  if (!verified) throw new Error('answering for a bad assertion')
  const permissions = { pub: { allow: [`bench.${credential.handle}.>`], deny: [] }, sub: { allow: ['work.bench'], deny: [] } }
  const jwt = await encodeUser(credential.handle, request.user_nkey, issuer, permissions, {
    aud: 'APP',
    exp: Math.floor(Date.now() / 1000) + grantSeconds,
  })
  const response = await encodeAuthorizationResponse(request.user_nkey, request.server_id.id, issuer, { jwt }, {})
  return xkey.seal(text.encode(response), serverXkey)
}
