import type { Row } from './measure.ts'
import type { Spread } from './statistics.ts'

const HEAD = ['', 'ours', 'reference', 'ratio', 'of the best', 'target', '']

export function formatTable(rows: readonly Row[]): string {
  const cells = [HEAD, ...rows.map(toCells)]
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function toCells({ label, unit, ours, reference, against, ratio, bestRatio, target, pass }: Row): string[] {
  return [
    label,
    formatFigure(ours, unit),
    reference === undefined ? '' : `${formatFigure(reference, unit)}: ${against ?? ''}`,
    ratio === undefined ? '' : ratio.toFixed(2),
    bestRatio === undefined ? '' : bestRatio.toFixed(2),
    target ?? '',
    pass === undefined ? '' : pass ? 'pass' : 'MISS',
  ]
}

export function formatFigure(figure: Spread | number, unit: string): string {
  if (typeof figure === 'number') return `${round(figure)} ${unit}`
  return `${round(figure.median)} ${unit} (${round(figure.min)}–${round(figure.max)}, n ${figure.count})`
}

function round(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value >= 100 ? value.toFixed(1) : value.toFixed(2)
}
