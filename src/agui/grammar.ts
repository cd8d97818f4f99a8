import { EventType } from '@ag-ui/core'
import type { AguiEvent } from './event.ts'
import { effectOf, type ItemKind, isDelta, ownerOf } from './items.ts'

/**
 * What a run has opened and not closed (agui-1.0-producer.md A3.23). Fed with every event of a run, it can close
 * the run at any instant, so that whatever died, the log stays grammatical.
 */
export class OpenItems {
  readonly #open = new Map<string, AguiEvent>()

  apply(event: AguiEvent): void {
    // Nearly every event; it changes nothing here.
    if (isDelta(event)) return
    const effect = effectOf(event)
    if (effect?.kind === 'close') this.#open.delete(effect.key)
    if (effect?.kind !== 'open') return
    const closing = CLOSING[effect.item]?.(effect.id, ownerOf(event))
    if (closing !== undefined) this.#open.set(effect.key, closing)
  }

  /** The events that close everything, the youngest first, so that what is inside closes before what holds it. */
  closing(): AguiEvent[] {
    return [...this.#open.values()].reverse()
  }
}

type Closing = (id: string, owner: { subagentRunId?: string }) => AguiEvent

/** How an item is closed that nobody will close. */
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
