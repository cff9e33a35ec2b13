/** What `check` looks at where people are sent to sign in: whether each provider is there, and is who it is taken for. */
import { readFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import { providerTimeoutMs } from '../idp/idp.ts'
import { openProvider } from '../idp/provider.ts'
import { providerFetch, troubleOf } from '../idp/provider-fetch.ts'
import type { CheckResult } from './check.ts'

/** Asks each provider for its metadata, as the first login does. Client, secret and claims show at a login alone. */
export async function* providerChecks({ identityProviders, enrolment }: Config): AsyncGenerator<CheckResult> {
  if (enrolment === null) return
  for (const config of identityProviders) {
    const { issuer } = config
    const name = `identity provider ${config.name}`
    try {
      const ca = config.caFile === null ? null : readFileSync(config.caFile, 'utf8')
      const { metadata } = openProvider(config, providerFetch({ ca, timeoutMs: providerTimeoutMs }), () => new Date())
      await metadata()
      yield {
        name,
        passed: true,
        detail: `${issuer}; its client ${config.clientId} needs the redirect URI ${enrolment.origin}/v1/login/callback`,
      }
    } catch (error) {
      yield { name, passed: false, detail: `${issuer}: ${troubleOf(error)}; its metadata is at <issuer>/.well-known/openid-configuration` }
    }
  }
}
