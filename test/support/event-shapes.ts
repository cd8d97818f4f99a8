// Events in shapes that clients of some age refuse, and a few that all of them take.
import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../src/agui/event.ts'

export const ids = { threadId: 'thread/1', runId: 'run-1' }
const PNG = { type: 'image', source: { type: 'data', value: 'aGVsbG8=', mimeType: 'image/png' } } as const
const LINK = { type: 'document', source: { type: 'url', value: 'https://x.test/a' } } as const
export const PARTS = [{ type: 'text', text: 'a shot' } as const, PNG, LINK]

/** One of each kind of shape that some older client refuses; none of the recordings has them all. */
export const REFUSED: readonly [string, AguiEvent][] = [
  [
    'a run that waits for client tools',
    { type: EventType.RUN_FINISHED, ...ids, outcome: { type: 'success', pendingToolCallIds: ['c'] } },
  ],
  ['a cancelled run', { type: EventType.RUN_FINISHED, ...ids, outcome: { type: 'cancelled' } }],
  [
    'a result with parts',
    { type: EventType.TOOL_CALL_RESULT, messageId: 'm/1', toolCallId: 'c', content: PARTS },
  ],
  [
    'an echo with parts',
    {
      type: EventType.RUN_STARTED,
      ...ids,
      input: { ...ids, tools: [], context: [], messages: [{ id: 'u', role: 'user', content: PARTS }] },
    },
  ],
  [
    'a snapshot with parts',
    {
      type: EventType.MESSAGES_SNAPSHOT,
      messages: [
        { id: 'u', role: 'user', content: PARTS },
        { id: 'a', role: 'assistant', toolCalls: [] },
        { id: 'm/1', role: 'tool', toolCallId: 'c', content: PARTS },
        { id: 'f', role: 'user', content: [{ type: 'image', source: { type: 'file', value: 'file-1' } }] },
      ],
    },
  ],
  ['the start of a subagent', { type: EventType.SUBAGENT_STARTED, subagentRunId: 's', name: 'Explore' }],
  ['the failure of a subagent', { type: EventType.SUBAGENT_ERROR, subagentRunId: 's', message: 'It fell.' }],
]

const SUBAGENT = { subagentRunId: 's' }

/** What no reader has to be told otherwise. */
export const TAKEN: readonly [string, AguiEvent][] = [
  [
    'a run that waits for a person',
    {
      type: EventType.RUN_FINISHED,
      ...ids,
      outcome: { type: 'interrupt', interrupts: [{ id: 'i', reason: 'tool_call', responseSchema: {} }] },
    },
  ],
  ['a failed run', { type: EventType.RUN_ERROR, message: 'It fell.', code: 'model_error' }],
  ['a text', { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta: 'hi', metadata: { a: 1 } }],
  [
    "a subagent's text",
    { type: EventType.TEXT_MESSAGE_START, messageId: 'm', role: 'assistant', ...SUBAGENT },
  ],
  ['a steered message', { type: EventType.TEXT_MESSAGE_START, messageId: 'm', role: 'user' }],
  ['reasoning', { type: EventType.REASONING_MESSAGE_START, messageId: 'm', role: 'reasoning' }],
  [
    'a signature of reasoning',
    { type: EventType.REASONING_ENCRYPTED_VALUE, subtype: 'message', entityId: 'm', encryptedValue: 'x' },
  ],
  [
    'a tool call',
    { type: EventType.TOOL_CALL_START, toolCallId: 'c', toolCallName: 'Bash', parentMessageId: 'm' },
  ],
  ['a result in words', { type: EventType.TOOL_CALL_RESULT, messageId: 'm', toolCallId: 'c', content: 'ok' }],
  ['an event of our own', { type: EventType.CUSTOM, name: 'agui-runner.notice', value: { text: 'hi' } }],
  ['a state', { type: EventType.STATE_SNAPSHOT, snapshot: { count: 1 } }],
]
