/** Stage "open": is this a genuine, current authorization request from a nats-server, about a client? */
import { decodeBase64url } from './base64url.ts'
import { type Checked, denied, passed } from './checked.ts'
import { fromUtf8 } from './encoding.ts'
import { parseServerId, parseUserNkey, type ServerId, type UserNkey } from './identifiers.ts'
import { decodePublicNkey } from './nkey.ts'
import type { SignaturePort, XkeyPort } from './ports.ts'
import type { Rules } from './rules.ts'
import { parseStrictJson } from './strict-json.ts'

const requestBytesMax = 64 * 1024
const jsonDepthMax = 12
const textCharsMax = 256

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
  /** What readRequest made of it, where that was asked already. */
  read?: Checked<UnverifiedRequest>
}

declare const readBrand: unique symbol

/** A request that was unsealed and parsed. Not a word of it is verified: good for waiting in line, never for a verdict. */
export interface UnverifiedRequest {
  readonly [readBrand]: true
  readonly body: Record<string, unknown>
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** Unseals and parses one message of `$SYS.REQ.USER.AUTH`, and verifies nothing. `xkey` is null where none is configured. */
export function readRequest(incoming: IncomingRequest, xkey: XkeyPort | null): Checked<UnverifiedRequest> {
  if (incoming.payload.length > requestBytesMax) return denied('request_oversized')
  const token = unseal(incoming, xkey)
  return token.ok ? readClaims(token.value) : token
}

/** Who the request says has connected, and how many seconds it gives: for waiting in line alone. */
export function claimOf({ body }: UnverifiedRequest): { clientHost: string; seconds: number } {
  const client = record(record(body['nats'])['client_info'])
  const [iat, exp] = [body['iat'], body['exp']]
  return { clientHost: text(client['host']), seconds: isSafeInteger(iat) && isSafeInteger(exp) ? exp - iat : 0 }
}

/** Opens, authenticates and reads one message of `$SYS.REQ.USER.AUTH`. `xkey` is null where none is configured. */
export function openRequest(
  incoming: IncomingRequest,
  { rules, xkey, signatures, now }: { rules: Rules; xkey: XkeyPort | null; signatures: SignaturePort; now: Date },
): Checked<AuthorizationRequest> {
  const claims = incoming.read ?? readRequest(incoming, xkey)
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
  if (!signatures.byServer(serverId, signed, signature)) return denied('request_signature_invalid')
  return readConnection({ nats, server, serverId, ...validity.value, sealedFor: xkey === null ? null : incoming.serverXkey })
}

/**
 * What the client wrote into CONNECT, passwords and tokens included: for report-only mode alone, so that no part of the
 * journey holds them. Of a message that openRequest has passed; of any other it is empty.
 */
export function connectOptions(incoming: IncomingRequest, xkey: XkeyPort | null): Record<string, unknown> {
  const token = unseal(incoming, xkey)
  const claims = token.ok ? readClaims(token.value) : token
  return claims.ok ? record(record(claims.value.body['nats'])['connect_opts']) : {}
}

function unseal({ payload, serverXkey }: IncomingRequest, xkey: XkeyPort | null): Checked<Uint8Array> {
  let plain: Uint8Array | null = payload
  if (xkey !== null) {
    // A sealed message begins with "xkv1", a JWT with "eyJ".
    if (serverXkey === '' || fromUtf8(payload.subarray(0, 4)) !== 'xkv1') return denied('request_unsealed')
    plain = xkey.open(payload, serverXkey)
    if (plain === null) return denied(decodePublicNkey('X', serverXkey) === null ? 'request_unsealed' : 'request_unopenable')
  }
  return passed(plain)
}

// {"typ":"JWT","alg":"ed25519-nkey"}, as every nats-server writes it.
const USUAL_HEADER = 'eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ'

function isNkeyHeader(head: Record<string, unknown>): boolean {
  return head['typ'] === 'JWT' && head['alg'] === 'ed25519-nkey'
}

function readClaims(token: Uint8Array): Checked<UnverifiedRequest> {
  const [header, payload, signatureText, ...rest] = fromUtf8(token)?.split('.') ?? []
  if (header === undefined || payload === undefined || signatureText === undefined || rest.length > 0) return denied('request_malformed')
  if (header !== USUAL_HEADER && !isNkeyHeader(record(json(header)))) return denied('request_malformed')
  const body = json(payload)
  const signature = decodeBase64url(signatureText)
  if (!isRecord(body) || signature === null || signature.length !== 64) return denied('request_malformed')
  // Base64url is ASCII: as many bytes as characters.
  return passed({ body, signed: token.subarray(0, header.length + 1 + payload.length), signature } as UnverifiedRequest)
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
  const bytes = decodeBase64url(part)
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
