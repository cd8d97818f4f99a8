import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import {
  type ClientEvent,
  events,
  frames,
  post,
  run,
  runInput,
  textOf,
  userMessage,
} from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { ALL_SIGNALS, oneOrAll } from '../support/signals.ts'

/** A provider that refuses a request as long as the words are in it, as the Messages API does. */
const refusing = (holds: string, message: string): Script['rules'][number] => ({
  when: { holds },
  reply: [{ error: { status: 400, message } }],
})
const IMAGE_WORDS =
  'messages.6.content.1.image.source.url: Unable to download the file. Please verify the URL and try again.'
const rules: Script['rules'] = [
  refusing('bad\\.example', IMAGE_WORDS),
  refusing('QXLONG', 'prompt is too long: 215000 tokens > 200000 maximum'),
  refusing('QXBLANK', 'messages: text content blocks must be non-empty'),
  { when: { holds: 'QXREFUSE' }, reply: ['I begin', { stop: 'refusal' }] },
  refusing('QXSHAPE', 'max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens'),
  // Claude Code answers to a prompt that is too long by compacting what was said before.
  { when: { prompt: '^CRITICAL: Respond' }, reply: '<summary>GOOD was said.</summary>' },
  {
    when: { prompt: 'deploy (\\S+)', round: 0 },
    reply: [{ tool: 'Bash', input: { command: "echo ran >> {{1}}; echo bad.exam''ple" } }],
  },
  { when: { prompt: 'print (\\S+)', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'echo {{1}}' } }] },
  { when: { prompt: '^QXHANG' }, reply: [{ hang: true }] },
  { when: { prompt: '^gated (.+)$' }, reply: [{ text: 'before' }, { gate: '{{1}}' }, { text: ' after' }] },
  { reply: 'heard {{prompt}}' },
]

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({ script: { rules } })
  runner = await bench.start()
})
afterAll(() => bench.close())

const image = { type: 'image', source: { type: 'url', value: 'https://bad.example/a.png' } }
const picture = [{ type: 'text', text: 'QXLOOK' }, image]

const say = (threadId: string, content: unknown): Promise<ClientEvent[]> =>
  run(runner.url, runInput(threadId, content))
/** What the model was given last. */
const given = (): string =>
  JSON.stringify(bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body)
const rejected = { type: 'RUN_ERROR', code: 'model_rejected_input' }
const success = { type: 'RUN_FINISHED', outcome: { type: 'success' } }

test('a refused picture costs its run, and the good turns are still known, after a restart too', async () => {
  for (const words of ['FIRST', 'SECOND', 'THIRD']) await say('picture', words)
  expect((await say('picture', picture)).at(-1)).toMatchObject(rejected)
  expect((await say('picture', 'FOURTH')).at(-1)).toMatchObject(success)
  expect(given()).toMatch(/FIRST.*heard FIRST.*SECOND.*THIRD.*FOURTH/)
  expect(given()).not.toMatch(/QXLOOK|bad\.example/)
  expect((await say('picture', picture)).at(-1)).toMatchObject(rejected)
  await runner.stop()
  runner = await bench.start()
  expect((await say('picture', 'FIFTH')).at(-1)).toMatchObject(success)
  expect(given()).toMatch(/FIRST.*THIRD.*FOURTH.*FIFTH/)
  expect(given()).not.toMatch(/QXLOOK|bad\.example/)
  expect((await say('picture', '/compact')).at(-1)).toMatchObject(success)
  expect((await say('picture', picture)).at(-1)).toMatchObject(rejected)
  expect((await say('picture', 'SIXTH')).at(-1)).toMatchObject(success)
})

test.each([
  ['a prompt longer than the context', 'QXLONG', 'Prompt is too long'],
  ['what the model stops at with a refusal', 'QXREFUSE', 'safeguards'],
  ['words that the API names', 'QXBLANK', 'text content blocks must be non-empty'],
  ["a tool's result", 'print bad.example', ''],
])('%s is refused and taken back, with the words that are known', async (_name, content, words) => {
  await say('one', 'GOOD')
  const end = (await say('one', content)).at(-1)
  expect(end).toMatchObject(rejected)
  expect(end?.['message']).toContain(words)
  expect((await say('one', 'NEXT')).at(-1)).toMatchObject(success)
  expect(given()).toMatch(/GOOD.*NEXT/s)
})

