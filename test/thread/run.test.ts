import { afterEach, expect, test } from 'vitest'
import type { ThreadsOptions } from '../../src/thread/threads.ts'
import { readRecords } from '../support/event-log.ts'
import { scriptedAgent } from '../support/scripted-agent.ts'
import { ThreadsWorld } from '../support/threads.ts'

let world: ThreadsWorld
afterEach(() => world.close())

const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { when: { prompt: 'fail' }, reply: [{ text: 'half' }, { error: { status: 400 } }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

async function play(prompt: string, options: Partial<ThreadsOptions> = {}, isStopped = false) {
  world = await ThreadsWorld.open({ agent: scriptedAgent({ script: SCRIPT }), ...options })
  const { threads } = world
  const messages = [{ id: 'm', role: 'user' as const, content: prompt }]
  await threads.submit({ threadId: 't', runId: 'r', messages, tools: [], context: [] })
  if (isStopped) await (await threads.get('t')).interrupt()
  await world.ended('r')
  return (await readRecords(world.log, 't')).map(({ event }) => event)
}

test('from RUN_STARTED to one terminal event, all in the log when it has ended', async () => {
  const told = await play('hello')
  expect(told.map(({ type }) => type)).toEqual([
    'RUN_STARTED',
    'TEXT_MESSAGE_START',
    'TEXT_MESSAGE_CONTENT',
    'TEXT_MESSAGE_END',
    'RUN_FINISHED',
  ])
})

test('what a stopped or failing agent leaves open is closed before the end', async () => {
  const told = await play('hang', {}, true)
  const types = told.map(({ type }) => type)
  expect(types.filter((type) => type === 'TEXT_MESSAGE_END')).toEqual(
    types.filter((type) => type === 'TEXT_MESSAGE_START').map(() => 'TEXT_MESSAGE_END'),
  )
  expect(told.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
})

test('a failure of the agent is the end of the run, with its code', async () => {
  const told = await play('fail')
  expect(told.slice(-2)).toMatchObject([
    { type: 'TEXT_MESSAGE_END' },
    { type: 'RUN_ERROR', code: 'model_error' },
  ])
})

test('an agent that is silent for too long is named by its own name', async () => {
  const told = await play('hang', { runIdleTimeoutMs: 20 })
  expect(told.at(-1)).toMatchObject({
    type: 'RUN_ERROR',
    code: 'run_idle_timeout',
    message: 'Nothing was heard from the scripted agent for RUN_IDLE_TIMEOUT_MS (20 ms).',
  })
})
