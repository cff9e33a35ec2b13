/** Stage "open": is this a genuine, current authorization request from a nats-server, about a client? */
import type { KeyObject } from 'node:crypto'
import { type Checked, denied, passed } from './checked.ts'
import { ed25519PublicKey, ed25519Verify } from './ed25519.ts'
import { fromBase64url, fromUtf8, utf8 } from './encoding.ts'
import { parseServerId, parseUserNkey, type ServerId, type UserNkey } from './identifiers.ts'
import { decodePublicNkey } from './nkey.ts'
import type { XkeyPort } from './ports.ts'
import type { Rules } from './rules.ts'
import { parseStrictJson } from './strict-json.ts'

const requestBytesMax = 64 * 1024
const jsonDepthMax = 12
const textCharsMax = 256
const serverKeysMax = 1024

/** A verified authorization request (nats-io/jwt v2 `authorization_claims.go`). */
export interface AuthorizationRequest {
  serverId: ServerId
  serverName: string
  cluster: string | null
  /** Curve key to seal the answer to, when the request came sealed. */
  sealedFor: string | null
  userNkey: UserNkey
  clientId: number
  clientHost: string
  clientName: string
  clientType: 'nats' | 'websocket'
  /** '' when the server sent none. */
  nonce: string
  sig: string
  nkey: string
  tls: boolean
  /** Epoch seconds. */
  iat: number
  exp: number
}

export interface IncomingRequest {
  payload: Uint8Array
  /** Header `Nats-Server-Xkey`, or '' when there is none. */
  serverXkey: string
}

// A cluster has few servers; their keys are parsed once. Bounded, because anybody can make a server key.
const serverKeys = new Map<ServerId, KeyObject>()

function serverKey(id: ServerId): KeyObject {
  const known = serverKeys.get(id)
  if (known !== undefined) return known
  if (serverKeys.size >= serverKeysMax) serverKeys.clear()
  const key = ed25519PublicKey(decodePublicNkey('N', id) as Uint8Array)
  serverKeys.set(id, key)
  return key
}

/** Opens, authenticates and reads one message of `$SYS.REQ.USER.AUTH`. `xkey` is null where none is configured. */
export function openRequest(
  incoming: IncomingRequest,
  { rules, xkey, now }: { rules: Rules; xkey: XkeyPort | null; now: Date },
): Checked<AuthorizationRequest> {
  if (incoming.payload.length > requestBytesMax) return denied('request_oversized')
  const token = unseal(incoming, xkey)
  if (!token.ok) return token
  const claims = readClaims(token.value)
  if (!claims.ok) return claims
  const { body, signed, signature } = claims.value
  const nats = record(body['nats'])
  const server = record(nats['server_id'])
  const serverId = parseServerId(body['iss'])
  if (serverId === null || nats['type'] !== 'authorization_request') return denied('request_malformed')
  // Anybody can sign with a server key of their own: the issuer must be the server the request speaks of.
  if (body['aud'] !== 'nats-authorization-request' || server['id'] !== serverId) return denied('request_readdressed')
  if (xkey !== null && server['xkey'] !== incoming.serverXkey) return denied('request_unsealed')
  if (rules.serverIds !== null && !rules.serverIds.includes(serverId)) return denied('request_server_unknown')
  const validity = checkValidity(body, rules.leewaySeconds, now)
  if (!validity.ok) return validity
  if (!ed25519Verify(serverKey(serverId), utf8(signed), signature)) return denied('request_signature_invalid')
  return readConnection({ nats, server, serverId, ...validity.value, sealedFor: xkey === null ? null : incoming.serverXkey })
}

function unseal({ payload, serverXkey }: IncomingRequest, xkey: XkeyPort | null): Checked<string> {
  let plain: Uint8Array | null = payload
  if (xkey !== null) {
    // A sealed message begins with "xkv1", a JWT with "eyJ".
    if (serverXkey === '' || fromUtf8(payload.subarray(0, 4)) !== 'xkv1') return denied('request_unsealed')
    if (decodePublicNkey('X', serverXkey) === null) return denied('request_unsealed')
    plain = xkey.open(payload, serverXkey)
    if (plain === null) return denied('request_unopenable')
  }
  const token = fromUtf8(plain)
  return token === null ? denied('request_malformed') : passed(token)
}

interface SignedClaims {
  body: Record<string, unknown>
  signed: string
  signature: Uint8Array
}

function readClaims(token: string): Checked<SignedClaims> {
  const [header, payload, signatureText, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signatureText === undefined || rest.length > 0) return denied('request_malformed')
  const head = record(json(header))
  if (head['typ'] !== 'JWT' || head['alg'] !== 'ed25519-nkey') return denied('request_malformed')
  const body = json(payload)
  const signature = fromBase64url(signatureText)
  if (!isRecord(body) || signature === null || signature.length !== 64) return denied('request_malformed')
  return passed({ body, signed: `${header}.${payload}`, signature })
}

function checkValidity(body: Record<string, unknown>, leewaySeconds: number, now: Date): Checked<{ iat: number; exp: number }> {
  const { iat, exp, nbf } = body
  if (!isSafeInteger(iat) || !isSafeInteger(exp) || exp < iat) return denied('request_malformed')
  if (nbf !== undefined && !isSafeInteger(nbf)) return denied('request_malformed')
  const seconds = now.getTime() / 1000
  if (exp + leewaySeconds < seconds || iat - leewaySeconds > seconds) return denied('request_expired')
  if (nbf !== undefined && nbf - leewaySeconds > seconds) return denied('request_expired')
  return passed({ iat, exp })
}

function readConnection(opened: {
  nats: Record<string, unknown>
  server: Record<string, unknown>
  serverId: ServerId
  iat: number
  exp: number
  sealedFor: string | null
}): Checked<AuthorizationRequest> {
  const { nats, server, serverId, iat, exp, sealedFor } = opened
  const client = record(nats['client_info'])
  const connect = record(nats['connect_opts'])
  const userNkey = parseUserNkey(nats['user_nkey'])
  if (userNkey === null || !isSafeInteger(client['id'])) return denied('request_malformed')
  // nats-server bounds the permissions of leafnodes badly, and they arrive here too.
  if (client['kind'] !== 'Client') return denied('client_kind_refused')
  const clientType = client['type']
  if (clientType !== 'nats' && clientType !== 'websocket') return denied('client_type_refused')
  return passed({
    serverId,
    serverName: text(server['name']),
    cluster: text(server['cluster']) || null,
    sealedFor,
    userNkey,
    clientId: client['id'],
    clientHost: text(client['host']),
    clientName: text(connect['name']),
    clientType,
    nonce: text(client['nonce']),
    sig: typeof connect['sig'] === 'string' ? connect['sig'] : '',
    nkey: text(connect['nkey']),
    tls: isRecord(nats['client_tls']),
    iat,
    exp,
  })
}

function json(part: string): unknown {
  const bytes = fromBase64url(part)
  const decoded = bytes === null ? null : fromUtf8(bytes)
  return decoded === null ? undefined : parseStrictJson(decoded, jsonDepthMax)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}

function isSafeInteger(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, textCharsMax) : ''
}