test('refused as the first words of a thread, they leave a new conversation', async () => {
  expect((await say('first', 'QXBLANK')).at(-1)).toMatchObject(rejected)
  expect(textOf(await say('first', 'hello'))).toBe('heard hello')
})

test('a tool runs once whose result is refused in the first run of a thread', async () => {
  const all = await say('deploy', 'deploy first')
  expect(all.at(-1)).toMatchObject(rejected)
  expect(all.filter(({ name }) => name === 'agui-runner.session_reset')).toEqual([])
  expect(readFileSync(join(bench.workspace, 'first'), 'utf8')).toBe('ran\n')
})

test('what is wrong with the form of the request is no fault of the words', async () => {
  expect((await say('shape', 'QXSHAPE')).at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'model_error' })
})

test('a client that sends its whole history does not send the refused words again, unless it tries them again', async () => {
  const [good, bad] = [userMessage('GOOD'), userMessage('QXBLANK')]
  const send = (...messages: unknown[]): Promise<ClientEvent[]> =>
    run(runner.url, { threadId: 'whole', runId: crypto.randomUUID(), messages })
  await send(good)
  expect((await send(good, bad)).at(-1)).toMatchObject(rejected)
  expect((await send(good, bad)).at(-1)).toMatchObject(rejected)
  const next = userMessage('NEXT')
  expect((await send(good, bad, next)).at(-1)).toMatchObject(success)
  expect(given()).not.toContain('QXBLANK')
  expect((await send(good, bad, next, userMessage('LAST'))).at(-1)).toMatchObject(success)
})

test('after a crash in the middle the words left in the session are found and taken back', async () => {
  for (const thread of ['crash', 'later']) await say(thread, 'GOOD')
  const hung = post(runner.url, runInput('crash', 'QXHANG QXLATER')).catch(() => undefined)
  await bench.gateway.waitForRequest(
    ({ body }) => JSON.stringify(body)?.includes('QXLATER') === true,
    AbortSignal.timeout(60_000),
  )
  await runner.stop('SIGKILL')
  await hung
  bench.gateway.use({
    rules: [refusing('QXLATER', 'messages: text content blocks must be non-empty'), ...rules],
  })
  runner = await bench.start()
  const all = await say('crash', 'NEXT')
  expect(all.at(-1)).toMatchObject(success)
  expect(all.some(({ name }) => name === 'agui-runner.session_reset')).toBe(true)
  expect(given()).toMatch(/GOOD.*NEXT/s)
  expect(given()).not.toContain('QXLATER')
  // What the model has answered to, before it refuses a result, was accepted.
  expect((await say('later', 'deploy later')).at(-1)).toMatchObject(rejected)
  expect(readFileSync(join(bench.workspace, 'later'), 'utf8')).toBe('ran\n')
})

const postTo = (threadId: string, content: unknown, delivery: string): Promise<Response> =>
  post(`${runner.url}/sessions/${threadId}/messages`, { content, delivery })

/** The runs of a thread so far, each from its start to its end. */
async function recorded(threadId: string, runs: number): Promise<ClientEvent[][]> {
  const all: ClientEvent[][] = []
  for await (const { event } of frames(await fetch(`${runner.url}/sessions/${threadId}/events`))) {
    if (event.type === 'RUN_STARTED') all.push([])
    all.at(-1)?.push(event)
    const ended = all.filter((events) => /^RUN_(FINISHED|ERROR)$/.test(events.at(-1)?.type ?? ''))
    if (ended.length === runs) break
  }
  return all
}

