// Two runners on one Redis: the first is killed in mid-run and its state folder removed; the second goes on.
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, type ClientEvent, events, frames, post, run, runInput, textOf } from '../support/client.ts'
import { freePort, RedisServer } from '../support/redis-server.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const SCRIPT: Script = {
  rules: [
    { when: { subagent: true }, reply: ['the colour of the subagent is green'] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    {
      when: { prompt: 'delegate', round: 0 },
      reply: [
        {
          tool: 'Agent',
          input: { description: 'look', prompt: 'sub work', subagent_type: 'general-purpose' },
        },
      ],
    },
    { when: { prompt: 'delegate' }, reply: 'delegated' },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let redis: RedisServer
beforeEach(async () => {
  ;[bench, redis] = await Promise.all([openBench({ script: SCRIPT }), RedisServer.start()])
})
afterEach(async () => {
  await bench.close()
  await redis.close()
})

async function start(name: string): Promise<RunnerProcess> {
  return await bench.start({
    EVENT_LOG_URL: redis.url,
    RUNNER_STATE_DIR: join(bench.directory, name),
    AGUI_PORT: String(await freePort()),
    THREAD_LEASE_MS: '1000',
  })
}

/** Until the thread is free: a dead runner's lease has to end first. */
async function runWhenFree(url: string, input: unknown): Promise<ClientEvent[]> {
  for (;;) {
    const response = await post(url, input)
    if (response.status === 200) return await events(response)
    const { error } = await bodyOf(response)
    expect(error).toMatchObject({ code: 'elsewhere' })
  }
}

test('a thread goes on in another runner, with its session, and the log has no gap', async () => {
  const first = await start('first')
  await run(first.url, runInput('moving', 'remember blue'))
  expect(textOf(await run(first.url, runInput('moving', 'delegate this')))).toContain('delegated')
  const second = await start('second')
  const wrong = await post(second.url, runInput('moving', 'not here'))
  expect(wrong.status).toBe(409)
  expect(await bodyOf(wrong)).toMatchObject({ error: { code: 'elsewhere', details: { url: first.url } } })

  // Who reads in the second runner hears of what the first one does.
  const reading = (async () => {
    const seen: { id: number; event: ClientEvent }[] = []
    for await (const frame of frames(await fetch(`${second.url}/sessions/moving/events`))) {
      seen.push(frame)
      if (frame.event.type === 'TEXT_MESSAGE_CONTENT' && textOf([frame.event]) === 'partial')
        await first.stop('SIGKILL')
      if (frame.event.type === 'RUN_FINISHED' && seen.some(({ event }) => event.type === 'RUN_ERROR')) break
    }
    return seen
  })()
  await post(first.url, runInput('moving', 'hang on')).catch(() => undefined)
  await first.exited
  rmSync(join(bench.directory, 'first'), { recursive: true, force: true })

  const next = await runWhenFree(second.url, runInput('moving', 'what was it?'))
  expect(textOf(next)).toBe('You said: what was it?')
  expect(next).toContainEqual(expect.objectContaining({ name: 'agui-runner.workspace_problems' }))
  const asked = JSON.stringify(bench.gateway.requests.at(-1))
  for (const words of ['remember blue', 'delegate this', 'the colour of the subagent is green'])
    expect(asked).toContain(words)
  expect(filesIn(join(bench.directory, 'second', 'claude', 'projects'))).toContainEqual(
    expect.stringMatching(/\/subagents\/agent-\w+\.jsonl$/),
  )

  const seen = await reading
  expect(seen.map(({ id }) => id)).toEqual(seen.map((_, index) => index + 1))
  const cut = seen.findIndex(({ event }) => event.type === 'RUN_ERROR')
  expect(seen.slice(cut - 1, cut + 2).map(({ event }) => [event.type, event['code']])).toEqual([
    ['TEXT_MESSAGE_END', undefined],
    ['RUN_ERROR', 'runner_restarted'],
    ['RUN_STARTED', undefined],
  ])
})

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
}
