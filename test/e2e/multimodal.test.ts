import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='
const PDF = Buffer.from('%PDF-1.1\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n').toString(
  'base64',
)

let bench: Bench
let runner: OpenRunner

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'seen' }] } })
  runner = await bench.open({ EVENT_BYTES_MAX: '4096' })
})
afterAll(() => bench.close())

const Asked = z.object({ messages: z.array(z.unknown()) })

const lastRequest = () => bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)
const lastBody = (): string => JSON.stringify(lastRequest()?.body)

/** What the model was asked last: the messages behind its own last answer. */
function lastAsked(): string {
  const { messages } = Asked.parse(lastRequest()?.body)
  const isAnswer = (message: unknown): boolean => JSON.stringify(message).startsWith('{"role":"assistant"')
  return JSON.stringify(messages.slice(messages.findLastIndex(isAnswer) + 1))
}

const text = { type: 'text', text: 'what is this?' }

test('an image in a user message reaches the model', async () => {
  const image = { type: 'image', source: { type: 'data', mimeType: 'image/png', value: PNG } }
  expect(textOf(await run(runner.url, runInput('parts', [text, image])))).toBe('seen')
  expect(lastAsked()).toMatch(/"type\\*":\\*"image/)
})

test('a document reaches the model, as PDF and as text', async () => {
  const pdf = { type: 'document', source: { type: 'data', mimeType: 'application/pdf', value: PDF } }
  const words = Buffer.from('the words of the file').toString('base64')
  const plain = { type: 'document', source: { type: 'data', mimeType: 'text/markdown', value: words } }
  await run(runner.url, runInput('parts', [text, pdf, plain]))
  expect(lastAsked()).toContain('application/pdf')
  expect(lastAsked()).toContain('the words of the file')
})

test('a part that the model cannot be given is skipped and said, and the run goes on', async () => {
  const audio = { type: 'audio', source: { type: 'data', mimeType: 'audio/wav', value: 'AAAA' } }
  const handle = { type: 'image', source: { type: 'file', value: 'file-1' } }
  const all = await run(runner.url, runInput('parts', [text, audio, handle]))
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

const sent = (content: unknown) => run(runner.url, runInput('parts', content))
const data = (type: string, mimeType: string, value: string) => ({
  type,
  source: { type: 'data', mimeType, value },
})
const base64 = (words: string): string => Buffer.from(words).toString('base64')
const skippedIn = (all: Awaited<ReturnType<typeof run>>): string[] =>
  all.flatMap(({ name, value }) => (name === 'agui-runner.content_skipped' ? value.parts : []))

test.each([
  ['image/jpg', data('image', 'image/jpg', PNG), '"media_type":"image/'],
  ['upper case', data('image', 'IMAGE/PNG', PNG), '"media_type":"image/png"'],
  ['a parameter', data('document', 'application/pdf; name=a.pdf', PDF), '"media_type":"application/pdf"'],
  ['an image called a document', data('document', 'image/png', PNG), '"type":"image"'],
  ['JSON', data('document', 'application/json', base64('{"word":"qxjson"}')), 'qxjson'],
  ['a source file', data('document', 'video/mp2t', base64('const qxsource = 1')), 'qxsource'],
  [
    'a data URL',
    { type: 'image', source: { type: 'url', value: `data:image/png;base64,${PNG}` } },
    '"media_type":"image/png"',
  ],
  [
    'binary of AG-UI 0.0.5x',
    { type: 'binary', mimeType: 'image/png', data: PNG },
    '"media_type":"image/png"',
  ],
  ['binary of text', { type: 'binary', mimeType: 'text/csv', data: base64('qxcsv,1') }, 'qxcsv'],
])('%s reaches the model', async (_name, part, found) => {
  bench.gateway.use({ rules: [{ reply: 'seen' }] })
  const all = await sent([text, part])
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(lastAsked()).toContain(found)
  expect(skippedIn(all)).toEqual([])
})

test.each([
  ['an unknown part', { type: 'hologram', value: 1 }],
  ['an unknown source', { type: 'image', source: { type: 'ether', value: '1' } }],
  ['binary with an id only', { type: 'binary', mimeType: 'image/png', id: 'upload-1' }],
  ['bytes of no known type', data('document', 'application/zip', 'UEsDBBQAAAAIAP/+')],
  ['an address that is none of the web', { type: 'image', source: { type: 'url', value: 'blob:null/1' } }],
])('%s is named, and alone it is no message', async (_name, part) => {
  bench.gateway.use({ rules: [{ reply: 'seen' }] })
  expect(skippedIn(await sent([text, part]))).toHaveLength(1)
  const from = bench.gateway.requests.length
  const refused = await post(runner.url, runInput(crypto.randomUUID(), [part]))
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: { code: 'invalid_input' } }])
  expect(bench.gateway.requests).toHaveLength(from)
})

test.each(['', '  ', []])('a message of %j is refused', async (content) => {
  expect((await post(runner.url, runInput(crypto.randomUUID(), content))).status).toBe(400)
})

