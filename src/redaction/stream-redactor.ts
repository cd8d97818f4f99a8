import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import type { Needles } from './needles.ts'
import { TextStream } from './text-stream.ts'

type DeltaEvent = Extract<
  AguiEvent,
  { type: EventType.TEXT_MESSAGE_CONTENT | EventType.TOOL_CALL_ARGS | EventType.REASONING_MESSAGE_CONTENT }
>

interface Item {
  stream: TextStream
  /** What the rest is told in. */
  last?: DeltaEvent
}

type Kind = 'text' | 'tool' | 'reasoning'

interface Latest {
  kind?: Kind
  id?: string
  item?: Item
}

const NONE: Latest = {}

/**
 * The events of one run without secrets, also without those that are cut over several deltas of a message. The end of
 * a message, and what else speaks of it, comes behind all of its text.
 */
export class StreamRedactor {
  readonly #needles: Needles
  readonly #redactEvent: <E extends AguiEvent>(event: E) => E
  readonly #items = new Map<string, Item>()
  #latest = NONE

  constructor(needles: Needles, redactEvent: <E extends AguiEvent>(event: E) => E) {
    this.#needles = needles
    this.#redactEvent = redactEvent
  }

  redact(event: AguiEvent): AguiEvent[] {
    switch (event.type) {
      case EventType.TEXT_MESSAGE_CONTENT:
        return this.#delta('text', event.messageId, event)
      case EventType.TOOL_CALL_ARGS:
        return this.#delta('tool', event.toolCallId, event)
      case EventType.REASONING_MESSAGE_CONTENT:
        return this.#delta('reasoning', event.messageId, event)
      case EventType.TEXT_MESSAGE_END:
        return [...this.#rest(`text ${event.messageId}`), this.#redactEvent(event)]
      case EventType.TOOL_CALL_END:
      case EventType.TOOL_CALL_RESULT:
        return [...this.#rest(`tool ${event.toolCallId}`), this.#redactEvent(event)]
      case EventType.REASONING_MESSAGE_END:
        return [...this.#rest(`reasoning ${event.messageId}`), this.#redactEvent(event)]
      // Both tell the messages so far, or that there will be no more.
      case EventType.MESSAGES_SNAPSHOT:
      case EventType.RUN_FINISHED:
      case EventType.RUN_ERROR:
        return [...this.flush(), this.#redactEvent(event)]
      default:
        return [this.#redactEvent(event)]
    }
  }

  /** What waits of every open message. */
  flush(): AguiEvent[] {
    return [...this.#items.keys()].flatMap((key) => this.#rest(key))
  }

  /** Characters that wait. */
  get heldChars(): number {
    let sum = 0
    for (const { stream } of this.#items.values()) sum += stream.heldChars
    return sum
  }

  #delta(kind: Kind, id: string, given: DeltaEvent): AguiEvent[] {
    const item = this.#itemOf(kind, id)
    const isBare = given.metadata === undefined && given.rawEvent === undefined
    const event = isBare ? given : { ...this.#redactEvent(given), delta: given.delta }
    item.last = event
    const delta = item.stream.push(event.delta)
    if (delta === event.delta) return [event]
    return delta === '' ? [] : [{ ...event, delta }]
  }

  /** Mostly the same as that of the event before. */
  #itemOf(kind: Kind, id: string): Item {
    const { item: latest } = this.#latest
    if (latest !== undefined && this.#latest.id === id && this.#latest.kind === kind) return latest
    const key = `${kind} ${id}`
    const item = this.#items.get(key) ?? { stream: new TextStream(this.#needles) }
    this.#items.set(key, item)
    this.#latest = { kind, id, item }
    return item
  }

  #rest(key: string): AguiEvent[] {
    const item = this.#items.get(key)
    if (item === undefined) return []
    this.#items.delete(key)
    this.#latest = NONE
    const delta = item.stream.flush()
    return delta === '' || item.last === undefined ? [] : [{ ...item.last, delta }]
  }
}
