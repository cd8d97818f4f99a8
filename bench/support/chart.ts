import type { Row } from './measure.ts'
import type { Spread } from './statistics.ts'
import { formatFigure } from './table.ts'

export interface Measured {
  title: string
  rows: readonly Row[]
}

const WIDTH = 760
const LABEL = 250
const BAR = 12
const GAP = 14
const BARS_MAX = 220
const STYLE = `text{font:12px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.bar{fill:#2f6f4f}.other{fill:#b8bfc6}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#56b487}.other{fill:#59636e}}`

/** Draws each row that has a reference as two bars, ours and the reference's, the longer one as long as there is room. */
export function chartOf(measured: readonly Measured[], caption: string): string {
  const parts: string[] = []
  let y = GAP
  const text = (x: number, words: string, kind = ''): void => {
    parts.push(`<text x="${x}" y="${y + BAR - 2}"${kind}>${escaped(words)}</text>`)
  }
  const bar = (share: number, kind: string, words: string): void => {
    const width = Math.max(1, share * BARS_MAX)
    parts.push(`<rect class="${kind}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}"/>`)
    text(LABEL + width + 6, words)
    y += BAR + 3
  }
  for (const { title, rows } of measured) {
    const pairs = rows.flatMap((row) =>
      row.reference === undefined ? [] : [{ ...row, reference: row.reference }],
    )
    if (pairs.length === 0) continue
    // What stands in brackets is for who types the command.
    text(8, title.replace(/ \(.*\)$/, ''), ' class="head"')
    y += BAR + GAP / 2
    for (const { label, unit, ours, reference, against = 'the reference' } of pairs) {
      const [own, other] = [medianOf(ours), medianOf(reference)]
      const most = Math.max(own, other)
      text(16, label)
      bar(own / most, 'bar', `${formatFigure(own, unit)}`)
      bar(other / most, 'other', `${formatFigure(other, unit)}, ${against}`)
      y += GAP / 2
    }
    y += GAP / 2
  }
  text(8, caption)
  const size = `width="${WIDTH}" height="${y + BAR + GAP}" viewBox="0 0 ${WIDTH} ${y + BAR + GAP}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n<title>${escaped(caption)}</title>\n<style>${STYLE}</style>\n${parts.join('\n')}\n</svg>\n`
}

function medianOf(figure: Spread | number): number {
  return typeof figure === 'number' ? figure : figure.median
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
