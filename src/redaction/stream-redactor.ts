import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { type DeltaEvent, effectOf, idOf, isDelta } from '../agui/items.ts'
import type { Needles } from './needles.ts'
import { TextStream } from './text-stream.ts'

interface Item {
  stream: TextStream
  /** The delta that the held-back rest is sent in. */
  last?: DeltaEvent
}

interface Latest {
  type: string
  id: string
  item: Item
}

/**
 * Removes secrets from the events of one run, also those that are spread over several deltas of a message. The end of a
 * message, and every other event about it, comes after all of its text.
 */
export class StreamRedactor {
  readonly #needles: Needles
  readonly #redactEvent: <E extends AguiEvent>(event: E) => E
  readonly #items = new Map<string, Item>()
  #latest: Latest | undefined

  constructor(needles: Needles, redactEvent: <E extends AguiEvent>(event: E) => E) {
    this.#needles = needles
    this.#redactEvent = redactEvent
  }

  redact(event: AguiEvent): AguiEvent[] {
    if (isDelta(event)) return this.#delta(event)
    return [...this.#behind(event), this.#redactEvent(event)]
  }

  /** Returns the held-back text that must be sent before this event. */
  #behind(event: AguiEvent): AguiEvent[] {
    switch (event.type) {
      // These events carry the messages so far, or end them.
      case EventType.MESSAGES_SNAPSHOT:
      case EventType.RUN_FINISHED:
      case EventType.RUN_ERROR:
        return this.flush()
      default: {
        // A result comes after its call, even when another event ended the call.
        const effect = effectOf(event)
        const isBehind = effect?.kind === 'close' || event.type === EventType.TOOL_CALL_RESULT
        return effect !== undefined && isBehind ? this.#rest(effect.key) : []
      }
    }
  }

  /** Returns the held-back text of every open message. */
  flush(): AguiEvent[] {
    return [...this.#items.keys()].flatMap((key) => this.#rest(key))
  }

  /** The number of held-back characters. */
  get heldChars(): number {
    let sum = 0
    for (const { stream } of this.#items.values()) sum += stream.heldChars
    return sum
  }

  #delta(given: DeltaEvent): AguiEvent[] {
    const item = this.#itemOf(given)
    const isBare = given.metadata === undefined && given.rawEvent === undefined
    const event = isBare ? given : { ...this.#redactEvent(given), delta: given.delta }
    item.last = event
    const delta = item.stream.push(event.delta)
    if (delta === event.delta) return [event]
    return delta === '' ? [] : [{ ...event, delta }]
  }

  /** Returns the delta's item, which is mostly that of the event before. */
  #itemOf(event: DeltaEvent): Item {
    const { type } = event
    const id = idOf(event)
    if (this.#latest?.id === id && this.#latest.type === type) return this.#latest.item
    const key = effectOf(event)?.key ?? ''
    const item = this.#items.get(key) ?? { stream: new TextStream(this.#needles) }
    this.#items.set(key, item)
    this.#latest = { type, id, item }
    return item
  }

  #rest(key: string): AguiEvent[] {
    const item = this.#items.get(key)
    if (item === undefined) return []
    this.#items.delete(key)
    this.#latest = undefined
    const delta = item.stream.flush()
    return delta === '' || item.last === undefined ? [] : [{ ...item.last, delta }]
  }
}
