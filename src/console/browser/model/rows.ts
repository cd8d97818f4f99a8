import { isObject } from './fields.ts'
import { folded } from './folded.ts'
import type { Item, ShownRun } from './model.ts'
import type { Timeline } from './timeline.ts'
import { argumentsOf } from './tool-shape.ts'

/** One row of the list. Its `key` never changes. */
export type Row =
  /** `since`: when the run before it began, in milliseconds since 1970. */
  | { kind: 'start'; key: string; run: ShownRun; rev: number; since: number }
  | { kind: 'item'; key: string; run: ShownRun; item: Item; rev: number }
  | { kind: 'end'; key: string; run: ShownRun; rev: number }

/** Makes the rows of a timeline. It keeps the rows of runs that have not changed, so a delta costs its own run only. */
export class Rows {
  #timeline: Timeline | undefined
  #rev = -1
  #runs: { rev: number; rows: Row[] }[] = []
  #all: readonly Row[] = []

  of(timeline: Timeline | undefined): readonly Row[] {
    if (timeline === this.#timeline && timeline?.rev === this.#rev) return this.#all
    if (timeline !== this.#timeline) this.#runs = []
    this.#timeline = timeline
    this.#rev = timeline?.rev ?? -1
    this.#all = (timeline?.runs ?? []).flatMap((run, index, runs) =>
      this.#rowsOf(run, index, runs[index - 1]?.startedAt ?? 0),
    )
    return this.#all
  }

  #rowsOf(run: ShownRun, index: number, since: number): Row[] {
    const kept = this.#runs[index]
    if (kept?.rev === run.rev) return kept.rows
    const { rev } = run
    const rows: Row[] = [
      { kind: 'start', key: `${index}`, run, rev, since },
      ...run.items.map(
        (item): Row => ({ kind: 'item', key: `${index}.${item.key}`, run, item, rev: item.rev }),
      ),
      { kind: 'end', key: `${index}.end`, run, rev },
    ]
    // It brought one answer of several, and the call it is about says so.
    if (run.isAnswered && run.items.length === 0) rows.splice(0)
    this.#runs[index] = { rev, rows }
    return rows
  }
}

/** The words of an item and of all that it holds. */
function wordsOfItem(item: Item): string {
  switch (item.kind) {
    case 'text':
    case 'reasoning':
      return item.text
    case 'notice':
      return `${item.title} ${item.detail}`
    case 'tool': {
      const args = argumentsOf(item)
      const said = args === undefined ? [item.args] : textsOf(args)
      return [item.name, ...said, item.result?.text ?? '', ...item.items.map(wordsOfItem)].join('\n')
    }
    case 'subagent':
      return [item.name, item.description, ...item.items.map(wordsOfItem)].join('\n')
  }
}

/** The names and the texts of a JSON value as they are shown: without quotes and escapes. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsOf)
  return isObject(value)
    ? Object.entries(value).flatMap(([name, held]) => [name, ...textsOf(held)])
    : [String(value)]
}

/** The indexes of the rows that have the words. */
export function rowsWith(rows: readonly Row[], words: string): number[] {
  const wanted = folded(words)
  if (wanted === '') return []
  return rows.flatMap((row, index) =>
    row.kind === 'item' && folded(wordsOfItem(row.item)).includes(wanted) ? [index] : [],
  )
}
