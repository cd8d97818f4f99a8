import type { VNode } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { formatCount } from '../model/format.ts'
import { countChanges, type DiffLine, diffLines } from '../model/line-diff.ts'
import { withSeen } from '../model/text-lines.ts'
import type { Edit } from '../model/tool-shape.ts'
import { PathLine } from './path-line.tsx'

const GLANCE_LINES_MAX = 24
/** Lines. More are never laid out. */
const WHOLE_LINES_MAX = 4000

/** Characters of one line. More are never laid out. */
const LINE_CHARS_MAX = 2000

const SIGNS = { same: ' ', added: '+', removed: '-', skipped: ' ' } as const

interface DiffViewProps {
  edits: readonly Edit[]
  /** Without one the number of edits is shown in its place. */
  path?: string | undefined
  /** The line above has the path and the counts already. */
  isBare?: boolean
  /** All of it is shown at once. */
  isWhole?: boolean
}

/** The edits of one file. */
export function DiffView({
  path,
  edits,
  isBare = false,
  isWhole: isWholeAlways = false,
}: DiffViewProps): VNode {
  const [isAsked, setAsked] = useState(false)
  const isWhole = isAsked || isWholeAlways
  const lines = useMemo(() => joined(edits.map(diffLines)), [edits])
  const { added, removed } = useMemo(() => countChanges(lines), [lines])
  const isCut = lines.length > GLANCE_LINES_MAX + 2
  const shown = isCut ? lines.slice(0, isWhole ? WHOLE_LINES_MAX : GLANCE_LINES_MAX) : lines
  return (
    <figure class="diff">
      {!isBare && (
        <figcaption>
          {path === undefined ? <code>{formatCount(edits.length, 'edit')}</code> : <PathLine path={path} />}
          <span class="good">+{added}</span>
          <span class="bad">−{removed}</span>
        </figcaption>
      )}
      {lines.length === 0 && <p class="dim">No line changes.</p>}
      <pre tabIndex={0} hidden={lines.length === 0}>
        {shown.map(({ kind, text }) => (
          <span class={kind}>
            <i aria-hidden="true">{SIGNS[kind]}</i>
            {text === '' ? ' ' : withSeen(text.slice(0, LINE_CHARS_MAX))}
            {text.length > LINE_CHARS_MAX && (
              <b>⋯ {formatCount(text.length - LINE_CHARS_MAX, 'more character')}</b>
            )}
            {'\n'}
          </span>
        ))}
      </pre>
      {isWhole && lines.length > WHOLE_LINES_MAX && (
        <p class="dim">{formatCount(lines.length - WHOLE_LINES_MAX, 'more line')} not shown.</p>
      )}
      {isCut && !isWholeAlways && (
        <button type="button" class="quiet" onClick={() => setAsked(!isAsked)}>
          {isWhole ? 'Show less' : `Show all (${formatCount(lines.length, 'line')})`}
        </button>
      )}
    </figure>
  )
}

function joined(parts: readonly DiffLine[][]): DiffLine[] {
  return parts.flatMap((lines, index) => (index === 0 ? lines : [{ kind: 'skipped', text: '⋯' }, ...lines]))
}
