import { EventType } from '@ag-ui/core'
import type { AguiEvent } from './event.ts'

/**
 * What a run has opened and not closed (agui-1.0-producer.md A3.23). Fed with every event of a run, it can close
 * the run at any instant, so that whatever died, the log stays grammatical.
 */
export class OpenItems {
  readonly #open = new Map<string, AguiEvent>()

  apply(event: AguiEvent): void {
    const effect = effectOf(event)
    if (effect === undefined) return
    if (effect.closing === undefined) this.#open.delete(effect.key)
    else this.#open.set(effect.key, effect.closing)
  }

  /** The events that close everything, the youngest first, so that what is inside closes before what holds it. */
  closing(): AguiEvent[] {
    return [...this.#open.values()].reverse()
  }
}

/** `closing` is there when the event opens the item, and is the event that will close it. */
function effectOf(event: AguiEvent): { key: string; closing?: AguiEvent } | undefined {
  switch (event.type) {
    case EventType.TEXT_MESSAGE_START: {
      const closing = {
        type: EventType.TEXT_MESSAGE_END,
        messageId: event.messageId,
        ...ownerOf(event),
      } as const
      return { key: `text ${event.messageId}`, closing }
    }
    case EventType.TEXT_MESSAGE_END:
      return { key: `text ${event.messageId}` }
    case EventType.TOOL_CALL_START: {
      const closing = {
        type: EventType.TOOL_CALL_END,
        toolCallId: event.toolCallId,
        ...ownerOf(event),
      } as const
      return { key: `tool ${event.toolCallId}`, closing }
    }
    case EventType.TOOL_CALL_END:
      return { key: `tool ${event.toolCallId}` }
    case EventType.REASONING_START: {
      const closing = {
        type: EventType.REASONING_END,
        messageId: event.messageId,
        ...ownerOf(event),
      } as const
      return { key: `span ${event.messageId}`, closing }
    }
    case EventType.REASONING_END:
      return { key: `span ${event.messageId}` }
    case EventType.REASONING_MESSAGE_START: {
      const { messageId } = event
      const closing = { type: EventType.REASONING_MESSAGE_END, messageId, ...ownerOf(event) } as const
      return { key: `reasoning ${messageId}`, closing }
    }
    case EventType.REASONING_MESSAGE_END:
      return { key: `reasoning ${event.messageId}` }
    // Steps are named per owner: two subagents may each have a step of the same name open.
    case EventType.STEP_STARTED: {
      const closing = { type: EventType.STEP_FINISHED, stepName: event.stepName, ...ownerOf(event) } as const
      return { key: `step ${event.subagentRunId ?? ''} ${event.stepName}`, closing }
    }
    case EventType.STEP_FINISHED:
      return { key: `step ${event.subagentRunId ?? ''} ${event.stepName}` }
    case EventType.SUBAGENT_STARTED: {
      const { subagentRunId } = event
      const message = 'The run ended before the subagent did.'
      return {
        key: `subagent ${subagentRunId}`,
        closing: { type: EventType.SUBAGENT_ERROR, subagentRunId, message },
      }
    }
    case EventType.SUBAGENT_FINISHED:
    case EventType.SUBAGENT_ERROR:
      return { key: `subagent ${event.subagentRunId}` }
    default:
      return undefined
  }
}

function ownerOf(event: { subagentRunId?: string }): { subagentRunId?: string } {
  return event.subagentRunId === undefined ? {} : { subagentRunId: event.subagentRunId }
}
