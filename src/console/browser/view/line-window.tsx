import type { VNode } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { rowsOfText, withSeen } from '../model/text-lines.ts'

/** The height of a row in the style sheet, in pixels. */
const ROW_PX = 19
const SHOWN_PX = 480
const BEYOND_ROWS = 20
const ROW_CHARS_MAX = 500

/** Shows a text of any length. Only the rows in sight are in the page. */
export function LineWindow({ text, label }: { text: string; label: string }): VNode {
  const rows = useMemo(() => rowsOfText(text, ROW_CHARS_MAX), [text])
  const [top, setTop] = useState(0)
  const first = Math.max(0, Math.floor(top / ROW_PX) - BEYOND_ROWS)
  const last = Math.min(rows.length, Math.ceil((top + SHOWN_PX) / ROW_PX) + BEYOND_ROWS)
  return (
    <section
      class="line-window"
      tabIndex={0}
      aria-label={label}
      onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
    >
      <div style={{ height: `${rows.length * ROW_PX}px` }}>
        <pre style={{ transform: `translateY(${first * ROW_PX}px)` }}>
          {withSeen(rows.slice(first, last).join('\n'))}
        </pre>
      </div>
    </section>
  )
}
