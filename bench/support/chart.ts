import type { Row } from './measure.ts'
import type { Spread } from './statistics.ts'
import { formatFigure } from './table.ts'

export interface Measured {
  title: string
  rows: readonly Row[]
}

/** About the width of a character. */
const CHAR = 6.6
const LABEL_MIN = 250
const WIDTH_MIN = 760
const BAR = 12
const GAP = 14
const MARGIN = 8
const BARS_MAX = 220
const LEGEND = 'Medians. ms and MiB: the shorter bar is better. /s: the longer one.'
const STYLE = `text{font:12px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.bar{fill:#2f6f4f}.other{fill:#b8bfc6}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#56b487}.other{fill:#59636e}}`

/** Draws each row that has a reference as two bars, ours and the reference's, the longer one as long as there is room. */
export function chartOf(measured: readonly Measured[], caption: string): string {
  const groups = measured
    .map(({ title, rows }) => ({ title, pairs: rows.flatMap(pairOf) }))
    .filter(({ pairs }) => pairs.length > 0)
  const all = groups.flatMap(({ pairs }) => pairs)
  const barsAt = Math.max(LABEL_MIN, 2 * MARGIN + widest(all.map(({ label }) => label)))
  const room = widest(all.flatMap(({ own, other }) => [own.words, other.words]))
  const width = Math.ceil(Math.max(WIDTH_MIN, barsAt + BARS_MAX + room + 2 * MARGIN))
  const parts: string[] = []
  let y = GAP
  const text = (x: number, words: string, kind = ''): void => {
    parts.push(`<text x="${x.toFixed(0)}" y="${y + BAR - 2}"${kind}>${escaped(words)}</text>`)
  }
  const bar = ({ share, words }: Bar, kind: string): void => {
    const length = Math.max(1, share * BARS_MAX)
    const place = `x="${barsAt.toFixed(0)}" y="${y}" width="${length.toFixed(1)}" height="${BAR}"`
    parts.push(`<rect class="${kind}" ${place}/>`)
    text(barsAt + length + 6, words)
    y += BAR + 3
  }
  for (const { title, pairs } of groups) {
    // What stands in brackets is for who types the command.
    text(MARGIN, title.replace(/ \(.*\)$/, ''), ' class="head"')
    y += BAR + GAP / 2
    for (const { label, own, other } of pairs) {
      text(2 * MARGIN, label)
      bar(own, 'bar')
      bar(other, 'other')
      y += GAP / 2
    }
    y += GAP / 2
  }
  text(MARGIN, LEGEND)
  y += BAR + 3
  text(MARGIN, caption)
  const height = y + BAR + GAP
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n<title>${escaped(caption)}</title>\n<style>${STYLE}</style>\n${parts.join('\n')}\n</svg>\n`
}

interface Bar {
  /** Of the longer one. */
  share: number
  words: string
}

function pairOf({ label, unit, ours, reference, against = 'the reference' }: Row): {
  label: string
  own: Bar
  other: Bar
}[] {
  if (reference === undefined) return []
  const [own, other] = [medianOf(ours), medianOf(reference)]
  const most = Math.max(own, other) || 1
  return [
    {
      label,
      own: { share: own / most, words: `${formatFigure(own, unit)}, agui-runner` },
      other: { share: other / most, words: `${formatFigure(other, unit)}, ${against}` },
    },
  ]
}

function widest(texts: readonly string[]): number {
  return CHAR * Math.max(0, ...texts.map((text) => text.length))
}

function medianOf(figure: Spread | number): number {
  return typeof figure === 'number' ? figure : figure.median
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
