// Two runners on one Redis: the first is killed in mid-run and its state folder removed; the second goes on.
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, type ClientEvent, events, frames, post, run, runInput, textOf } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { claudeOf, PATIENT } from '../support/processes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { ALL_SIGNALS } from '../support/signals.ts'

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

const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
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

async function start(name: string, env: Record<string, string> = {}): Promise<RunnerProcess> {
  return await bench.start({
    EVENT_LOG_URL: redis.url,
    RUNNER_STATE_DIR: join(bench.directory, name),
    AGUI_PORT: String(await freePort()),
    THREAD_LEASE_MS: '2000',
    ...env,
  })
}

/** Until the thread is free: a dead runner's lease has to end first. */
async function runWhenFree(url: string, input: unknown): Promise<ClientEvent[]> {
  const response = await vi.waitUntil(async () => {
    const asked = await post(url, input)
    if (asked.status === 200) return asked
    expect(await bodyOf(asked)).toMatchObject({ error: { code: 'elsewhere' } })
    return undefined
  }, PATIENT)
  return await events(response)
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
  await removeSandbox('first')

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
    ['RUN_ERROR', 'lease_lost'],
    ['RUN_STARTED', undefined],
  ])
})

test('what waits for somebody moves as well: an approval, a client’s tool, the queue', async () => {
  const ask = { OPENSHELL_SANDBOX: '', PERMISSION_MODE: 'ask' }
  const first = await start('first', ask)
  await run(first.url, { ...runInput('tool', 'hello'), tools: [WEATHER] })
  const offered = bench.gateway.requests.at(-1)?.facts?.tools.find((name) => name.startsWith('mcp__ui_'))
  bench.gateway.use({
    rules: [
      { when: { prompt: 'was restarted' }, reply: 'I read: {{prompt}}' },
      { when: { prompt: 'weather', round: 0 }, reply: [{ tool: offered ?? '', input: { city: 'Ulm' } }] },
      { when: { prompt: 'make', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'touch made' } }] },
      ...(SCRIPT.rules ?? []),
    ],
  })
  const weather = await run(first.url, { ...runInput('tool', 'the weather?'), tools: [WEATHER] })
  const [toolCallId] = weather.at(-1)?.['outcome'].pendingToolCallIds ?? []
  const asking = await run(first.url, runInput('approval', 'make it'))
  const [interrupt] = asking.at(-1)?.['outcome'].interrupts ?? []
  const hanging = await post(first.url, runInput('queue', 'hang on'))
  for await (const { event } of frames(hanging)) {
    if (event.type !== 'TEXT_MESSAGE_CONTENT') continue
    const queued = await post(`${first.url}/sessions/queue/messages`, { content: 'said while it hung' })
    expect(await bodyOf(queued)).toMatchObject({ delivery: 'queue' })
    break
  }
  await first.stop('SIGKILL')
  await removeSandbox('first')

  const second = await start('second', ask)
  const { sessions } = await bodyOf(await fetch(`${second.url}/sessions`))
  const thread = (id: string): unknown =>
    sessions.find(({ threadId }: { threadId: string }) => threadId === id)
  expect(thread('approval')).toMatchObject({ state: 'interrupted', interrupts: [{ id: interrupt.id }] })
  expect(thread('queue')).toMatchObject({ queue: [{ messageIds: [expect.any(String)] }] })
  const resume = [{ interruptId: interrupt.id, status: 'resolved', payload: { approved: false } }]
  const answered = await runWhenFree(second.url, { ...runInput('approval'), resume })
  expect(textOf(answered)).toContain('was restarted')
  const result = { id: 'r1', role: 'tool', toolCallId, content: 'sunny' }
  const told = await runWhenFree(second.url, {
    ...runInput('tool'),
    messages: [result],
    tools: [WEATHER],
  })
  expect(textOf(told)).toContain('sunny')
  // Whoever acts on the thread takes it on, and the queue with it.
  const following = fetch(`${second.url}/sessions/queue/events`)
  expect((await post(`${second.url}/model`, { model: 'another', thread_id: 'queue' })).status).toBe(200)
  for await (const { event } of frames(await following)) {
    if (event.type === 'TEXT_MESSAGE_CONTENT' && event['delta'].includes('said while it hung')) break
  }
})

