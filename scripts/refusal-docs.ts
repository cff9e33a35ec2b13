/**
 * docs/refusals.md, written from the registries in core/refusal.ts and http/http-refusal.ts. A test proves that the file is
 * exactly this.
 *
 *   node --import tsx scripts/refusal-docs.ts        writes it
 */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { REFUSALS, type RefusalArea, type RefusalRow } from '../src/core/refusal.ts'
import { INTERNAL, REQUEST_CHECKS, TELLS_CHECK, UNAVAILABLE } from '../src/http/http-refusal.ts'

const INTRODUCTION = `# Refusals: every way to be told no over HTTP

<!-- Written by scripts/refusal-docs.ts from src/core/refusal.ts and src/http/http-refusal.ts. Change a registry, then run the script. -->

Anything but status 200 or a redirect is a refusal, with a body of one shape: \`{"error":{"code","message","check"?}}\`. Programs act on \`code\`;
\`message\` is a fixed sentence. The **reason** is what is on record, as \`audit.webauthn.<area>.refused.<reason>\`, with more in \`facts.check\`
than clients are told. Where a reason would tell a stranger who or what exists, several share one code, one message and one status.

Refusals of connections to NATS are [another set](denials.md): there, clients are told nothing at all.
`

const AREA_TITLES: Record<RefusalArea, string> = {
  enrolment: 'Enrolment, and any request at all',
  login: 'Signing in',
  credential: 'Devices',
  session: 'Sessions, and terminals that ask for one',
}

const areas = Object.keys(REFUSALS) as RefusalArea[]

function rowsOf(area: RefusalArea): [string, RefusalRow][] {
  return Object.entries(REFUSALS[area])
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`
  return line(head) + line(head.map(() => '---')).replaceAll(' ', '') + rows.map(line).join('')
}

function section(area: RefusalArea): string {
  const rows = rowsOf(area).map(([reason, { status, code, doc }]) => [`\`${reason}\``, String(status), `\`${code}\``, doc])
  return `## ${AREA_TITLES[area]}\n\nOn record as \`${area}.refused.<reason>\`.\n\n${table(['reason', 'status', 'code', 'refused'], rows)}`
}

/** Each code that clients see, once, in the order of the registry. */
function codes(): string {
  const seen = new Map<string, string[]>()
  for (const { status, code, message } of areas.flatMap((area) => rowsOf(area).map(([, row]) => row))) {
    const key = `${code} ${message}`
    if (!seen.has(key)) seen.set(key, [`\`${code}\``, String(status), message])
  }
  const failures = [
    [`\`${UNAVAILABLE.error.code}\``, '503', UNAVAILABLE.error.message],
    [`\`${INTERNAL.error.code}\``, '500', INTERNAL.error.message],
  ]
  return `## What clients see

The callback of an identity provider is a navigation: there the answer is \`303\` to \`/#error=<code>\` instead. \`request_malformed\` has the status
that HTTP has for it: 400, 403, 404, 413, 415 or 421. \`rate_limited\` comes with \`retry-after\`, in seconds.

${table(['code', 'status', 'message'], [...seen.values(), ...failures])}
\`unavailable\` (a store or the audit trail did not do its part) and \`internal\` are failures of the verifier, recorded as
\`<area>.failed.internal\`; the verifier's log has the cause.
`
}

function checks(): string {
  const told = TELLS_CHECK.map((name) => `\`${name}\``).join(', ')
  const rows = Object.entries(REQUEST_CHECKS).map(([check, doc]) => [`\`${check}\``, doc])
  return `## Checks

\`check\` says which check failed. Clients are told it of ${told}; of nothing else, so that nobody learns what a ticket, a login
or a passkey of somebody else is. Those of \`registration_invalid\` are in [enrolment.md](enrolment.md#refusals), those of \`possession_invalid\` are
[denials](denials.md), those of \`device_refused\` are demands of the [policy](policy.md).

\`check\` of \`request_malformed\`:

${table(['check', 'refused'], rows)}`
}

/** The whole page. */
export function renderRefusals(): string {
  return [INTRODUCTION, codes(), checks(), ...areas.map(section)].join('\n')
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL('../docs/refusals.md', import.meta.url), renderRefusals())
}
