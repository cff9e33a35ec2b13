import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { renderDenials } from '../../scripts/denial-docs.ts'
import { DENIALS, type DenialRow, ERRORS, GRANTS, STAGES, VERDICTS } from '../../src/core/denial.ts'

const page = readFileSync(new URL('../../docs/denials.md', import.meta.url), 'utf8')
const rows = Object.entries(DENIALS) as [string, DenialRow][]
const reasons = [...Object.keys(DENIALS), ...Object.keys(ERRORS), ...Object.keys(GRANTS)]
const anchors = [...page.matchAll(/^### (.+)$/gm)].map((match) => match[1] as string)

describe('docs/denials.md', () => {
  test('is what scripts/denial-docs.ts writes', () => assert.equal(page, renderDenials()))

  test('has an anchor for every reason of the registry, and no other', () => {
    assert.deepEqual([...anchors].sort(), [...reasons].sort())
    assert.equal(new Set(anchors).size, anchors.length)
  })

  test('says of every denial its severity, what was refused and what to do, under its stage', () => {
    for (const [reason, { stage, severity, doc, remedy }] of rows) {
      const from = page.indexOf(`### ${reason}\n`)
      const text = page.slice(from, page.indexOf('\n### ', from + 1))
      for (const part of [`*${severity}.*`, doc, remedy]) assert.ok(text.includes(part), `${reason}: ${part}`)
      const heading = page
        .slice(0, from)
        .match(/^## Stage .*$/gm)
        ?.at(-1)
      assert.ok(heading?.startsWith(`## Stage ${STAGES.indexOf(stage) + 1}, `), `${reason}: ${heading}`)
    }
  })
})

describe('the registry of denials', () => {
  test('has codes that are one lower-case token, for labels and subjects alike', () => {
    for (const reason of reasons) assert.match(reason, /^[a-z]+(_[a-z]+)*$/)
    assert.equal(new Set(reasons).size, reasons.length)
  })

  test('says everything in whole sentences', () => {
    for (const [reason, { doc, remedy }] of rows) {
      for (const sentence of [doc, remedy]) assert.match(sentence, /^[A-Za-z`].*\.$/, reason)
    }
    for (const [reason, doc] of Object.entries({ ...ERRORS, ...GRANTS })) assert.match(doc, /^[A-Z].*\.$/, reason)
  })

  test('goes through the stages in their order', () => {
    const order = rows.map(([, row]) => STAGES.indexOf(row.stage))
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    )
  })

  test('is, with its outcomes, the list of all verdicts', () => {
    const ownVerdicts = VERDICTS.filter(({ outcome }) => outcome !== 'reported')
    assert.deepEqual(ownVerdicts.map(({ reason }) => reason).sort(), [...reasons].sort())
    for (const { outcome, reason } of VERDICTS) {
      assert.equal(reason in { granted: GRANTS, denied: DENIALS, error: ERRORS, reported: DENIALS }[outcome], true)
    }
  })

  test('reports only refusals of genuine requests about one identity: none of stage open, none of legacy users themselves', () => {
    const isReported = (reason: string) => VERDICTS.some((verdict) => verdict.outcome === 'reported' && verdict.reason === reason)
    for (const [reason, { stage }] of rows) {
      const mayBe = !['open', 'legacy'].includes(stage) && reason !== 'connection_already_proven'
      assert.equal(isReported(reason), mayBe, reason)
    }
  })
})