const DEAD =
  'the run of a dead runner ends for its readers though nobody takes the thread, and its runner goes on when it is back'
test.runIf(ALL_SIGNALS)(DEAD, async () => {
  const first = await start('first')
  const reader = bench.spawn({ EVENT_LOG_URL: redis.url, THREAD_LEASE_MS: '1000' }, ['read'])
  const url = String((await reader.line(({ msg }) => msg === 'listening'))['url'])
  await run(first.url, runInput('dead', 'hello'))
  const seen: ClientEvent[] = []
  void post(first.url, runInput('dead', 'hang on')).catch(() => undefined)
  for await (const { event } of frames(await fetch(`${url}/sessions/dead/events`))) {
    seen.push(event)
    if (event.type === 'TEXT_MESSAGE_CONTENT' && event['delta'] === 'partial') {
      await post(`${first.url}/sessions/dead/messages`, { content: 'said before', delivery: 'queue' })
      await first.stop('SIGKILL')
    }
    if (event.type === 'RUN_ERROR') break
  }
  expect(seen.slice(-3)).toMatchObject([
    { type: 'TEXT_MESSAGE_END' },
    { type: 'CUSTOM', name: 'agui-runner.message_queued' },
    { type: 'RUN_ERROR', code: 'lease_lost' },
  ])
  expect(await bodyOf(await fetch(`${url}/sessions/dead`))).toMatchObject({
    state: 'failed',
    queue: [{ messageIds: [expect.any(String)] }],
  })
  const following = await fetch(`${url}/sessions/dead/events?after=${seen.length}`)
  await start('first')
  const words: ClientEvent[] = []
  for await (const { event } of frames(following)) {
    words.push(event)
    if (event.type === 'RUN_FINISHED') break
  }
  expect(textOf(words)).toBe('You said: said before')
})

const STOPPED =
  'a runner that was stopped for longer than its lease leaves the thread to the other, and lives on'
test.runIf(ALL_SIGNALS)(STOPPED, async () => {
  const first = await start('first')
  const second = await start('second', { FORWARD_RUNS: 'true' })
  const hanging = await post(first.url, runInput('fenced', 'hang on'))
  const seen: ClientEvent[] = []
  for await (const { event } of frames(hanging)) {
    seen.push(event)
    if (event.type === 'TEXT_MESSAGE_CONTENT') {
      process.kill(first.pid, 'SIGSTOP')
      // Forwarded to the first one, which takes the request and does not answer.
      const forwarded = await post(second.url, runInput('fenced', 'go on'))
      expect([forwarded.status, await bodyOf(forwarded)]).toEqual([
        409,
        { error: { code: 'elsewhere', message: expect.stringContaining('send this again') } },
      ])
      await runWhenFree(second.url, runInput('fenced', 'go on'))
      process.kill(first.pid, 'SIGCONT')
    }
  }
  // The client of the first one is told how its run ended by the log, which the second one wrote.
  expect(seen.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'lease_lost' })
  const stored = async (url: string): Promise<ClientEvent[]> =>
    await events(await fetch(`${url}/sessions/fenced/events?follow=false`))
  expect(await stored(first.url)).toEqual(await stored(second.url))
  expect((await post(first.url, runInput('fenced', 'and here?'))).status).toBe(409)
  expect(textOf(await run(first.url, runInput('other', 'still here')))).toBe('You said: still here')
  await expect.poll(() => claudeOf(bench).length, PATIENT).toBeLessThanOrEqual(2)
})

/** What is left of a dead runner goes, as with its sandbox: first its Claude Code, which would go on writing. */
async function removeSandbox(name: string): Promise<void> {
  const directory = join(bench.directory, name)
  const left = (): number[] => claudeOf({ ...bench, directory })
  for (const pid of left()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
  while (left().length > 0) await new Promise((resolve) => setImmediate(resolve))
  rmSync(directory, { recursive: true, force: true })
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
}
