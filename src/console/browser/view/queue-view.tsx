import type { VNode } from 'preact'
import { movable, movedUp } from '../model/queue-order.ts'
import type { QueuedShape } from '../model/thread-shapes.ts'
import { ProblemText } from './problem-text.tsx'
import { useProblem } from './use-problem.ts'

export interface QueueActions {
  orderQueue(runIds: readonly string[]): Promise<void>
  withdraw(runId: string): Promise<void>
}

interface QueueViewProps {
  queue: readonly QueuedShape[]
  actions: QueueActions
}

/** The runs that wait: each can be moved up or taken out. */
export function QueueView({ queue, actions }: QueueViewProps): VNode | null {
  const { problem, isBusy, attempt } = useProblem()
  const waiting = movable(queue)
  if (waiting.length === 0 && problem === '') return null
  return (
    <details class="queue" open>
      <summary>{waiting.length} queued behind this run</summary>
      <ol aria-label="Queue">
        {waiting.map(({ runId, words }) => {
          const earlier = movedUp(queue, runId)
          const name = words === '' ? 'a message without text' : words
          return (
            <li key={runId}>
              <span class="words" title={name}>
                {name}
              </span>
              {earlier !== undefined && (
                <button
                  type="button"
                  class="quiet"
                  aria-label={`Run earlier: ${name}`}
                  title="Run earlier"
                  disabled={isBusy}
                  onClick={() => attempt(() => actions.orderQueue(earlier))}
                >
                  ↑
                </button>
              )}
              <button
                type="button"
                class="quiet"
                aria-label={`Remove from the queue: ${name}`}
                title="Remove from the queue"
                disabled={isBusy}
                onClick={() => attempt(() => actions.withdraw(runId))}
              >
                ×
              </button>
            </li>
          )
        })}
      </ol>
      <ProblemText words={problem} />
    </details>
  )
}