const GIVEN = [
  ['words', 'queue', 'QXBLANK'],
  ['a prompt longer than the context', 'steer', 'QXLONG'],
  ['words', 'steer', 'QXBLANK'],
  ['a picture', 'queue', picture],
] as const
// Each delivery once, and each of the two ways in which Claude Code meets a refusal.
test.each(ALL_SIGNALS ? GIVEN : GIVEN.slice(0, 2))(
  '%s given by %s cost their run and no more',
  async (name, delivery, content) => {
    const threadId = `${name}-${delivery}`
    await say(threadId, 'GOOD')
    const running = post(runner.url, runInput(threadId, `gated ${threadId}`))
    await bench.gateway.waitForRequest(
      ({ body }) => JSON.stringify(body)?.includes(`gated ${threadId}`) === true,
      AbortSignal.timeout(60_000),
    )
    expect((await postTo(threadId, content, delivery)).status).toBe(202)
    if (delivery === 'queue') await postTo(threadId, 'BEHIND', 'queue')
    bench.gateway.open(threadId)
    await events(await running)
    const runs = await recorded(threadId, delivery === 'queue' ? 4 : 2)
    const ends = runs.map((each) => each.at(-1))
    if (delivery === 'queue') expect(ends).toMatchObject([success, success, rejected, success])
    else expect(ends).toMatchObject([success, rejected])
    expect((await say(threadId, 'NEXT')).at(-1)).toMatchObject(success)
    // Claude Code has a summary made when a prompt is too long or a picture fails: that stands for the turn before.
    const kept = content !== 'QXBLANK' ? '' : 'gated .*before.*after.*'
    expect(given()).toMatch(new RegExp(`GOOD.*${kept}${delivery === 'queue' ? 'BEHIND.*' : ''}NEXT`, 's'))
    expect(given()).not.toMatch(/QXBLANK|QXLONG|QXLOOK/)
  },
)

test.each(oneOrAll([false, true]))('results of parallel client tools, after a kill: %s', async (isKilled) => {
  const threadId = `results-${isKilled}`
  const tools = ['left', 'right'].map((name) => ({ name, description: name, parameters: { type: 'object' } }))
  const input = (messages: unknown[]) => ({ ...runInput(threadId), tools, messages })
  await run(runner.url, input([userMessage('GOOD')]))
  const names = ['left', 'right'].map(
    (name) => new RegExp(`mcp__ui_[0-9a-f]+__${name}`).exec(given())?.[0] ?? '',
  )
  const calls = names.map((tool) => ({ tool, input: {} }))
  bench.gateway.use({
    rules: [...rules.slice(0, 4), { when: { prompt: '^both$', round: 0 }, reply: calls }, ...rules.slice(4)],
  })
  const asked = await run(runner.url, input([userMessage('both')]))
  const ids: string[] = asked.at(-1)?.['outcome'].pendingToolCallIds
  if (isKilled) {
    await runner.stop('SIGKILL')
    runner = await bench.start()
  }
  const results = ids.map((toolCallId, index) => ({
    id: toolCallId,
    role: 'tool',
    toolCallId,
    content: ['fine', 'QXBLANK'][index],
  }))
  expect((await run(runner.url, input(results))).at(-1)).toMatchObject(rejected)
  expect((await run(runner.url, input([userMessage('NEXT')]))).at(-1)).toMatchObject(success)
  expect(given()).toMatch(/GOOD.*NEXT/s)
  expect(given()).not.toContain('QXBLANK')
})

test.runIf(ALL_SIGNALS)(
  'a kill between a steered message and its refusal costs no conversation',
  async () => {
    const threadId = 'steered-crash'
    await say(threadId, 'GOOD')
    const running = post(runner.url, runInput(threadId, `gated ${threadId}`)).catch(() => undefined)
    await bench.gateway.waitForRequest(
      ({ body }) => JSON.stringify(body)?.includes(`gated ${threadId}`) === true,
      AbortSignal.timeout(60_000),
    )
    await postTo(threadId, 'QXHANG QXLATER', 'steer')
    bench.gateway.open(threadId)
    await bench.gateway.waitForRequest(
      ({ body }) => /steered-crash.*QXLATER/s.test(JSON.stringify(body)),
      AbortSignal.timeout(60_000),
    )
    // The log has it: it waits no more.
    for await (const { event } of frames(await fetch(`${runner.url}/sessions/${threadId}/events`)))
      if (event.type === 'TEXT_MESSAGE_START' && event['role'] === 'user') break
    await runner.stop('SIGKILL')
    await running
    bench.gateway.use({
      rules: [refusing('QXLATER', 'messages: text content blocks must be non-empty'), ...rules],
    })
    runner = await bench.start()
    expect((await say(threadId, 'NEXT')).at(-1)).toMatchObject(success)
    expect(given()).toMatch(/GOOD.*NEXT/s)
    expect(given()).not.toContain('QXLATER')
  },
)
