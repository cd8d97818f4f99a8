// A page that follows a thread, while another one takes it back.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { messagesOf } from '../support/agui-replay.ts'
import { frames, post, run, runInput, userMessage } from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({
    script: {
      rules: [
        { when: { prompt: 'gated' }, reply: [{ text: 'Wait.' }, { gate: 'go-on' }, { text: ' Done.' }] },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  })
})
afterAll(() => runner.close())

test.each(['1.0', '0'])('holds what the thread is then, from /connect of %s', async (version) => {
  const threadId = `followed-${version}`
  const ask = (...messages: unknown[]) => ({ ...runInput(threadId), messages })
  const [q1, q2] = [userMessage('one'), userMessage('two')]
  for (const message of [q1, q2]) await run(runner.url, ask(message))
  const page = await fetch(`${runner.url}/sessions/${threadId}/connect?protocolVersion=${version}`)
  const told = []
  const ids: number[] = []
  for await (const { id, event } of frames(page)) {
    told.push(event)
    if (!Number.isNaN(id)) ids.push(id)
    if (event.type === 'RUN_FINISHED' && told.length > 4) break
    if (event.type === 'RUN_FINISHED') await post(runner.url, ask(q1, userMessage('edited', q2.id)))
  }
  const held = await messagesOf(told)
  expect(held.map(({ content }) => content)).toEqual(['one', 'You said: one', 'edited', 'You said: edited'])
  // Every record has its id once, so that a page that is cut off misses none and is told none twice.
  const [head = 0] = ids
  expect(ids).toEqual(ids.map((_id, index) => head + index))
})
