// A body of REQUEST_BODY_BYTES_MAX has a hundred thousand messages. Where each was compared with each, one request held up
// the whole runner for minutes; what is below would not end within a test's time.
import type { Message, UserMessage } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { owedResults } from '../../src/thread/answers.ts'
import { messageDigestOf, withShown } from '../../src/thread/digests.ts'

const COUNT = 300_000
const numbers = Array.from({ length: COUNT }, (_, at) => at)

test('of as many results, those of the history are told from those that answer nothing', () => {
  const calls = numbers.map((at): Message => {
    const call = { id: `call-${at}`, type: 'function' as const, function: { name: 'f', arguments: '{}' } }
    return { id: `a-${at}`, role: 'assistant', toolCalls: [call] }
  })
  const results = numbers.map(
    (at): Message => ({ id: `r-${at}`, role: 'tool', toolCallId: `call-${at + 1}`, content: '' }),
  )
  const { skipped } = owedResults([...calls, ...results], { pendingToolCallIds: [] })
  expect(skipped).toEqual([`the result "r-${COUNT - 1}" of call "call-${COUNT}", which waits for none`])
})

test('as many messages are remembered as they are shown', () => {
  const shown = numbers.map((at): UserMessage => ({ id: `m-${at}`, role: 'user', content: 'shown' }))
  const sent = numbers.map((at): [string, string] => [`m-${COUNT - 1 - at}`, 'sent'])
  const known = withShown(sent, shown)
  expect(known).toHaveLength(COUNT)
  expect(known.at(-1)).toEqual(['m-0', `sent ${messageDigestOf('shown')}`])
})
