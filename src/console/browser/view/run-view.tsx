import type { VNode } from 'preact'
import {
  formatContext,
  formatCost,
  formatDate,
  formatDuration,
  formatMoment,
  formatUsage,
} from '../model/format.ts'
import type { ShownRun } from '../model/model.ts'
import { Elapsed } from './elapsed.tsx'
import { LongText } from './long-text.tsx'
import { memo } from './memo.ts'

export const RunHead = memo<{ run: ShownRun; rev: number; since: number }>(
  ({ run: { runId, startedAt, isPartial, isReplaced }, since }) => (
    <div class="run-start">
      {startedAt !== undefined && (
        <Moment at={startedAt} words={formatMoment(startedAt, since)} more={`, run ${runId}`} />
      )}
      {isReplaced && <span>replaced by what was asked instead</span>}
      {isPartial && <p class="dim">What came before was dropped by retention.</p>}
    </div>
  ),
)

/** A moment in words, with the whole date behind it. */
function Moment({ at, words, more = '' }: { at: number; words: string; more?: string }): VNode {
  return (
    <time dateTime={new Date(at).toISOString()} title={`${formatDate(at)}${more}`}>
      {words}
    </time>
  )
}

const OUTCOMES = {
  running: ['running…', 'live'],
  success: ['finished', 'good'],
  cancelled: ['stopped', 'warn'],
  interrupt: ['needs you', 'warn'],
  answered: ['asked you', 'dim'],
  error: ['failed', 'bad'],
} as const

interface RunFootProps {
  run: ShownRun
  rev: number
  isKnown: boolean
}

export const RunFoot = memo<RunFootProps>(({ run, isKnown }) => {
  const { runId, state, isAnswered, startedAt, endedAt, error, result, usage, costUsd, context } = run
  const isRunning = state === 'running'
  const [word, kind] = isRunning && !isKnown ? ['unknown', 'dim'] : OUTCOMES[isAnswered ? 'answered' : state]
  return (
    <div class="run-end" role="group" aria-label={`Run ${runId.slice(0, 8)}`}>
      {error !== undefined && (
        <div class="failure">
          <code>{error.code}</code>
          <p>{error.message}</p>
        </div>
      )}
      {result !== undefined && (
        <div>
          <h3>Structured result</h3>
          <LongText text={JSON.stringify(result, null, 2)} label="Result of the run" />
        </div>
      )}
      <p class="facts">
        <span class={`badge ${kind}`}>{word}</span>
        {endedAt !== undefined && <Moment at={endedAt} words={formatMoment(endedAt, startedAt ?? endedAt)} />}
        {isRunning && isKnown && startedAt !== undefined && <Elapsed since={startedAt} />}
        {startedAt !== undefined && endedAt !== undefined && (
          <span>{formatDuration(endedAt - startedAt)}</span>
        )}
        {costUsd !== undefined && <span>{formatCost(costUsd)}</span>}
        {context !== undefined && <span>{formatContext(context)}</span>}
        {usage.length > 0 && <span>{formatUsage(usage)}</span>}
      </p>
    </div>
  )
})
