/**
 * docs/denials.md, written from the registry in core/denial.ts. A test proves that the file is exactly this.
 *
 *   node --import tsx scripts/denial-docs.ts        writes it
 */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { DENIALS, type DenialRow, ERRORS, GRANTS, STAGES, type Stage } from '../src/core/denial.ts'

const INTRODUCTION = `# Verdicts: every way in, and every way to be refused

<!-- Written by scripts/denial-docs.ts from src/core/denial.ts. Change the registry, then run the script. -->

Each authorization request gets one verdict: **granted**, **denied** or **error**, with one reason from this page. In [report-only mode](migration.md) there is a
fourth, **reported**: a legacy user was admitted, and the reason is the denial that it would have been otherwise. The same codes are the
\`reason\` label of the metrics, the last token of the audit subject (\`audit.webauthn.connection.<outcome>.<reason>\` once something was proven,
\`audit.webauthn.request.<outcome>.<reason>\` before), and the text in nats-server's log. The client never sees them: it gets \`Authorization Violation\` and nothing more.

Severity says who should look: **notice** happens to honest clients, **warning** is worth a look, **alert** means that somebody attacks or
that a key was copied. The stages are those of [the journey](architecture.md#the-journey-of-one-connection).

To explain a refusal offline, feed the assertion to \`nats-webauthn assertion check\`.
`

const STAGE_TITLES: Record<Stage, string> = {
  open: 'Stage 1, open: is this a genuine request from our nats-server, about a client?',
  read: 'Stage 2, read: does `sig` hold one of the four forms, for a server we serve?',
  lookup: 'Stage 3, look up: who would this be, and are they in force?',
  verify: "Stage 4, verify: WebAuthn Level 3 §7.2 in its order, or the session key's signature",
  resolve: 'Stage 5, resolve: what may this identity do, here and now?',
  store: 'Stage 6, store: the writes that must come first',
  record: 'Stage 7, record',
  answer: 'Stage 8, answer',
  legacy: 'Stage 9, legacy: in report-only mode, is this a legacy user after all?',
}

function section(stage: Stage): string {
  const rows = (Object.entries(DENIALS) as [string, DenialRow][]).filter(([, row]) => row.stage === stage)
  if (rows.length === 0) return ''
  const parts = rows.map(([reason, { severity, doc, remedy }]) => `### ${reason}\n\n*${severity}.* ${doc}\n\nWhat to do: ${remedy}\n`)
  return `## ${STAGE_TITLES[stage]}\n\n${parts.join('\n')}`
}

function list(rows: Record<string, string>): string {
  return Object.entries(rows)
    .map(([reason, doc]) => `### ${reason}\n\n${doc}\n`)
    .join('\n')
}

/** The whole page. */
export function renderDenials(): string {
  const errors = `## Errors: our own machinery failed\n\nErrors fail closed: nothing is granted. They count as outcome \`error\`, and the verifier's log has the cause.\n\n${list(ERRORS)}`
  const grants = `## Grants: how a connection was admitted\n\nEach is answered only after its audit record is durable.\n\n${list(GRANTS)}`
  return [INTRODUCTION, ...STAGES.map(section).filter((text) => text !== ''), errors, grants].join('\n')
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL('../docs/denials.md', import.meta.url), renderDenials())
}
