import type { ContentPart, EventType, Message } from '@ag-ui/core'
import { z } from 'zod'
import type { AguiEvent } from './event.ts'
import { ownEvent } from './own-events.ts'

/**
 * The version of AG-UI that a reader understands. Only clients of 1.0 name theirs. `older` is the common ground of every
 * `@ag-ui/client` from 0.0.45 to 0.0.59, which nothing tells apart (docs/clients.md).
 */
export type Dialect = '1.0' | 'older'

/** `protocolVersion` as a reader sends it: any 1.x is served as 1.0, any 0.x as `older`. */
export const ProtocolVersion = z
  .string()
  .regex(/^[01](\.\d+)*$/, 'must be a version of AG-UI that is spoken here: 1.0, or 0 for older clients')
  .transform((version): Dialect => (version.startsWith('1') ? '1.0' : 'older'))

/** An event of an older AG-UI. Its type is one of ours; its members may differ. */
export type OlderEvent = Readonly<{ type: EventType }>

type EventOf<T extends EventType> = Extract<AguiEvent, { type: T }>

interface Row<T extends EventType> {
  readonly fate: 'kept' | 'changed'
  /** The reason for the change, and why no content is lost. */
  readonly because: string
  /** Returns the events that are sent instead. `threadId` is the event's thread. */
  view?(event: EventOf<T>, threadId: string): OlderEvent[]
}

/** A row that is known to fit the event, because it was looked up by the event's own type. */
interface AnyRow {
  view?(event: AguiEvent, threadId: string): OlderEvent[]
}

const kept = { fate: 'kept', because: 'every client since 0.0.45 takes it' } as const
const subagent = {
  fate: 'changed',
  because: 'clients before 0.0.59 refuse the type: the same event goes as the value of agui-runner.subagent',
  view: (
    event: EventOf<EventType.SUBAGENT_STARTED | EventType.SUBAGENT_FINISHED | EventType.SUBAGENT_ERROR>,
  ) => [ownEvent('subagent', { ...event })],
} as const

/** How the log, which is AG-UI 1.0, is sent to older clients. Each row was measured with each version. */
export const OLDER: { readonly [T in EventType]: Row<T> } = {
  RUN_STARTED: {
    fate: 'changed',
    because: 'its input may hold parts that they refuse, and whoever sent the input has it: it goes without',
    view: ({ input: _echo, ...event }) => [event],
  },
  RUN_FINISHED: {
    fate: 'changed',
    because:
      'they refuse pendingToolCallIds, and take every call without a result for pending; they refuse an outcome cancelled: agui-runner.cancelled stands before the end',
    view: olderEnd,
  },
  RUN_ERROR: kept,
  TEXT_MESSAGE_START: kept,
  TEXT_MESSAGE_CONTENT: kept,
  TEXT_MESSAGE_END: kept,
  TEXT_MESSAGE_CHUNK: kept,
  TOOL_CALL_START: kept,
  TOOL_CALL_ARGS: kept,
  TOOL_CALL_END: kept,
  TOOL_CALL_CHUNK: kept,
  TOOL_CALL_RESULT: {
    fate: 'changed',
    because:
      'they take a text only: parts become one, with a line for each that is none and where to fetch it',
    view: (event, threadId) => [
      { ...event, content: wordsOf(event.content, { threadId, messageId: event.messageId }) },
    ],
  },
  REASONING_START: kept,
  REASONING_MESSAGE_START: kept,
  REASONING_MESSAGE_CONTENT: kept,
  REASONING_MESSAGE_END: kept,
  REASONING_MESSAGE_CHUNK: kept,
  REASONING_END: kept,
  REASONING_ENCRYPTED_VALUE: kept,
  STEP_STARTED: kept,
  STEP_FINISHED: kept,
  SUBAGENT_STARTED: subagent,
  SUBAGENT_FINISHED: subagent,
  SUBAGENT_ERROR: subagent,
  ACTIVITY_SNAPSHOT: kept,
  ACTIVITY_DELTA: kept,
  STATE_SNAPSHOT: kept,
  STATE_DELTA: kept,
  MESSAGES_SNAPSHOT: {
    fate: 'changed',
    because:
      "they refuse parts in a tool's message, which become a text as in TOOL_CALL_RESULT; before 0.0.49 they know a user's media as binary parts, and later ones read those too",
    view: ({ messages, ...event }, threadId) => [
      { ...event, ...{ messages: messages.map((message) => olderMessage(message, threadId)) } },
    ],
  },
  RAW: kept,
  CUSTOM: kept,
}

/** Returns the event as older clients get it. A type that a later runner wrote is left out: it would end their run. */
export function toOlder(event: AguiEvent, threadId: string): OlderEvent[] {
  const rows: Readonly<Partial<Record<string, AnyRow>>> = OLDER
  const row = rows[event.type]
  if (row === undefined) return []
  return row.view === undefined ? [event] : row.view(event, threadId)
}

function olderEnd(event: EventOf<EventType.RUN_FINISHED>): OlderEvent[] {
  const { outcome, ...ended } = event
  if (outcome?.type === 'cancelled') {
    return [ownEvent('cancelled', { reason: 'The run was stopped before it was done.' }), ended]
  }
  return outcome?.type === 'success' && outcome.pendingToolCallIds !== undefined ? [ended] : [event]
}

interface Place {
  threadId: string
  messageId: string
}

/** Returns the path of a message's part, from the root of the runner. */
function partUrl({ threadId, messageId }: Place, index: number): string {
  return `/sessions/${encodeURIComponent(threadId)}/messages/${encodeURIComponent(messageId)}/parts/${index}`
}

function wordsOf(content: string | ContentPart[], place: Place): string {
  if (typeof content === 'string') return content
  return content
    .map((part, index) => {
      if (part.type === 'text') return part.text
      const { source } = part
      const kind = source.mimeType === undefined ? part.type : `${part.type} ${source.mimeType}`
      if (source.type === 'data') {
        return `[${kind}, ${Buffer.byteLength(source.value, 'base64')} bytes: GET ${partUrl(place, index)}]`
      }
      return `[${kind}: ${source.value}]`
    })
    .join('\n')
}

function olderMessage(message: Message, threadId: string): object {
  if (message.role === 'tool') {
    return { ...message, content: wordsOf(message.content, { threadId, messageId: message.id }) }
  }
  if (message.role !== 'user' || typeof message.content === 'string') return message
  return { ...message, content: message.content.map(toBinary) }
}

/** Returns the wildcard media type of a part that has none, for clients that read `binary` parts. */
const anyOf = (kind: string): string => `${kind === 'document' ? 'application' : kind}/*`

const MEMBER = { data: 'data', url: 'url', file: 'id' } as const

function toBinary(part: ContentPart): object {
  if (part.type === 'text') return part
  const { source } = part
  return {
    type: 'binary',
    mimeType: source.mimeType ?? anyOf(part.type),
    [MEMBER[source.type]]: source.value,
  }
}
