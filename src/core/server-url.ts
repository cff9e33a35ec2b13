/** Whether the address a client signed for is one of ours: what defeats a server that relays another server's nonce. */
import type { AuthorizationRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import { isLoopbackHost, type ServerUrl, serverUrlParts } from './identifiers.ts'
import type { AllowedUrl, Rules } from './rules.ts'

/** Bytes are compared, never normalised. */
export function checkServerUrl(url: ServerUrl, request: AuthorizationRequest, rules: Rules): Checked<AllowedUrl> {
  const listed = rules.urls.filter((entry) => entry.url === url)
  if (listed.length === 0) return denied('url_not_allowed')
  const entry = listed.find(
    ({ cluster, serverName }) =>
      (cluster === null || cluster === request.cluster) && (serverName === null || serverName === request.serverName),
  )
  if (entry === undefined) return denied('url_wrong_server')
  // Without TLS an address names nobody on a hostile network; on loopback there is no network.
  const { scheme, host } = serverUrlParts(url)
  const plaintext = scheme === 'nats' || scheme === 'ws'
  const onLoopback = isLoopbackHost(host) && isLoopbackClient(request, rules)
  if (plaintext && !onLoopback && !rules.dangerouslyAllowPlaintextUrls) return denied('url_plaintext')
  return passed(entry)
}

/** Whether the connection comes from this machine. Behind a proxy every connection seems to. */
export function isLoopbackClient(request: AuthorizationRequest, rules: Rules): boolean {
  return !rules.behindProxy && isLoopbackHost(request.clientHost)
}

/** Whether a plain session may be used on this connection: a hostile network could otherwise relay the signature. */
export function mayUsePlainSession(request: AuthorizationRequest, rules: Rules): boolean {
  if (rules.dangerouslyAllowPlainSessionsWithoutTls) return true
  if (rules.behindProxy) return rules.tlsTerminatedUpstream
  return request.tls || isLoopbackHost(request.clientHost)
}
