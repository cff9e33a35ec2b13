/** TLS options with which a client knows that it reached the host it dialled. */
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { ServerUrl } from '../core/server-address.ts'
import { WebAuthnClientError } from './client-error.ts'
import { dialledHost } from './dialled-url.ts'

/** What a program may say about TLS: which authorities it trusts, and who it is. */
export interface TlsTrust {
  ca?: string
  caFile?: string
  cert?: string
  certFile?: string
  key?: string
  keyFile?: string
  /** For servers with `handshake_first`: nothing is read before TLS. */
  handshakeFirst?: boolean
}

/** What the client library hands to node:tls. */
export interface VerifiedTls extends TlsTrust {
  rejectUnauthorized: true
  servername: string
  checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined
}

const TRUST = new Set(['ca', 'caFile', 'cert', 'certFile', 'key', 'keyFile', 'handshakeFirst'])

/** The TLS options for `url`, or null where the client library takes none. Refuses all that would weaken verification. */
export function verifiedTls(url: ServerUrl, trust: TlsTrust | undefined): VerifiedTls | null {
  const { scheme, host } = dialledHost(url)
  if (trust !== undefined) refuseUnsafe(trust)
  if (scheme !== 'tls') {
    if (trust !== undefined)
      throw new WebAuthnClientError('option_refused', `preparing TLS: options for ${scheme}://, which takes none; write tls://`)
    // WebSockets are verified by the runtime, and this variable tells it not to.
    if (scheme === 'wss' && process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
      throw new WebAuthnClientError('tls_unverified', 'preparing TLS: NODE_TLS_REJECT_UNAUTHORIZED=0 is set')
    }
    return null
  }
  return {
    ...trust,
    rejectUnauthorized: true,
    // No SNI for addresses (RFC 6066 §3).
    servername: isIP(host) === 0 ? host : '',
    // For an IP address, client libraries upgrade a socket that has no name, and node:tls would then check "localhost".
    checkServerIdentity: (_host, certificate) => checkServerIdentity(host, certificate),
  }
}

function refuseUnsafe(trust: object): void {
  for (const [name, value] of Object.entries(trust)) {
    if (TRUST.has(name) || value === undefined || (name === 'rejectUnauthorized' && value === true)) continue
    const code = name === 'rejectUnauthorized' || name === 'checkServerIdentity' ? 'tls_unverified' : 'option_refused'
    throw new WebAuthnClientError(code, `preparing TLS: the option ${printable(name)} is refused`)
  }
}

function printable(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '?').slice(0, 40)
}
