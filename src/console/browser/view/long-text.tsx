import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { formatCount } from '../model/format.ts'
import { countLines, glanceOf } from '../model/text-lines.ts'
import { LineWindow } from './line-window.tsx'

/** Characters. A longer text is never laid out whole. */
const WHOLE_CHARS_MAX = 100_000

/** Shows the beginning of a text, and all of it on request. */
export function LongText({ text, label }: { text: string; label: string }): VNode {
  const [isWhole, setWhole] = useState(false)
  const glance = glanceOf(text)
  const isCut = glance.length < text.length
  const isHuge = isWhole && text.length > WHOLE_CHARS_MAX
  return (
    <div class="long">
      {isHuge ? (
        <LineWindow text={text} label={label} />
      ) : (
        <pre class={isCut && !isWhole ? 'cut' : ''} role="group" tabIndex={0} aria-label={label}>
          {isWhole ? text : glance}
        </pre>
      )}
      {isCut && (
        <button type="button" class="quiet" onClick={() => setWhole(!isWhole)}>
          {isWhole
            ? 'Show less'
            : `Show all (${formatCount(countLines(text), 'line')}, ${formatCount(text.length, 'character')})`}
        </button>
      )}
    </div>
  )
}
