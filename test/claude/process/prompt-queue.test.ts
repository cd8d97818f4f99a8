import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import { expect, test } from 'vitest'
import { PromptQueue } from '../../../src/claude/process/prompt-queue.ts'
import { turn } from '../../support/event-log.ts'

const message = (content: string): SDKUserMessage => ({
  type: 'user',
  message: { role: 'user', content },
  parent_tool_use_id: null,
})

async function readAll(queue: PromptQueue): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const { message: given } of queue) all.push(given.content)
  return all
}

test('gives what was pushed before and while it is read, in order, and ends behind it', async () => {
  const queue = new PromptQueue()
  queue.push(message('one'))
  queue.push(message('two'))
  const reading = readAll(queue)
  await turn()
  // The reader waits by now, and is woken for both.
  queue.push(message('three'))
  queue.push(message('four'))
  queue.end()
  expect(await reading).toEqual(['one', 'two', 'three', 'four'])
})

test('ended before anybody reads it still gives what it has', async () => {
  const queue = new PromptQueue()
  queue.push(message('one'))
  queue.end()
  expect([await readAll(queue), await readAll(queue)]).toEqual([['one'], []])
})

test('a reader that waits learns of the end', async () => {
  const queue = new PromptQueue()
  const reading = readAll(queue)
  await turn()
  queue.end()
  expect(await reading).toEqual([])
})
