import { EventType } from '@ag-ui/core'
import type { AguiEvent } from './event.ts'
import { effectOf, type ItemKind, isDelta, ownerOf } from './items.ts'

/**
 * The items that a run has opened and not closed (agui-1.0-producer.md A3.23). It is fed every event of a run and can
 * close the run at any time, so that the log stays legal whatever process died.
 */
export class OpenItems {
  readonly #open = new Map<string, AguiEvent>()

  apply(event: AguiEvent): void {
    // Nearly every event is a delta, and a delta opens and closes nothing.
    if (isDelta(event)) return
    const effect = effectOf(event)
    if (effect?.kind === 'close') this.#open.delete(effect.key)
    if (effect?.kind !== 'open') return
    const closing = CLOSING[effect.item]?.(effect.id, ownerOf(event))
    if (closing !== undefined) this.#open.set(effect.key, closing)
  }

  /** Returns the events that close everything, the youngest item first: an inner item closes before the outer one. */
  closing(): AguiEvent[] {
    return [...this.#open.values()].reverse()
  }
}

type Closing = (id: string, owner: { subagentRunId?: string }) => AguiEvent

/** The closing event of an item whose own end will never come. */
const CLOSING: Readonly<Partial<Record<ItemKind, Closing>>> = {
  text: (messageId, owner) => ({ type: EventType.TEXT_MESSAGE_END, messageId, ...owner }),
  tool: (toolCallId, owner) => ({ type: EventType.TOOL_CALL_END, toolCallId, ...owner }),
  span: (messageId, owner) => ({ type: EventType.REASONING_END, messageId, ...owner }),
  reasoning: (messageId, owner) => ({ type: EventType.REASONING_MESSAGE_END, messageId, ...owner }),
  step: (stepName, owner) => ({ type: EventType.STEP_FINISHED, stepName, ...owner }),
  subagent: (subagentRunId) => ({
    type: EventType.SUBAGENT_ERROR,
    subagentRunId,
    message: 'The run ended before the subagent did.',
  }),
}
