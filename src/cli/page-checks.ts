/** What `check` looks at where machines enrol and people sign in: the listener behind `enrolment.origin`, as a browser finds it. */
import { z } from 'zod'
import type { Config } from '../config.ts'
import type { CheckResult } from './check.ts'

const timeoutMs = 5_000
const bodyBytesMax = 64 * 1024

/** Where people make passkeys. Null: no people. That the rpId fits the origin was checked with the configuration. */
export function passkeyCheck({ rules: { person }, enrolment }: Config): CheckResult | null {
  if (person === null) return null
  const name = 'page of people'
  if (enrolment === null)
    return { name, passed: null, detail: 'relying_parties.person without enrolment: people sign in through another verifier' }
  return { name, passed: true, detail: `passkeys of ${person.rpId} at ${enrolment.origin}` }
}

/** Asks the listener as anybody would. */
export async function* listenerChecks({ rules: { person }, enrolment }: Config): AsyncGenerator<CheckResult> {
  if (enrolment === null) return
  const { origin } = enrolment
  const name = 'enrolment listener'
  const root = await ask(`${origin}/`)
  if (!root.ok) return yield { name, passed: false, detail: `${origin}: ${root.problem}` }
  const { status, headers } = root
  // The verifier answers nobody who names another host, and a proxy must not name one.
  if (status === 421) return yield { name, passed: false, detail: `${origin}: asked for another host; a proxy must pass Host on as it is` }
  const lacking = missingHeaders(headers, origin)
  if (lacking.length > 0) {
    return yield {
      name,
      passed: false,
      detail: `${origin}: without ${lacking.join(', ')}; something else answers there, or takes headers away`,
    }
  }
  const wanted = person === null ? 404 : 200
  yield {
    name,
    passed: status === wanted,
    detail: `${origin}: ${status}, ${wanted} is what ${person === null ? 'machines' : 'people'} find`,
  }
  if (person !== null) yield await rpIdCheck(origin, person.rpId)
}

/** The verifier that answers must be of this configuration. */
async function rpIdCheck(origin: string, rpId: string): Promise<CheckResult> {
  const name = 'page configuration'
  const asked = await ask(`${origin}/v1/page`)
  if (!asked.ok) return { name, passed: false, detail: asked.problem }
  const page = z.looseObject({ rpId: z.string(), providers: z.array(z.looseObject({ name: z.string() })) }).safeParse(jsonOf(asked.body))
  if (!page.success) return { name, passed: false, detail: 'the verifier there serves no people' }
  const names = page.data.providers.map((provider) => provider.name)
  return {
    name,
    passed: page.data.rpId === rpId,
    detail:
      page.data.rpId === rpId
        ? `rpId ${rpId}, identity providers: ${names.join(', ') || 'none'}`
        : `the verifier there has another rpId than ${rpId}`,
  }
}

/** Headers of every answer (docs/http-api.md) that are not there. */
function missingHeaders(headers: Headers, origin: string): string[] {
  const wanted: [string, RegExp][] = [
    ['content-security-policy', /default-src 'none'.*frame-ancestors 'none'/],
    ['permissions-policy', /publickey-credentials-create=\(self\)/],
    ['x-content-type-options', /^nosniff$/],
    ['referrer-policy', /^no-referrer$/],
    ...(origin.startsWith('https:') ? [['strict-transport-security', /max-age=[1-9]/] satisfies [string, RegExp]] : []),
  ]
  return wanted.filter(([header, value]) => !value.test(headers.get(header) ?? '')).map(([header]) => header)
}

type Asked = { ok: true; status: number; headers: Headers; body: string } | { ok: false; problem: string }

async function ask(url: string): Promise<Asked> {
  try {
    const reply = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
    return { ok: true, status: reply.status, headers: reply.headers, body: await beginningOf(reply) }
  } catch (error) {
    return { ok: false, problem: problemOf(error) }
  }
}

/** As much of the body as anything of ours is long. */
async function beginningOf({ body }: Response): Promise<string> {
  if (body === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > bodyBytesMax) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Why there was no answer; `fetch` hides it in the cause. */
function problemOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  const cause: unknown = error instanceof Error ? error.cause : null
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer'
  const untrusted = /CERT|SIGNATURE|ISSUER/.test(code)
  return untrusted ? `its certificate is not trusted here (${code}); NODE_EXTRA_CA_CERTS names further authorities` : code
}
