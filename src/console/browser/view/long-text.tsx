import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { formatCount } from '../model/format.ts'
import { countLines, glanceOf, withSeen } from '../model/text-lines.ts'
import { LineWindow } from './line-window.tsx'

/** Characters. A longer text is never laid out whole. */
const WHOLE_CHARS_MAX = 100_000

interface LongTextProps {
  text: string
  label: string
  /** Drawn before the text, and no part of it. */
  mark?: string
  /** All of it is shown at once. */
  isWhole?: boolean
}

/** Shows the beginning of a text, and all of it on request. */
export function LongText({ text, label, mark, isWhole: isWholeAlways = false }: LongTextProps): VNode {
  const [isAsked, setAsked] = useState(false)
  const isWhole = isAsked || isWholeAlways
  const glance = glanceOf(text)
  const isCut = glance.length < text.length
  const isHuge = isWhole && text.length > WHOLE_CHARS_MAX
  return (
    <div class="long">
      {isHuge ? (
        <LineWindow text={text} label={label} />
      ) : (
        <pre class={isCut && !isWhole ? 'cut' : ''} role="group" tabIndex={0} aria-label={label}>
          {mark !== undefined && <i aria-hidden="true">{mark}</i>}
          {withSeen(isWhole ? text : glance)}
        </pre>
      )}
      {isCut && !isWholeAlways && (
        <button type="button" class="quiet" onClick={() => setAsked(!isAsked)}>
          {isWhole
            ? 'Show less'
            : `Show all (${formatCount(countLines(text), 'line')}, ${formatCount(text.length, 'character')})`}
        </button>
      )}
    </div>
  )
}
