import type { Spread } from './statistics.ts'
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
