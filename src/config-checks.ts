/** What the schema of nats-webauthn.yaml cannot say: settings that contradict each other or could never work. */
import { identityProviderProblems } from './config-identity-providers.ts'
import { isLoopbackListener, type RawConfig } from './config-schema.ts'
import { canonicalServerUrl, isLoopbackHost, parseServerUrl, serverUrlParts } from './core/identifiers.ts'
import { parseUrl } from './core/server-address.ts'

export interface ConfigProblem {
  where: (string | number)[]
  message: string
}

/** Every contradiction in a configuration of the right shape. */
export function configProblems(raw: RawConfig): ConfigProblem[] {
  return [...accountProblems(raw), ...urlProblems(raw), ...partyProblems(raw), ...listenerProblems(raw), ...providerProblems(raw)]
}

function accountProblems({ callout: { accounts } }: RawConfig): ConfigProblem[] {
  const own = [accounts.auth, accounts.audit, accounts.system, '$SYS']
  const targets = accounts.targets.flatMap((name, index) =>
    own.includes(name)
      ? [{ where: ['callout', 'accounts', 'targets', index], message: `${name} belongs to the verifier: nobody is ever put there` }]
      : [],
  )
  const distinct = new Set([accounts.auth, accounts.audit, accounts.system]).size === 3
  return distinct ? targets : [...targets, { where: ['callout', 'accounts'], message: 'auth, audit and system must be three accounts' }]
}

function urlProblems(raw: RawConfig): ConfigProblem[] {
  const problems = raw.urls.flatMap((entry, index): ConfigProblem[] => {
    const where = typeof entry === 'string' ? ['urls', index] : ['urls', index, 'url']
    const text = typeof entry === 'string' ? entry : entry.url
    const url = parseServerUrl(text)
    if (url === null) {
      const meant = canonicalServerUrl(text)
      return [
        {
          where,
          message:
            meant === null ? 'not an address of a server: scheme://host:port' : `clients sign the canonical spelling: write ${meant}`,
        },
      ]
    }
    const { scheme, host } = serverUrlParts(url)
    const plaintext = scheme === 'nats' || scheme === 'ws'
    const onLoopback = isLoopbackHost(host) && !raw.behind_proxy
    if (!plaintext || onLoopback || raw.dangerously_allow_plaintext_urls) return []
    return [{ where, message: 'without TLS only loopback is accepted: use tls:// or wss://, or say dangerously_allow_plaintext_urls' }]
  })
  if (raw.tls_terminated_upstream && !raw.behind_proxy) {
    problems.push({ where: ['tls_terminated_upstream'], message: 'means nothing unless behind_proxy is true' })
  }
  return problems
}

function partyProblems({ relying_parties: { machine, person }, enrolment }: RawConfig): ConfigProblem[] {
  if (person === undefined) return []
  const where = ['relying_parties', 'person']
  const problems: ConfigProblem[] = []
  if (person.rp_id === machine.rp_id) {
    problems.push({ where: [...where, 'rp_id'], message: 'people and machines need rpIds of their own' })
  }
  for (const [index, origin] of person.origins.entries()) {
    const message = originProblem(origin, person.rp_id)
    if (message !== null) problems.push({ where: [...where, 'origins', index], message })
  }
  // Otherwise the passkeys that people make at the page would be refused when they connect, or could not be made at all.
  if (problems.length === 0 && enrolment !== undefined && isHttpOrigin(enrolment.origin) && !person.origins.includes(enrolment.origin)) {
    problems.push({ where: [...where, 'origins'], message: `people sign in at enrolment.origin: ${enrolment.origin} must be among them` })
  }
  return problems
}

/** WebAuthn L3 §5.1.3: the rpId is the origin's host or a parent domain of it, and the origin is a secure context. */
function originProblem(origin: string, rpId: string): string | null {
  if (!isHttpOrigin(origin)) return 'not a web origin: https://host[:port], and http:// for localhost alone'
  const { hostname } = new URL(origin)
  return hostname === rpId || hostname.endsWith(`.${rpId}`) ? null : `not a page of ${rpId}`
}

function isHttpOrigin(text: string): boolean {
  const url = parseUrl(text)
  if (url === null || url.origin !== text) return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
}

function providerProblems({ identity_providers, relying_parties: { person }, enrolment }: RawConfig): ConfigProblem[] {
  return identityProviderProblems(identity_providers, { hasPeople: person !== undefined, hasPage: enrolment !== undefined })
}

function listenerProblems({ enrolment, operations, nats }: RawConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (enrolment !== undefined && !isHttpOrigin(enrolment.origin)) {
    problems.push({
      where: ['enrolment', 'origin'],
      message: 'write https://host[:port] as clients see it, and http:// for loopback alone',
    })
  }
  const plainTickets = enrolment !== undefined && enrolment.tls === undefined && enrolment.origin.startsWith('http:')
  if (plainTickets && !isLoopbackListener(enrolment.listen)) {
    problems.push({
      where: ['enrolment', 'listen'],
      message: 'without TLS, tickets may only cross loopback: add tls, or listen on 127.0.0.1',
    })
  }
  if (typeof operations.auth === 'object' && 'mtls' in operations.auth && operations.tls === undefined) {
    problems.push({ where: ['operations', 'auth'], message: 'mtls needs operations.tls' })
  }
  if ((nats.tls?.cert_file === undefined) !== (nats.tls?.key_file === undefined)) {
    problems.push({ where: ['nats', 'tls'], message: 'cert_file and key_file go together' })
  }
  return problems
}
