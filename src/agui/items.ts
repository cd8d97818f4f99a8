// What an AG-UI event does to open items. Every part that follows a stream reads this one table. It imports types only,
// so that a page can load it too.
import type { EventType } from '@ag-ui/core'
import type { AguiEvent } from './event.ts'

/** A `span` holds reasoning messages (REASONING_START to REASONING_END). */
export type ItemKind = 'text' | 'tool' | 'reasoning' | 'span' | 'step' | 'subagent' | 'activity'

/**
 * `open` and `close` are an item's first and last event. `delta` adds to an open item. `whole` is an item in one event
 * of its own.
 */
type EffectKind = 'open' | 'delta' | 'close' | 'whole'

interface Row {
  readonly item: ItemKind
  readonly kind: EffectKind
  /** The member that names the item. */
  readonly id: 'messageId' | 'toolCallId' | 'entityId' | 'stepName' | 'subagentRunId'
  /** The member that carries the text. */
  readonly text?: 'delta' | 'content'
}

/** Events about the run, the state or the whole history have no row. Chunks have none either: we never send them. */
export const ITEMS: Readonly<Record<EventType, Row | undefined>> = {
  TEXT_MESSAGE_START: { item: 'text', kind: 'open', id: 'messageId' },
  TEXT_MESSAGE_CONTENT: { item: 'text', kind: 'delta', id: 'messageId', text: 'delta' },
  TEXT_MESSAGE_END: { item: 'text', kind: 'close', id: 'messageId' },
  TEXT_MESSAGE_CHUNK: undefined,
  TOOL_CALL_START: { item: 'tool', kind: 'open', id: 'toolCallId' },
  TOOL_CALL_ARGS: { item: 'tool', kind: 'delta', id: 'toolCallId', text: 'delta' },
  TOOL_CALL_END: { item: 'tool', kind: 'close', id: 'toolCallId' },
  TOOL_CALL_CHUNK: undefined,
  TOOL_CALL_RESULT: { item: 'tool', kind: 'whole', id: 'toolCallId', text: 'content' },
  REASONING_START: { item: 'span', kind: 'open', id: 'messageId' },
  REASONING_MESSAGE_START: { item: 'reasoning', kind: 'open', id: 'messageId' },
  REASONING_MESSAGE_CONTENT: { item: 'reasoning', kind: 'delta', id: 'messageId', text: 'delta' },
  REASONING_MESSAGE_END: { item: 'reasoning', kind: 'close', id: 'messageId' },
  REASONING_MESSAGE_CHUNK: undefined,
  REASONING_END: { item: 'span', kind: 'close', id: 'messageId' },
  REASONING_ENCRYPTED_VALUE: { item: 'reasoning', kind: 'whole', id: 'entityId' },
  STEP_STARTED: { item: 'step', kind: 'open', id: 'stepName' },
  STEP_FINISHED: { item: 'step', kind: 'close', id: 'stepName' },
  SUBAGENT_STARTED: { item: 'subagent', kind: 'open', id: 'subagentRunId' },
  SUBAGENT_FINISHED: { item: 'subagent', kind: 'close', id: 'subagentRunId' },
  SUBAGENT_ERROR: { item: 'subagent', kind: 'close', id: 'subagentRunId' },
  ACTIVITY_SNAPSHOT: { item: 'activity', kind: 'whole', id: 'messageId' },
  ACTIVITY_DELTA: { item: 'activity', kind: 'whole', id: 'messageId' },
  STATE_SNAPSHOT: undefined,
  STATE_DELTA: undefined,
  MESSAGES_SNAPSHOT: undefined,
  RAW: undefined,
  CUSTOM: undefined,
  RUN_STARTED: undefined,
  RUN_FINISHED: undefined,
  RUN_ERROR: undefined,
}

/** An event that adds text to an open item. */
export type DeltaEvent = Extract<
  AguiEvent,
  { type: EventType.TEXT_MESSAGE_CONTENT | EventType.TOOL_CALL_ARGS | EventType.REASONING_MESSAGE_CONTENT }
>

export function isDelta(event: AguiEvent): event is DeltaEvent {
  return ITEMS[event.type]?.text === 'delta'
}

/** Returns the id of the item that the delta adds to. Items differ by type and id. */
export function idOf(event: DeltaEvent): string {
  return 'messageId' in event ? event.messageId : event.toolCallId
}

export interface Effect {
  readonly item: ItemKind
  readonly kind: EffectKind
  readonly id: string
  /** Unique among open items. */
  readonly key: string
}

/** Returns undefined for an event about no item, and for a type of a later AG-UI. */
export function effectOf(event: { readonly type: string }): Effect | undefined {
  const row = rowOf(event.type)
  if (row === undefined) return undefined
  const { item, kind } = row
  const id = member(event, row.id)
  // A step's name is unique per owner only: two subagents may have a step of one name open.
  const key = item === 'step' ? `step ${member(event, 'subagentRunId')} ${id}` : `${item} ${id}`
  return { item, kind, id, key }
}

/** Returns the types of the events about items of this kind. */
export function typesOf(item: ItemKind): string[] {
  return Object.keys(ITEMS).filter((type) => rowOf(type)?.item === item)
}

/** Returns the event's owner; empty for the main agent. */
export function ownerOf(event: object): { subagentRunId?: string } {
  return 'subagentRunId' in event && typeof event.subagentRunId === 'string'
    ? { subagentRunId: event.subagentRunId }
    : {}
}

function rowOf(type: string): Row | undefined {
  const rows: Readonly<Record<string, Row | undefined>> = ITEMS
  return rows[type]
}

function member(event: object, name: string): string {
  const value: unknown = Reflect.get(event, name)
  return typeof value === 'string' ? value : ''
}
