import type { VNode } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { formatCount } from '../model/format.ts'
import { countChanges, type DiffLine, diffLines } from '../model/line-diff.ts'
import type { Edit } from '../model/tool-shape.ts'

const GLANCE_LINES_MAX = 24
/** Lines. More are never laid out. */
const WHOLE_LINES_MAX = 4000

const SIGNS = { same: ' ', added: '+', removed: '-', skipped: ' ' } as const

interface DiffViewProps {
  edits: readonly Edit[]
  /** Without one the number of edits is shown in its place. */
  path?: string | undefined
  /** The line above has the path and the counts already. */
  isBare?: boolean
}

/** The edits of one file. */
export function DiffView({ path, edits, isBare = false }: DiffViewProps): VNode {
  const [isWhole, setWhole] = useState(false)
  const lines = useMemo(() => joined(edits.map(diffLines)), [edits])
  const { added, removed } = useMemo(() => countChanges(lines), [lines])
  const isCut = lines.length > GLANCE_LINES_MAX + 2
  const shown = isCut ? lines.slice(0, isWhole ? WHOLE_LINES_MAX : GLANCE_LINES_MAX) : lines
  return (
    <figure class="diff">
      {!isBare && (
        <figcaption>
          <code>{path ?? formatCount(edits.length, 'edit')}</code>
          <span class="good">+{added}</span>
          <span class="bad">−{removed}</span>
        </figcaption>
      )}
      <pre tabIndex={0}>
        {shown.map(({ kind, text }) => (
          <span class={kind}>
            <i aria-hidden="true">{SIGNS[kind]}</i>
            {text === '' ? ' ' : text}
            {'\n'}
          </span>
        ))}
      </pre>
      {isWhole && lines.length > WHOLE_LINES_MAX && (
        <p class="dim">{formatCount(lines.length - WHOLE_LINES_MAX, 'more line')} not shown.</p>
      )}
      {isCut && (
        <button type="button" class="quiet" onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show less' : `Show all (${formatCount(lines.length, 'line')})`}
        </button>
      )}
    </figure>
  )
}

function joined(parts: readonly DiffLine[][]): DiffLine[] {
  return parts.flatMap((lines, index) => (index === 0 ? lines : [{ kind: 'skipped', text: '⋯' }, ...lines]))
}
