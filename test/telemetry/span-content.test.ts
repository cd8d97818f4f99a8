import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { SpanContent } from '../../src/telemetry/span-content.ts'

const LONG = 'x'.repeat(64 * 1024 - 2)

test('content that has no room is cut once, with one mark, however much follows', () => {
  const call = new SpanContent(true)
  for (const delta of [LONG, 'abc', 'def', 'ghi']) call.add(delta)
  expect(call.ofTool('result')).toEqual({
    'gen_ai.tool.call.arguments': `${LONG}ab [cut]`,
    'gen_ai.tool.call.result': '',
  })
})

test('content that just fits is not marked, and what follows it is', () => {
  const messages = new SpanContent(true)
  messages.asked([{ id: 'a', role: 'user', content: `${LONG}ab` }])
  messages.asked([
    { id: 'b', role: 'user', content: 'more' },
    { id: 'c', role: 'user', content: 'and more' },
  ])
  messages.said({ type: EventType.TEXT_MESSAGE_START, messageId: 'd', role: 'assistant' })
  const parts = (content: string) => ({ role: 'user', parts: [{ type: 'text', content }] })
  expect(messages.ofMessages()).toEqual({
    'gen_ai.input.messages': JSON.stringify([parts(`${LONG}ab`), parts(' [cut]')]),
    'gen_ai.output.messages': '[]',
  })
})
