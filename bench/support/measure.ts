import { compare, type Pair, type Spread } from './statistics.ts'
import type { Workshop } from './workshop.ts'

/** One line of a table. */
export interface Row {
  label: string
  unit: string
  ours: Spread | number
  reference?: Spread | number
  /** What `reference` is. */
  against?: string
  /** Ours to the reference; which way is good depends on the unit. */
  ratio?: number
  /** The same of the best of both, which the machine disturbed least. */
  bestRatio?: number
  /** In words, as the contract has it. */
  target?: string
  /** Absent when the row only informs. */
  pass?: boolean
}

export interface Measure {
  name: string
  title: string
  run(workshop: Workshop): Promise<Row[]>
}

/** A first delta beside that of a bare Claude Code which asks before each turn, as the runner has it. */
export function besideGated({ ours, second }: Pair): Row[] {
  if (second === undefined) return []
  const against = 'bare CLI that asks before a turn'
  const ratios = compare({ ours, reference: second }, 'cost')
  return [{ label: 'the same', unit: 'ms', ours, reference: second, against, ...ratios }]
}
