import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Row } from '../model/rows.ts'
import { ItemView } from './item-view.tsx'
import { RunFoot, RunHead } from './run-view.tsx'
import { useMarks } from './use-marks.ts'
import { VirtualList } from './virtual-list.tsx'

interface TranscriptViewProps {
  rows: readonly Row[]
  isKnown: boolean
  /** With another number it goes to its end. */
  sends: number
  /** What is looked for, and the indexes of the rows that have it. */
  words: string
  found: readonly number[]
}

export function TranscriptView({ rows, isKnown, sends, words, found }: TranscriptViewProps): VNode {
  useMarks('transcript', words)
  const [place, setPlace] = useState(0)
  const [turn, setTurn] = useState(0)
  const count = found.length
  useEffect(() => setPlace(0), [found])
  const step = (by: number): void => {
    setPlace((place + by + count) % count)
    setTurn(turn + 1)
  }
  const index = found[place]
  return (
    <div class="transcript">
      {count > 0 && (
        <div class="found" role="group" aria-label="Places found">
          {place + 1} of {count}
          <button type="button" aria-label="Previous place" onClick={() => step(-1)}>
            ↑
          </button>
          <button type="button" aria-label="Next place" onClick={() => step(1)}>
            ↓
          </button>
        </div>
      )}
      <VirtualList
        rows={rows}
        endTurn={sends}
        target={index === undefined ? undefined : { index, turn }}
        draw={(row) => {
          if (row.kind === 'start') return <RunHead run={row.run} rev={row.rev} since={row.since} />
          if (row.kind === 'end') return <RunFoot run={row.run} rev={row.rev} isKnown={isKnown} />
          return (
            <div class={row.run.isReplaced ? 'replaced' : ''}>
              <ItemView item={row.item} rev={row.rev} isKnown={isKnown} />
            </div>
          )
        }}
      />
    </div>
  )
}
