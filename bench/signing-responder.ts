/**
 * The least a responder can do: opens the request, checks nothing, and signs the answer with the same native code as the
 * verifier. What storms take with it is the clients' and nats-server's own time.
 */
import { writeFileSync } from 'node:fs'
import { connect, nkeyAuthenticator } from 'nats'
import { chooseCrypto } from '../src/crypto.ts'
import { issuerFromSeed } from '../src/nats/answer.ts'
import { xkeyFromSeed } from '../src/nats/xkey.ts'
import { readPlan } from './responder-plan.ts'

interface Request {
  nats: { user_nkey: string; server_id: { id: string } }
}

const plan = readPlan()
const text = new TextEncoder()
const crypto = chooseCrypto(process.env['NATS_WEBAUTHN_CRYPTO'])
const issuer = issuerFromSeed(plan.issuerSeed, crypto.ed25519)
const xkey = xkeyFromSeed(plan.xkeySeed, crypto.secretBox)
const grantSeconds = 900

const nats = await connect({
  servers: plan.servers,
  authenticator: nkeyAuthenticator(text.encode(plan.authSeed)),
  inboxPrefix: '_INBOX_verifier',
  maxReconnectAttempts: -1,
  reconnectTimeWait: 250,
})
nats.subscribe('$SYS.REQ.USER.AUTH', {
  callback: (_, message) => {
    const serverXkey = message.headers?.get('Nats-Server-Xkey') ?? ''
    const opened = xkey.open(message.data, serverXkey)
    if (opened !== null) message.respond(xkey.seal(text.encode(answerTo(opened)), serverXkey))
  },
})
await nats.flush()
writeFileSync(plan.readyFile, '')
process.once('SIGTERM', () => void nats.close())

function answerTo(token: Uint8Array): string {
  const [, claims = ''] = Buffer.from(token).toString().split('.')
  const { nats: request } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Request
  const iat = Math.floor(Date.now() / 1000)
  const jwt = issuer.sign({
    sub: request.user_nkey,
    aud: 'APP',
    name: 'anybody',
    iat,
    exp: iat + grantSeconds,
    nats: { type: 'user', version: 2, pub: { allow: ['>'] }, sub: { allow: ['>'] }, subs: -1, data: -1, payload: -1 },
  })
  return issuer.sign({ sub: request.user_nkey, aud: request.server_id.id, iat, nats: { type: 'authorization_response', version: 2, jwt } })
}
