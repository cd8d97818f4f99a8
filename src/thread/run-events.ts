// The first and the last event of a run.
import { EventType, PROTOCOL_VERSION, type RunFinishedOutcome } from '@ag-ui/core'
import type { RunEnd, RunRequest } from '../agent/agent.ts'
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

/** Creates the one terminal event of a run. */
export function endEvent(end: RunEnd, { threadId, runId }: { threadId: string; runId: string }): AguiEvent {
  const usage = usageOf(end)
  if (end.outcome === 'error') {
    return { type: EventType.RUN_ERROR, message: end.message, code: end.code, ...usage }
  }
  return {
    type: EventType.RUN_FINISHED,
    threadId,
    runId,
    outcome: outcomeOf(end),
    ...(end.outcome === 'success' && end.result !== undefined ? { result: end.result } : {}),
    ...usage,
  }
}

/** Creates the events of a run that could not be started. */
export function refusedRun(threadId: string, runId: string, error: unknown): AguiEvent[] {
  const code = error instanceof RunnerError ? error.code : 'internal'
  const message = `The run could not be started: ${toMessage(error)}`
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION },
    { type: EventType.RUN_ERROR, code, message },
  ]
}

/** Creates the events of a run that a person withdrew from the queue. */
export function withdrawnRun(
  threadId: string,
  { runId, digests, words }: Pick<Waiting, 'runId' | 'digests' | 'words'>,
): AguiEvent[] {
  const messageIds = digests.map(([id]) => id)
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION },
    ownEvent('withdrawn', { messageIds, words }),
    { type: EventType.RUN_FINISHED, threadId, runId, outcome: { type: 'cancelled' } },
  ]
}

function outcomeOf(end: Exclude<RunEnd, { outcome: 'error' }>): RunFinishedOutcome {
  if (end.outcome === 'cancelled') return { type: 'cancelled' }
  if (end.outcome === 'interrupt') return { type: 'interrupt', interrupts: end.interrupts }
  const { pendingToolCallIds } = end
  return { type: 'success', ...(pendingToolCallIds === undefined ? {} : { pendingToolCallIds }) }
}

export function usageOf(end: RunEnd): Pick<RunEnd, 'usage'> {
  return end.usage === undefined || end.usage.length === 0 ? {} : { usage: end.usage }
}
