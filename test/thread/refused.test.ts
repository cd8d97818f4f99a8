// A message that was refused is no part of the conversation: a client that goes on sends it with its whole history.
import { afterEach, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { helloAgent, lookAtNone, ThreadsWorld } from '../support/threads.ts'

let world: ThreadsWorld
afterEach(() => world.close())

const user = (content: string) => ({ id: `id of ${content}`, role: 'user' as const, content })

test.each<[ErrorCode, string[]]>([
  ['prompt_refused', ['good']],
  ['model_rejected_input', ['good']],
  // Nobody knows whether it was taken in: it is said again.
  ['model_overloaded', ['bad', 'good']],
])('what ended as %s goes with the next message as %j', async (code, expected) => {
  const heard: string[][] = []
  const agent = {
    ...helloAgent(),
    async run({ messages }: { messages: { content?: unknown }[] }) {
      const words = messages.map(({ content }) => String(content))
      heard.push(words)
      if (heard.length > 1) return { outcome: 'success' as const }
      return { outcome: 'error' as const, code, message: 'no' }
    },
  }
  world = await ThreadsWorld.open({ agent: { open: () => agent, look: lookAtNone } })
  const send = async (runId: string, ...contents: string[]): Promise<void> => {
    await world.threads.submit({
      threadId: 'one',
      runId,
      messages: contents.map(user),
      tools: [],
      context: [],
    })
    await world.ended(runId)
  }
  await send('1', 'bad')
  await send('2', 'bad', 'good')
  expect(heard).toEqual([['bad'], expected])
})
