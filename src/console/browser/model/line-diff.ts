import { structuredPatch } from 'diff'
import type { Edit } from './tool-shape.ts'

export interface DiffLine {
  kind: 'same' | 'added' | 'removed' | 'skipped'
  text: string
}

const CONTEXT_LINES = 3
/** Changed lines. Beyond them the two sides are shown one after the other. */
const EDIT_LENGTH_MAX = 2000
/** Milliseconds. Beyond them too, since the search may not keep a frame waiting. */
const SEARCH_MS_MAX = 50

/** The lines of an edit. Unchanged lines far from a change are left out. */
export function diffLines({ before, after }: Edit): DiffLine[] {
  if (before === after) return []
  if (before === '') return linesOf(after, 'added')
  if (after === '') return linesOf(before, 'removed')
  const patch = structuredPatch('', '', ended(before), ended(after), '', '', {
    context: CONTEXT_LINES,
    maxEditLength: EDIT_LENGTH_MAX,
    timeout: SEARCH_MS_MAX,
  })
  if (patch === undefined) return [...linesOf(before, 'removed'), ...linesOf(after, 'added')]
  return patch.hunks.flatMap(({ lines }, index) => [
    ...(index === 0 ? [] : [{ kind: 'skipped' as const, text: '⋯' }]),
    ...lines.flatMap((line) => toLine(line) ?? []),
  ])
}

export function countChanges(lines: readonly DiffLine[]): { added: number; removed: number } {
  const count = (wanted: DiffLine['kind']): number => lines.filter(({ kind }) => kind === wanted).length
  return { added: count('added'), removed: count('removed') }
}

const KINDS: Readonly<Record<string, DiffLine['kind'] | undefined>> = {
  ' ': 'same',
  '+': 'added',
  '-': 'removed',
}

function toLine(line: string): DiffLine | undefined {
  const kind = KINDS[line.charAt(0)]
  return kind === undefined ? undefined : { kind, text: line.slice(1) }
}

function linesOf(text: string, kind: DiffLine['kind']): DiffLine[] {
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => ({ kind, text: line }))
}

/** The text with a line end. An edit replaces a piece of a file, whose last line end is not what changes. */
function ended(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}
