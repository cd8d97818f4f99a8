import { afterAll, beforeAll, expect, test } from 'vitest'
import { post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='
const PDF = Buffer.from('%PDF-1.1\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n').toString(
  'base64',
)

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'seen' }] } })
  runner = await bench.start({ EVENT_BYTES_MAX: '4096' })
})
afterAll(() => bench.close())

const lastBody = (): string =>
  JSON.stringify(bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body)

const text = { type: 'text', text: 'what is this?' }

test('an image in a user message reaches the model', async () => {
  const image = { type: 'image', source: { type: 'data', mimeType: 'image/png', value: PNG } }
  expect(textOf(await run(runner.url, runInput('image', [text, image])))).toBe('seen')
  expect(lastBody()).toMatch(/"type\\*":\\*"image/)
})

test('a document reaches the model, as PDF and as text', async () => {
  const pdf = { type: 'document', source: { type: 'data', mimeType: 'application/pdf', value: PDF } }
  const words = Buffer.from('the words of the file').toString('base64')
  const plain = { type: 'document', source: { type: 'data', mimeType: 'text/markdown', value: words } }
  await run(runner.url, runInput('document', [text, pdf, plain]))
  expect(lastBody()).toContain('application/pdf')
  expect(lastBody()).toContain('the words of the file')
})

test('a part that the model cannot be given is skipped and said, and the run goes on', async () => {
  const audio = { type: 'audio', source: { type: 'data', mimeType: 'audio/wav', value: 'AAAA' } }
  const handle = { type: 'image', source: { type: 'file', value: 'file-1' } }
  const all = await run(runner.url, runInput('skip', [text, audio, handle]))
  expect(all.find(({ name }) => name === 'agui-runner.content_skipped')?.['value'].parts).toHaveLength(2)
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})

test('an upload larger than an event stays fetchable, and the log holds only its address', async () => {
  const value = Buffer.alloc(20_000, 'x').toString('base64')
  const plain = { type: 'document', source: { type: 'data', mimeType: 'text/plain', value } }
  const [started] = await run(runner.url, runInput('large', [text, plain]))
  const source = started?.['input'].messages[0].content[1].source
  expect(source).toMatchObject({ type: 'url', value: expect.stringMatching(/^\/sessions\/large\/blobs\//) })
  expect(JSON.stringify(started).length).toBeLessThan(4096)
  const blob = await fetch(`${runner.url}${source.value}`)
  expect([blob.headers.get('content-type'), await blob.text()]).toEqual(['text/plain', 'x'.repeat(20_000)])
})

test('a client that learned a message from the stream may send it back, and edits are still refused', async () => {
  const value = Buffer.alloc(20_000, 'y').toString('base64')
  const plain = { type: 'document', source: { type: 'data', mimeType: 'text/plain', value } }
  const [started] = await run(runner.url, runInput('learned', [text, plain]))
  const [shown] = started?.['input'].messages ?? []
  const next = { ...runInput('learned', 'and now?') }
  const again = await run(runner.url, { ...next, messages: [shown, ...next.messages] })
  expect(again.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  const edited = { ...runInput('learned', 'and now?') }
  const refused = await post(runner.url, {
    ...edited,
    messages: [{ ...shown, content: 'other' }, ...edited.messages],
  })
  expect([refused.status, await refused.json()]).toMatchObject([409, { error: { code: 'history_conflict' } }])
})

test('a tool result larger than an event is cut with a marker, and the whole is fetchable', async () => {
  bench.gateway.use({
    rules: [
      { when: { prompt: 'much', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'seq 1 4000' } }] },
      { reply: 'done' },
    ],
  })
  const all = await run(runner.url, runInput('much', 'much please'))
  const result = all.find(({ type }) => type === 'TOOL_CALL_RESULT')
  expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(4096)
  expect(result?.['content']).toContain('cut by agui-runner')
  const { blob } = result?.['metadata']['agui-runner'] ?? {}
  const whole = await (await fetch(`${runner.url}${blob.url}`)).text()
  expect(whole).toBe(Array.from({ length: 4000 }, (_, index) => index + 1).join('\n'))
})
