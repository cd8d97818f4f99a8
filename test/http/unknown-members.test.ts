// What a client sends in vain, beside what it may: the runner's own doors refuse it, and a run names it in its stream.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodyOf, post, run, runInput } from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({
    asks: ['Bash'],
    tools: { Bash: async () => 'done' },
    script: {
      rules: [
        { when: { prompt: 'touch', round: 0 }, reply: [{ tool: 'Bash' }] },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  })
})
afterAll(() => runner.close())

test('a message that is posted with a misspelt member is refused, not queued', async () => {
  const answer = await post(`${runner.url}/sessions/posted/messages`, { content: 'a', delivry: 'steer' })
  const { error } = await bodyOf(answer)
  expect([answer.status, error.code, error.message]).toEqual([
    400,
    'invalid_input',
    expect.stringContaining('"delivry"'),
  ])
})

test.each([
  { type: 'message', threadId: 'framed', content: 'a', id: 'mine' },
  { type: 'run', input: runInput('framed', 'a'), delivery: 'steer' },
  { type: 'subscribe', threadId: 'framed', afterSeq: 4 },
])('a frame with an unknown member is refused: %o', async (frame) => {
  const socket = await openSocket(runner.url)
  socket.send(frame)
  const { error } = await socket.frame(({ type }) => type === 'error')
  await socket.close()
  expect(error).toMatchObject({
    code: 'invalid_input',
    message: expect.stringContaining(`"${Object.keys(frame).at(-1)}"`),
  })
})

test('an answer to what nobody asked is named in the stream of its run', async () => {
  const asked = (await run(runner.url, runInput('answers', 'touch'))).at(-1)
  const [{ id }] = Object(asked)['outcome'].interrupts
  const resume = [
    { interruptId: 'nobody', status: 'resolved', payload: { approved: true } },
    { interruptId: id, status: 'resolved', payload: { approved: true } },
  ]
  const all = await run(runner.url, { ...runInput('answers'), resume })
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  expect(all.find(({ name }) => name === 'agui-runner.content_skipped')?.['value']).toEqual({
    parts: ['an answer to interrupt "nobody", which is not open'],
  })
})