test('words of the system, the developer and a greeting reach the model, once', async () => {
  bench.gateway.use({ rules: [{ reply: 'seen' }] })
  const threadId = crypto.randomUUID()
  const send = (...messages: unknown[]) => run(runner.url, { threadId, runId: crypto.randomUUID(), messages })
  const history = [
    { id: 's', role: 'system', content: 'qxsystem' },
    { id: 'd', role: 'developer', content: 'qxdeveloper' },
    { id: 'g', role: 'assistant', content: 'qxgreeting' },
    { id: 'u1', role: 'user', content: 'go' },
  ]
  await send(...history)
  expect(lastBody()).toMatch(/qxsystem.*qxdeveloper.*qxgreeting.*go/)
  const again = history.map((message) =>
    message.id === 'u1' ? { ...message, content: [{ type: 'text', text: 'go' }] } : message,
  )
  await send(...again, { id: 'u2', role: 'user', content: 'on' })
  expect(lastBody().match(/qxsystem/g)).toHaveLength(1)
  await send({ ...history[0], content: 'qxother' }, { id: 'u3', role: 'user', content: 'and on' })
  expect(lastBody()).toContain('qxother')
})

test('a message of an unknown role is named, once', async () => {
  bench.gateway.use({ rules: [{ reply: 'seen' }] })
  const threadId = crypto.randomUUID()
  const messages = [
    { id: 'n', role: 'narrator', content: 'It was night.' },
    { id: 'u1', role: 'user', content: 'go' },
  ]
  const send = (...more: unknown[]) =>
    run(runner.url, { threadId, runId: crypto.randomUUID(), messages: [...messages, ...more] })
  const named = ['a message of the unknown role "narrator"']
  expect(skippedIn(await send())).toEqual(named)
  const again = await send({ id: 'u2', role: 'user', content: 'on' })
  expect([again.at(-1)?.['outcome'], skippedIn(again)]).toEqual([{ type: 'success' }, []])
  const last = { id: 'e', role: 'chorus', content: 'Woe.' }
  const behind = await send(
    { id: 'u2', role: 'user', content: 'on' },
    { id: 'u3', role: 'user', content: 'x' },
    last,
  )
  expect(skippedIn(behind)).toEqual(['a message of the unknown role "chorus"'])
})

test('a call in a greeting is named', async () => {
  const call = { id: 'c1', type: 'function', function: { name: 'lookUp', arguments: '{}' } }
  const all = await run(runner.url, {
    threadId: crypto.randomUUID(),
    runId: crypto.randomUUID(),
    messages: [
      { id: 'a', role: 'assistant', toolCalls: [call] },
      { id: 't', role: 'tool', toolCallId: 'c1', content: 'found' },
      { id: 'u', role: 'user', content: 'go' },
    ],
  })
  expect(skippedIn(all)).toEqual(['a call of lookUp from before this conversation, and its result'])
})

const ADDRESS = 'https://files.example/a'
const byUrl = (type: string, mimeType?: string) => ({
  type,
  source: { type: 'url', value: ADDRESS, mimeType },
})
test('each spelling of a medium is what the model takes, or named', async () => {
  bench.gateway.use({ rules: [{ reply: 'seen' }] })
  const wrapped = PDF.replace(/(.{20})/g, '$1\r\n')
  const given = [
    data('image', 'image/png', `data:image/png;base64,${PNG}`),
    data('document', 'application/pdf', wrapped),
    data('image', 'image/svg+xml', base64('<svg>qx</svg>')),
    byUrl('document', 'IMAGE/JPG'),
    byUrl('image', 'application/pdf; v=1'),
    byUrl('document'),
    byUrl('video', 'application/pdf'),
  ]
  const notGiven = [
    data('image', 'image/png', ''),
    byUrl('document', 'text/plain'),
    { type: 'binary', mimeType: 'text/csv', url: ADDRESS },
  ]
  const all = await sent([text, ...given, ...notGiven])
  expect(skippedIn(all)).toEqual([
    'an image of type image/png',
    'a document of type text/plain',
    'a document of type text/csv',
  ])
  const source = (type: string, url: string) => `"type":"${type}","source":{"type":"url","url":"${url}"}`
  const body = lastBody()
  for (const words of [
    `"data":"${PDF}"`,
    '"media_type":"image/png"',
    '<svg>qx</svg>',
    source('image', ADDRESS),
  ])
    expect(body).toContain(words)
  expect(body.split(source('document', ADDRESS))).toHaveLength(4)
})

test('a large upload that was learned from the stream reaches the model again when its message is edited', async () => {
  const value = Buffer.alloc(20_000, 'z').toString('base64')
  const plain = { type: 'document', source: { type: 'data', mimeType: 'text/plain', value } }
  const input = runInput('again', [text, plain])
  const [started] = await run(runner.url, input)
  const [shown] = started?.['input'].messages ?? []
  const [, address] = shown.content
  expect(address.source).toMatchObject({ type: 'url' })
  const all = await run(runner.url, { ...runInput('again'), messages: [{ ...shown, content: [address] }] })
  expect(all.filter(({ name }) => name === 'agui-runner.content_skipped')).toEqual([])
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(lastAsked()).toContain('zzzzzzzz')
  // Another thread's is none of this one's.
  const refused = await post(runner.url, runInput('apart', [address]))
  expect(refused.status).toBe(400)
})
