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
  expect(messages.ofMessages('success')).toEqual({
    'gen_ai.input.messages': JSON.stringify([parts(`${LONG}ab`), parts(' [cut]')]),
    'gen_ai.output.messages': '[]',
  })
})

test.each([
  ['success', 'stop'],
  ['interrupt', 'tool_call'],
  ['cancelled', 'cancelled'],
  ['error', 'error'],
] as const)(
  'the last message of a run that ended as %s ended as %s, those before it by a call',
  (outcome, reason) => {
    const messages = new SpanContent(true)
    for (const messageId of ['a', 'b']) {
      messages.said({ type: EventType.TEXT_MESSAGE_START, messageId, role: 'assistant' })
    }
    const said: unknown = JSON.parse(String(messages.ofMessages(outcome)['gen_ai.output.messages']))
    expect(said).toMatchObject([{ finish_reason: 'tool_call' }, { finish_reason: reason }])
  },
)

test('arguments that a person approved instead replace those of the call; unknown ones are left out', () => {
  const call = new SpanContent(true)
  call.add('{"of":"it"}')
  call.edit('{"of":"another"}')
  expect(call.ofTool('done')['gen_ai.tool.call.arguments']).toBe('{"of":"another"}')
  expect(Object.keys(new SpanContent(true).ofTool('done'))).toEqual(['gen_ai.tool.call.result'])
})
