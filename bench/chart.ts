/** A result as one SVG that stands on light and dark pages: bars of the cost of a connection, and of how storms went. */
import { nameOf, rowsOf } from './figures.ts'
import { median } from './measure.ts'
import type { Run } from './result.ts'

interface Bar {
  label: string
  value: number
  text: string
  tone: 'floor' | 'own' | 'other'
}

interface Group {
  title: string
  bars: Bar[]
}

// Narrow, so that it can be read on a telephone without zooming.
const width = 420
const margin = 12
const barHeight = 14
const rowHeight = 38
const titleHeight = 34
const textWidth = 78
const barWidthMax = width - 2 * margin - textWidth

/** The chart. A part that the run lacks is left out. */
export function chartOf(run: Run): string {
  const groups = [connections(run), populations(run), storms(run)].filter(({ bars }) => bars.length > 0)
  let y = margin
  const drawn: string[] = []
  for (const { title, bars } of groups) {
    drawn.push(`<text class="title" x="${margin}" y="${y + 18}">${escaped(title)}</text>`)
    y += titleHeight
    const most = Math.max(...bars.map(({ value }) => value))
    for (const bar of bars) {
      drawn.push(drawBar(bar, y, most))
      y += rowHeight
    }
    y += margin
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="What a connection costs">
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.figure { font-variant-numeric: tabular-nums }
.page { fill: #ffffff } .floor { fill: #8c959f } .own { fill: #0969da } .other { fill: #bf8700 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 } .floor { fill: #6e7681 } .own { fill: #2f81f7 } .other { fill: #d29922 }
}
</style>
<rect class="page" width="${width}" height="${y}" rx="6"/>
${drawn.join('\n')}
</svg>
`
}

function drawBar({ label, value, text, tone }: Bar, y: number, most: number): string {
  const length = Math.max(2, Math.round((value / most) * barWidthMax))
  return [
    `<text x="${margin}" y="${y + 11}">${escaped(label)}</text>`,
    `<rect class="${tone}" x="${margin}" y="${y + 16}" width="${length}" height="${barHeight}" rx="2"/>`,
    `<text class="figure" x="${margin + length + 6}" y="${y + 27}">${escaped(text)}</text>`,
  ].join('\n')
}

function connections(run: Run): Group {
  const shown = new Set(
    run.rows.filter(({ subject, xkey }) => xkey && subject !== 'stock responder' && subject !== 'other build').map((row) => nameOf(row)),
  )
  const rows = rowsOf(run).filter(({ what }) => what.startsWith('crypto') || shown.has(what))
  return {
    title: 'CPU of one connection, µs',
    bars: rows.map(({ what, cpuMicros }) => ({
      label: what.replace(', xkey on', ''),
      value: cpuMicros,
      text: cpuMicros.toFixed(0),
      tone: what.startsWith('crypto') ? 'floor' : what.startsWith('signing') ? 'other' : 'own',
    })),
  }
}

function populations({ populations: all }: Run): Group {
  return {
    title: 'CPU of one proof, µs, by number of credentials',
    bars: all.flatMap(({ credentials, figures, residentMiBAfter }) =>
      (['first', 'again'] as const).map((kind): Bar => {
        const micros = median(figures[kind].map(({ cpuMicros }) => cpuMicros))
        const memory = kind === 'first' ? '' : `, ${residentMiBAfter.toFixed(0)} MiB`
        return { label: `${credentials.toLocaleString('en')}, met ${kind}${memory}`, value: micros, text: micros.toFixed(0), tone: 'own' }
      }),
    ),
  }
}

function storms({ storms: all }: Run): Group {
  return {
    title: 'Seconds until every client was back',
    bars: all.map(({ clients, what, responder, allBackMs }) => ({
      label: `${clients.toLocaleString('en')}, ${what}, ${responder}`,
      value: allBackMs,
      text: (allBackMs / 1000).toFixed(1),
      tone: responder === 'verifier' ? 'own' : 'other',
    })),
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
