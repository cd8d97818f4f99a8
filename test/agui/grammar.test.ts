import { EventType } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { OpenItems } from '../../src/agui/grammar.ts'
import { messagesOf } from '../support/agui-replay.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'

const golden = (name: string): AguiEvent[] => readGolden(name) as AguiEvent[]

const FINISHED = {
  type: EventType.RUN_FINISHED,
  threadId: 'thread-1',
  outcome: { type: 'cancelled' },
} as const

describe('a stream that is cut anywhere is closed so that it may end', () => {
  test.each(caseNames())('%s', async (name) => {
    const events = golden(name)
    for (let length = 1; length < events.length; length++) {
      const seen = events.slice(0, length)
      const last = seen.at(-1)
      if (last?.type === EventType.RUN_FINISHED || last?.type === EventType.RUN_ERROR) continue
      const open = new OpenItems()
      for (const event of seen) open.apply(event)
      const runId = seen.findLast((event) => event.type === EventType.RUN_STARTED)?.runId
      // RUN_FINISHED is legal only when nothing is open at all.
      await messagesOf([...seen, ...open.closing(), { ...FINISHED, runId }])
    }
  })

  test.each(caseNames())('and a whole stream, %s, leaves nothing open', (name) => {
    const open = new OpenItems()
    for (const event of golden(name)) open.apply(event)
    expect(open.closing()).toEqual([])
  })
})

const OPENERS: [what: string, opener: AguiEvent, closer: AguiEvent][] = [
  [
    'a text',
    { type: EventType.TEXT_MESSAGE_START, messageId: 'x', role: 'assistant' },
    { type: EventType.TEXT_MESSAGE_END, messageId: 'x' },
  ],
  [
    'a tool call',
    { type: EventType.TOOL_CALL_START, toolCallId: 'x', toolCallName: 'Bash' },
    { type: EventType.TOOL_CALL_END, toolCallId: 'x' },
  ],
  [
    'a reasoning span',
    { type: EventType.REASONING_START, messageId: 'x' },
    { type: EventType.REASONING_END, messageId: 'x' },
  ],
  [
    'a reasoning message',
    { type: EventType.REASONING_MESSAGE_START, messageId: 'x', role: 'reasoning' },
    { type: EventType.REASONING_MESSAGE_END, messageId: 'x' },
  ],
  [
    'a step',
    { type: EventType.STEP_STARTED, stepName: 'x' },
    { type: EventType.STEP_FINISHED, stepName: 'x' },
  ],
]

describe('an item that is open', () => {
  test.each(OPENERS)('%s is closed by its own kind of end, once', (_what, opener, closer) => {
    const open = new OpenItems()
    open.apply(opener)
    expect(open.closing()).toEqual([closer])
    open.apply(closer)
    expect(open.closing()).toEqual([])
  })

  test.each(OPENERS)('%s of a subagent is closed in its name', (_what, opener, closer) => {
    const open = new OpenItems()
    open.apply({ ...opener, subagentRunId: 's' } as AguiEvent)
    expect(open.closing()).toEqual([{ ...closer, subagentRunId: 's' }])
  })

  test('is told apart from one of another kind with the same id, and from a step of the same name', () => {
    const open = new OpenItems()
    for (const [, opener] of OPENERS) open.apply(opener)
    open.apply({ type: EventType.STEP_STARTED, stepName: 'x', subagentRunId: 's' })
    expect(open.closing()).toHaveLength(6)
    open.apply({ type: EventType.STEP_FINISHED, stepName: 'x' })
    expect(open.closing()).toContainEqual({
      type: EventType.STEP_FINISHED,
      stepName: 'x',
      subagentRunId: 's',
    })
  })

  test('closes before what holds it, and a subagent as failed', () => {
    const open = new OpenItems()
    open.apply({ type: EventType.SUBAGENT_STARTED, subagentRunId: 's', name: 'helper' })
    open.apply({ type: EventType.TEXT_MESSAGE_START, messageId: 'm', role: 'assistant', subagentRunId: 's' })
    expect(open.closing().map(({ type }) => type)).toEqual(['TEXT_MESSAGE_END', 'SUBAGENT_ERROR'])
  })
})
