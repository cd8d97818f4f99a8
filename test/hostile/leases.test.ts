// Every limit on what is held holds while others are waited for: the slot is taken first, and freed by its holder only.
import { expect, onTestFinished, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, frames, post, run, runInput } from '../support/client.ts'
import { turn } from '../support/event-log.ts'
import { claudeOf } from '../support/processes.ts'
import { openBench } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

async function start(variables: Record<string, string>): Promise<ScriptedRunner> {
  const runner = await openScriptedRunner({ script: SCRIPT }, variables)
  onTestFinished(() => runner.close())
  return runner
}

async function threadsOf({ url }: ScriptedRunner): Promise<string[]> {
  const { sessions } = await bodyOf(await fetch(`${url}/sessions`))
  return sessions.map(({ threadId }: { threadId: string }) => threadId).sort()
}

/** Reads until the run works, or has ended without. */
async function untilAtWork(answer: Response): Promise<{ type: string; code?: string }> {
  for await (const { event } of frames(answer)) {
    if (['TEXT_MESSAGE_CONTENT', 'RUN_ERROR', 'RUN_FINISHED'].includes(event.type)) return event
  }
  throw new Error('the stream ended first')
}

test('CLAUDE_PROCESSES_MAX: a thread that runs again while its process makes room for another is counted', async () => {
  const bench = await openBench({ script: SCRIPT })
  onTestFinished(() => bench.close())
  const runner = await bench.open({ CLAUDE_PROCESSES_MAX: '2' })
  for (const threadId of ['a', 'b']) await run(runner.url, runInput(threadId, 'hello'))
  const working = async (id: string) => untilAtWork(await post(runner.url, runInput(id, 'hang on')))
  // `new` takes the place of `a`, which is stopped for it; at once `a` wants to work again.
  const first = working('new')
  while ((await bodyOf(await fetch(`${runner.url}/sessions/a`)))['warm']) await turn()
  const states = await Promise.all([first, working('a')])
  expect(states.map(({ type }) => type)).toEqual(['TEXT_MESSAGE_CONTENT', 'TEXT_MESSAGE_CONTENT'])
  expect(await untilAtWork(await post(runner.url, runInput('third', 'hang on')))).toMatchObject({
    type: 'RUN_ERROR',
    code: 'too_many_processes',
  })
  expect(claudeOf(bench)).toHaveLength(2)
})

test('SUBSCRIBERS_MAX: of two runs at once the one without a reader is not started', async () => {
  const runner = await start({ SUBSCRIBERS_MAX: '1' })
  const asked = ['one', 'two'].map(async (id) => ({
    id,
    answer: await post(runner.url, runInput(id, 'hang on')),
  }))
  const answers = await Promise.all(asked)
  expect(answers.map(({ answer }) => answer.status).sort()).toEqual([200, 429])
  const [read] = answers.filter(({ answer }) => answer.status === 200)
  expect(await threadsOf(runner)).toEqual([read?.id])
})

test('SUBSCRIBERS_MAX: of two runs at once on a socket the one without a subscription is not started', async () => {
  const runner = await start({ SUBSCRIBERS_MAX: '1' })
  const client = await openSocket(runner.url)
  for (const id of ['one', 'two']) client.send({ type: 'run', input: runInput(id, 'hang on') })
  const refused = await client.frame(({ type }) => type === 'error')
  expect(refused.error?.code).toBe('too_many_subscribers')
  await client.frame(({ event }) => event?.type === 'TEXT_MESSAGE_CONTENT')
  expect(await threadsOf(runner)).toEqual(['one'])
  await client.close()
})

test('a socket that leaves while its run is admitted holds no slot', async () => {
  const runner = await start({ SUBSCRIBERS_MAX: '1' })
  const client = await openSocket(runner.url)
  client.send({ type: 'run', input: runInput('left', 'hang on') })
  client.socket.terminate()
  for (;;) {
    // Until the server has learned of both: the thread is there, and then the slot is free again.
    const answer = await fetch(`${runner.url}/sessions/left/events?follow=true`)
    await answer.body?.cancel()
    if (answer.status === 200) return
    expect([404, 429]).toContain(answer.status)
  }
})

test('THREADS_MAX: what is refused leaves no thread behind', async () => {
  const runner = await start({ THREADS_MAX: '2' })
  for (let index = 0; index < 5; index++) {
    expect((await post(`${runner.url}/sessions/bad-${index}/messages`, { content: 7 })).status).toBe(400)
    expect((await post(runner.url, { ...runInput(`bad-${index}`), messages: [] })).status).toBe(400)
  }
  expect(await threadsOf(runner)).toEqual([])
  const answers = await Promise.all(
    ['one', 'two', 'three', 'four'].map((id) =>
      post(`${runner.url}/sessions/${id}/messages`, { content: id }),
    ),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 202, 429, 429])
})
