// The first and the last event of a run.
import { EventType, PROTOCOL_VERSION, type RunFinishedOutcome } from '@ag-ui/core'
import type { RunEnd, RunRequest, RunUse } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { ownEvent } from '../agui/own-events.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { Waiting } from './queue.ts'

/**
 * Creates RUN_STARTED with our own protocol version (agui-1.0-producer.md A2.13). It echoes only the part of the input
 * that is new to the thread: every reader gets the user's words, and the traffic does not grow with the history.
 */
export function startEvent({ threadId, runId, parentRunId, messages }: RunRequest): AguiEvent {
  return {
    type: EventType.RUN_STARTED,
    threadId,
    runId,
    protocolVersion: PROTOCOL_VERSION,
    ...(parentRunId === undefined ? {} : { parentRunId }),
    input: { threadId, runId, messages, tools: [], context: [] },
    timestamp: Date.now(),
  }
}

/** Creates the one terminal event of a run. Its metadata has the cost and the context, for which AG-UI has no member. */
export function endEvent(end: RunEnd, { threadId, runId }: { threadId: string; runId: string }): AguiEvent {
  const { costUsd, context } = end
  const own = { ...(costUsd === undefined ? {} : { costUsd }), ...(context === undefined ? {} : { context }) }
  const facts = {
    ...(end.usage === undefined || end.usage.length === 0 ? {} : { usage: end.usage }),
    ...(Object.keys(own).length === 0 ? {} : { metadata: { 'agui-runner': own } }),
    timestamp: Date.now(),
  }
  if (end.outcome === 'error') {
    return { type: EventType.RUN_ERROR, message: end.message, code: end.code, ...facts }
  }
  return {
    type: EventType.RUN_FINISHED,
    threadId,
    runId,
    outcome: outcomeOf(end),
    ...(end.outcome === 'success' && end.result !== undefined ? { result: end.result } : {}),
    ...facts,
  }
}

/** Creates the events of a run that could not be started. */
export function refusedRun(threadId: string, runId: string, error: unknown): AguiEvent[] {
  const code = error instanceof RunnerError ? error.code : 'internal'
  const message = `The run could not be started: ${toMessage(error)}`
  const timestamp = Date.now()
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION, timestamp },
    { type: EventType.RUN_ERROR, code, message, timestamp },
  ]
}

/** Creates the events of a run that a person withdrew from the queue. */
export function withdrawnRun(
  threadId: string,
  { runId, digests, words }: Pick<Waiting, 'runId' | 'digests' | 'words'>,
): AguiEvent[] {
  const messageIds = digests.map(([id]) => id)
  const timestamp = Date.now()
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION, timestamp },
    ownEvent('withdrawn', { messageIds, words }),
    { type: EventType.RUN_FINISHED, threadId, runId, outcome: { type: 'cancelled' }, timestamp },
  ]
}

function outcomeOf(end: Exclude<RunEnd, { outcome: 'error' }>): RunFinishedOutcome {
  if (end.outcome === 'cancelled') return { type: 'cancelled' }
  if (end.outcome === 'interrupt') return { type: 'interrupt', interrupts: end.interrupts }
  const { pendingToolCallIds } = end
  return { type: 'success', ...(pendingToolCallIds === undefined ? {} : { pendingToolCallIds }) }
}

/** What a run has used, whatever its end is made to be. */
export function useOf({ usage, costUsd, context }: RunEnd): RunUse {
  return {
    ...(usage === undefined ? {} : { usage }),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(context === undefined ? {} : { context }),
  }
}
