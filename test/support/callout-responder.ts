/** A responder for tests of permissions alone: it proves nobody and answers with the claims a test made for the user's name. */
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { ed25519PrivateKey, ed25519Sign } from '../../src/core/ed25519.ts'
import { base64url, fromBase64url, utf8 } from '../../src/core/encoding.ts'
import { parseUserNkey, type UserNkey } from '../../src/core/identifiers.ts'
import { decodeSeed } from '../../src/core/nkey.ts'
import type { UserClaims } from '../../src/core/user-claims.ts'
import type { Deployment } from './deployment.ts'

export interface CalloutResponder {
  /** Connects through the callout as `user`. */
  connectAs(user: string): Promise<NatsConnection>
  stop(): Promise<void>
}

interface RequestClaims {
  nats: { user_nkey: string; server_id: { id: string }; connect_opts: { user?: string } }
}

/** Answers every callout of a deployment that was started without xkey; `claimsFor` is asked by the user's name. */
export async function startCalloutResponder(
  deployment: Deployment,
  claimsFor: (user: string, userNkey: UserNkey) => UserClaims,
): Promise<CalloutResponder> {
  const servers = `127.0.0.1:${deployment.server.port}`
  const issuer = deployment.publicKeys.issuer
  const key = ed25519PrivateKey(decodeSeed('A', deployment.seeds.issuer) as Uint8Array)
  const jwt = (claims: object) => {
    const signed = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part({ ...claims, iss: issuer })}`
    return `${signed}.${base64url(ed25519Sign(key, utf8(signed)))}`
  }
  const nc = await connect({
    servers,
    authenticator: nkeyAuthenticator(utf8(deployment.seeds.verifierAuth)),
    inboxPrefix: '_INBOX_verifier',
  })
  nc.subscribe('$SYS.REQ.USER.AUTH', {
    callback: (_error, message) => {
      const request = readClaims(message.string())
      const userNkey = parseUserNkey(request.nats.user_nkey) as UserNkey
      const user = claimsFor(request.nats.connect_opts.user ?? '', userNkey)
      message.respond(
        utf8(
          jwt({
            sub: userNkey,
            aud: request.nats.server_id.id,
            iat: user.iat,
            nats: { type: 'authorization_response', version: 2, jwt: jwt(user) },
          }),
        ),
      )
    },
  })
  await nc.flush()
  return {
    connectAs: (user) => connect({ servers, user, pass: 'unused', inboxPrefix: `_INBOX_${user}`, reconnect: false }),
    stop: () => nc.close(),
  }
}

function part(value: object): string {
  return base64url(utf8(JSON.stringify(value)))
}

function readClaims(token: string): RequestClaims {
  return JSON.parse(new TextDecoder().decode(fromBase64url(token.split('.')[1] ?? '') ?? new Uint8Array())) as RequestClaims
}
