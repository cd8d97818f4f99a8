import { contentToText, EventType } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { type Effect, effectOf, type ItemKind, isDelta } from '../agui/items.ts'
import { ownName } from '../agui/own-events.ts'
import { questionText } from './chat-answers.ts'

/** One push to the control plane: a message, which its chat shows, or an event, which its audit trail keeps. */
export type LinkPush =
  | { to: 'messages'; type: string; payload: string }
  | {
      to: 'events'
      type: string
      payload: string
      /** Number of the log's events that this push stands for. */
      count: number
      /** When a grouped item ended, in milliseconds since the epoch. */
      completedAt?: number
    }

/** What is used of a record of the log. */
interface Said {
  seq: number
  at: number
  event: AguiEvent
}

interface Group {
  seq: number
  start: AguiEvent
  said: string
  fragments: number
}

/** Kinds of items that are one event of the audit trail, from their first event to their last. */
const GROUPED: ReadonlySet<ItemKind> = new Set(['text', 'reasoning', 'tool'])
/** Names of custom events that come every few seconds as a sign of progress. Only the audit trail gets them. */
const TICKING: ReadonlySet<string> = new Set([ownName('tool_progress'), ownName('thinking_tokens')])
/** Characters that the control plane's clients show of a result. */
const RESULT_CHARS_MAX = 2000
const CUT = '... (truncated)'
/** Upper bound of a payload. A gRPC server reads 4 MiB by default, and a character may be six bytes of JSON. */
const PAYLOAD_CHARS_MAX = 512 * 1024

/** Converts a thread's records to pushes (control-plane.md 1.3). The records are passed in the log's order. */
export class Outgoing {
  readonly #open = new Map<string, Group>()
  #seq: number

  /** @param after the last seq before the first record. */
  constructor(after: number) {
    this.#seq = after
  }

  /** The seq after which a new reader misses nothing: every item that is open now began later. */
  get restart(): number {
    return Math.min(this.#seq, ...[...this.#open.values()].map(({ seq }) => seq - 1))
  }

  /** Returns the pushes that the record completes, in order. */
  apply({ seq, at, event }: Said): LinkPush[] {
    this.#seq = seq
    const effect = effectOf(event)
    if (effect === undefined || !GROUPED.has(effect.item)) return [...messagesOf(event), eventOf(event)]
    switch (effect.kind) {
      case 'open':
        this.#open.set(effect.key, { seq, start: event, said: '', fragments: 0 })
        return []
      case 'delta':
        this.#add(effect, event)
        return []
      case 'close':
        return this.#close(effect, { at, event })
      case 'whole':
        return [...messagesOf(event), eventOf(event)]
    }
  }

  #add({ key }: Effect, event: AguiEvent): void {
    const group = this.#open.get(key)
    if (group === undefined || !isDelta(event)) return
    group.said += event.delta
    group.fragments += 1
  }

  /** Returns the pushes of a completed item; none when it began before the first record that the log still has. */
  #close({ key }: Effect, { at, event }: Pick<Said, 'at' | 'event'>): LinkPush[] {
    const group = this.#open.get(key)
    this.#open.delete(key)
    if (group === undefined) return []
    const { start, said, fragments } = group
    const content = cut(said, PAYLOAD_CHARS_MAX)
    const payload = { ...start, accumulated_content: content, fragment_count: fragments, end_event: event }
    return [
      ...messagesOfGroup(start, content),
      {
        to: 'events',
        type: start.type,
        payload: JSON.stringify(payload),
        count: fragments + 2,
        completedAt: at,
      },
    ]
  }
}

function messagesOfGroup(start: AguiEvent, content: string): LinkPush[] {
  if (start.type === EventType.TEXT_MESSAGE_START) {
    const text = content.trim()
    // The control plane has a person's messages itself and accepts them from nobody else.
    return text === '' || (start.role ?? 'assistant') !== 'assistant' ? [] : [message('assistant', text)]
  }
  if (start.type !== EventType.TOOL_CALL_START) return []
  const { toolCallName: tool, toolCallId: tool_call_id } = start
  return [message('tool_use', { tool, tool_call_id, input: argumentsOf(content) })]
}

function messagesOf(event: AguiEvent): LinkPush[] {
  switch (event.type) {
    case EventType.TOOL_CALL_RESULT: {
      const { toolCallId: tool_call_id, content } = event
      return [message('tool_result', { tool_call_id, result: cut(contentToText(content), RESULT_CHARS_MAX) })]
    }
    case EventType.RUN_STARTED:
      return [message('lifecycle', { event: 'run_started' })]
    case EventType.RUN_FINISHED: {
      const { outcome } = event
      const question =
        typeof outcome === 'object' && outcome.type === 'interrupt' ? questionText(outcome.interrupts) : ''
      return [...(question === '' ? [] : [message('assistant', question)]), ended()]
    }
    case EventType.RUN_ERROR: {
      const { code } = event
      const error = cut(event.message, RESULT_CHARS_MAX)
      // The control plane's page removes its sign of work only for the second message.
      return [message('error', { error, ...(code === undefined ? {} : { code }) }), ended()]
    }
    case EventType.CUSTOM: {
      const { name: custom_event, value } = event
      if (TICKING.has(custom_event)) return []
      if (isTooLong(event)) return [message('system', { custom_event, value: null })]
      return [message(custom_event.includes('error') ? 'error' : 'system', { custom_event, value })]
    }
    default:
      return []
  }
}

function ended(): LinkPush {
  return message('lifecycle', { event: 'run_finished' })
}

function eventOf(event: AguiEvent): LinkPush {
  const { type } = event
  const shown = isTooLong(event) ? { type, omitted: true } : event
  return { to: 'events', type, payload: JSON.stringify(shown), count: 1 }
}

function isTooLong(event: AguiEvent): boolean {
  return JSON.stringify(event).length > PAYLOAD_CHARS_MAX
}

function message(type: string, payload: string | object): LinkPush {
  const text =
    typeof payload === 'string' ? storable(cut(payload, PAYLOAD_CHARS_MAX)) : JSON.stringify(payload)
  return { to: 'messages', type, payload: text }
}

/** Replaces what a server refuses each time: its gRPC half of a surrogate pair, its database a NUL. */
function storable(text: string): string {
  return Buffer.from(text).toString().replaceAll('\0', '\ufffd')
}

function argumentsOf(text: string): unknown {
  if (text === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value }
  } catch {
    return { raw: text }
  }
}

function cut(text: string, max: number): string {
  if (text.length <= max) return text
  // Never cuts between the two halves of a surrogate pair.
  const end = /[\ud800-\udbff]/.test(text.charAt(max - 1)) ? max - 1 : max
  return `${text.slice(0, end)}${CUT}`
}
