import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { type ClientEvent, post, run, runInput, textOf, userMessage } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

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
  refusing('QXSHAPE', 'max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens'),
  // Claude Code answers to a prompt that is too long by compacting what was said before.
  { when: { prompt: '^CRITICAL: Respond' }, reply: '<summary>GOOD was said.</summary>' },
  { when: { prompt: 'print (\\S+)', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'echo {{1}}' } }] },
  { when: { prompt: '^QXHANG' }, reply: [{ hang: true }] },
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
  ['words that the API names', 'QXBLANK', 'text content blocks must be non-empty'],
  ["a tool's result", 'print bad.example', ''],
])('%s is refused and taken back, with the words that are known', async (name, content, words) => {
  await say(name, 'GOOD')
  const end = (await say(name, content)).at(-1)
  expect(end).toMatchObject(rejected)
  expect(end?.['message']).toContain(words)
  expect((await say(name, 'NEXT')).at(-1)).toMatchObject(success)
  expect(given()).toMatch(/GOOD.*NEXT/s)
})

test('refused as the first words of a thread, they leave a new conversation', async () => {
  expect((await say('first', 'QXBLANK')).at(-1)).toMatchObject(rejected)
  expect(textOf(await say('first', 'hello'))).toBe('heard hello')
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
  await say('crash', 'GOOD')
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
})
