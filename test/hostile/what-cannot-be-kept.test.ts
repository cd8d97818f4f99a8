// Ids that no key can hold, depth that no stack bears, halves of characters: refused at every door with 400, before
// anything is kept, so that nothing is left behind and nothing fails later where nobody waits for an answer.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UsedIds } from '../../src/claude/translate/ids.ts'
import { loadConfig } from '../../src/config.ts'
import { parseJsonBody } from '../../src/http/doors/json-body.ts'
import { bodyOf, events, post, runInput, userMessage } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { openSocket, type TestSocket } from '../support/socket.ts'

const THREADS_MAX = 3
const LONGEST = 'x'.repeat(256)

let bench: Bench
let runner: OpenRunner
let socket: TestSocket

beforeAll(async () => {
  bench = await openBench()
  runner = await bench.open({ THREADS_MAX: String(THREADS_MAX) })
  socket = await openSocket(runner.url)
})
afterAll(async () => {
  await socket.close()
  await bench.close()
})

const threads = async (): Promise<string[]> => {
  const { sessions } = await bodyOf(await fetch(`${runner.url}/sessions`))
  return sessions.map(({ threadId }: { threadId: string }) => threadId)
}

/** One frame, and the error it is answered with. */
async function refusedFrame(frame: unknown): Promise<string> {
  const before = socket.frames.length
  socket.send(frame)
  const answer = await socket.frame((told) => socket.frames.indexOf(told) >= before)
  return `${answer.type} ${answer.error?.code}`
}

const BAD_IDS: [name: string, id: string][] = [
  ['empty', ''],
  ['one too long', `${LONGEST}x`],
  ['2000 characters', 'x'.repeat(2000)],
  ['8000 characters', 'x'.repeat(8000)],
]

const INPUT = runInput('t', 'hello')
const BODIES: [name: string, url: string, body: (id: string) => unknown][] = [
  ...['threadId', 'runId', 'parentRunId'].map((name): (typeof BODIES)[number] => [
    `a run's ${name}`,
    '/',
    (id) => ({ ...INPUT, [name]: id }),
  ]),
  ['thread_id', '/agui/run', (id) => ({ ...INPUT, threadId: undefined, thread_id: id })],
  ["a message's id", '/', (id) => ({ ...INPUT, messages: [userMessage('a', id)] })],
  [
    'a toolCallId',
    '/',
    (id) => ({ ...INPUT, messages: [{ id: 'r', role: 'tool', toolCallId: id, content: '' }] }),
  ],
  [
    "a tool call's id",
    '/',
    (id) => ({
      ...INPUT,
      messages: [
        {
          id: 'a',
          role: 'assistant',
          toolCalls: [{ id, type: 'function', function: { name: 'f', arguments: '' } }],
        },
      ],
    }),
  ],
  [
    "a tool call's id, in Python's names",
    '/',
    (id) => ({ ...INPUT, messages: [{ id: 'r', role: 'tool', tool_call_id: id, content: '' }] }),
  ],
  [
    "an interruptId, in Python's names",
    '/',
    (id) => ({ ...INPUT, forwarded_props: { resume: [{ interrupt_id: id, status: 'resolved' }] } }),
  ],
  ['an interruptId', '/', (id) => ({ ...INPUT, resume: [{ interruptId: id, status: 'resolved' }] })],
  ['the thread to interrupt', '/interrupt', (id) => ({ thread_id: id })],
  ['the thread to interrupt, in camel case', '/agui/interrupt', (id) => ({ threadId: id })],
  ['the thread of a model', '/model', (id) => ({ model: 'm', thread_id: id })],
  ['the thread of a task', '/tasks/t/stop', (id) => ({ thread_id: id })],
  [
    'a thread of feedback',
    '/feedback',
    (id) => ({ type: 'META', metaType: 'thumbs_up', payload: {}, threadId: id }),
  ],
  [
    'a message of feedback',
    '/feedback',
    (id) => ({ type: 'META', metaType: 'thumbs_up', payload: { messageId: id } }),
  ],
]
const PATHS: [method: string, path: (id: string) => string][] = [
  ['GET', (id) => `/sessions/${id}`],
  ['DELETE', (id) => `/sessions/${id}`],
  ['GET', (id) => `/sessions/${id}/events?wait=true`],
  ['GET', (id) => `/sessions/${id}/connect?wait=true`],
  ['POST', (id) => `/sessions/${id}/interrupt`],
  ['POST', (id) => `/sessions/${id}/messages`],
  ['GET', (id) => `/sessions/t/blobs/${id}`],
  ['GET', (id) => `/events/${id}`],
  ['GET', (id) => `/events/${id}/wait`],
  ['GET', (id) => `/tasks/${id}/output`],
  ['POST', (id) => `/agui/tasks/${id}/stop`],
]
const QUERIES = [
  '/tasks?thread_id=',
  '/tasks/t/output?threadId=',
  '/mcp/status?thread_id=',
  '/content/workflow-metadata?session=',
]
const FRAMES: [name: string, frame: (id: string) => unknown][] = [
  ['run', (id) => ({ type: 'run', input: { ...INPUT, threadId: id } })],
  ['run with a message', (id) => ({ type: 'run', input: { ...INPUT, messages: [userMessage('a', id)] } })],
  ['subscribe', (id) => ({ type: 'subscribe', threadId: id })],
  ['unsubscribe', (id) => ({ type: 'unsubscribe', threadId: id })],
  ['interrupt', (id) => ({ type: 'interrupt', threadId: id })],
  ['message', (id) => ({ type: 'message', threadId: id, content: 'hello' })],
]

function isRefusedWhenSent(id: string): void {
  test.each(BODIES)('%s is refused', async (_door, url, body) => {
    const answer = await post(`${runner.url}${url}`, body(id))
    expect([answer.status, (await bodyOf(answer))['error'].code]).toEqual([400, 'invalid_input'])
  })

  test.each(FRAMES)('a frame of kind %s is refused', async (_kind, frame) => {
    expect(await refusedFrame(frame(id))).toBe('error invalid_input')
  })
}

describe.each(['.', '..'])('an id that is %j, which no address can hold', isRefusedWhenSent)

describe.each(BAD_IDS)('an id that is %s', (_name, id) => {
  isRefusedWhenSent(id)

  test('is refused in every path and query', async () => {
    const asked = [
      ...PATHS.map(([method, path]) => [method, path(id)]),
      ...QUERIES.map((query) => ['GET', `${query}${id}`]),
    ]
    const answers = await Promise.all(
      asked.map(async ([method, path]) => {
        const body =
          method === 'POST'
            ? { headers: { 'content-type': 'application/json' }, body: '{"content":"a"}' }
            : {}
        const { status } = await fetch(`${runner.url}${path}`, { method: method ?? '', ...body })
        // A path without its last part is another path.
        return status === 404 && id === '' ? 400 : status
      }),
    )
    expect(answers).toEqual(asked.map(() => 400))
  })
})

test('nothing that was refused has left a thread', async () => expect(await threads()).toEqual([]))

test('the longest ids are taken, and come back as they are', async () => {
  const input = {
    ...runInput(LONGEST),
    runId: `${LONGEST.slice(1)}r`,
    messages: [userMessage('hello', LONGEST)],
  }
  const told = await events(await post(runner.url, input))
  expect(told.at(-1)).toMatchObject({ type: 'RUN_FINISHED', threadId: LONGEST, runId: input.runId })
  expect((await fetch(`${runner.url}/sessions/${LONGEST}`, { method: 'DELETE' })).status).toBe(204)
})

test('a message that is refused for whatever reason leaves no thread', async () => {
  const bad: unknown[] = [7, null, {}, [{ type: 'text' }], [{ type: 'image', source: { type: 'url' } }]]
  for (let round = 0; round <= THREADS_MAX; round += 1) {
    for (const [index, content] of bad.entries()) {
      const answer = await post(`${runner.url}/sessions/refused-${round}-${index}/messages`, { content })
      expect(answer.status).toBe(400)
      expect(await refusedFrame({ type: 'message', threadId: `frame-${round}-${index}`, content })).toBe(
        'error invalid_input',
      )
    }
  }
  expect(await threads()).toEqual([])
})

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
/** The body is one deep itself. */
const withState = (depth: number, more: object = {}): string => {
  const body = JSON.stringify({ ...runInput('deep', 'hello'), ...more, state: 'HERE' })
  return body.replace('"HERE"', nested(depth - 1))
}
const inMessages = (...messages: unknown[]): unknown => ({ ...runInput('deep'), messages })
const editing = (payload: unknown): unknown => ({
  ...runInput('deep', 'a'),
  resume: [{ interruptId: 'i', status: 'resolved', payload }],
})

const DEEP: [name: string, body: unknown][] = [
  ['one too deep', withState(129)],
  ['4500 deep', withState(4500)],
  ['a million deep, and never closed', '['.repeat(1_000_000)],
  ['a million deep', nested(1_000_000)],
  ['maps', `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`],
  ['behind strings with quotes', `{"a":"\\"]]","b\\\\":${nested(200)}}`],
  ['a result of a tool', inMessages({ id: 'r', role: 'tool', toolCallId: 'c', content: nested(4500) })],
  [
    'arguments of a tool',
    inMessages({
      id: 'a',
      role: 'assistant',
      toolCalls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: `{"a":${nested(4500)}}` } }],
    }),
  ],
  ['an answer', editing(nested(4500))],
  ['edited arguments', editing({ editedArgs: nested(4500) })],
  [
    "an older client's answer",
    {
      ...runInput('deep', 'a'),
      protocolVersion: undefined,
      forwardedProps: { resume: [{ interruptId: 'i', status: 'resolved', payload: nested(4500) }] },
    },
  ],
]

test.each(DEEP)('depth: %s is refused', async (_name, body) => {
  const answer = await post(runner.url, body)
  expect([answer.status, (await bodyOf(answer))['error'].message]).toEqual([
    400,
    expect.stringContaining('JSON_DEPTH_MAX (128)'),
  ])
})

test.each(['/sessions/deep/messages', '/interrupt', '/model', '/content/write', '/feedback', '/repos/add'])(
  'depth: %s takes none either',
  async (path) => {
    const answer = await post(`${runner.url}${path}`, `{"content":${nested(200)}}`)
    expect([answer.status, (await bodyOf(answer))['error'].code]).toEqual([400, 'invalid_input'])
  },
)

test('depth: a frame takes none', async () => {
  expect(await refusedFrame(`{"type":"run","input":${withState(4500)}}`)).toBe('error invalid_input')
  const tool = inMessages({ id: 'r', role: 'tool', toolCallId: 'c', content: nested(200) })
  expect(await refusedFrame({ type: 'run', input: tool })).toBe('error invalid_input')
})

test('depth: a deep run is refused before it waits, and the deepest that is taken comes to its turn', async () => {
  const first = await post(runner.url, runInput('deep', 'gated depth'))
  const queued = { forwardedProps: { delivery: 'queue' } }
  expect((await post(runner.url, withState(129, queued))).status).toBe(400)
  const taken = await post(runner.url, withState(128, queued))
  bench.gateway.open('depth')
  expect((await events(first)).at(-1)?.type).toBe('RUN_FINISHED')
  expect((await events(taken)).at(-1)?.type).toBe('RUN_FINISHED')
  expect((await fetch(`${runner.url}/sessions/deep`)).status).toBe(200)
})

test.each([
  ['half a character in a text', '{"content":"a\\ud83d"}'],
  ['the other half', '{"content":"\\uDE00a"}'],
  ['two halves the wrong way round', '{"content":"\\ude00\\ud83d"}'],
  ['in a key', '{"content":"a","x":{"\\ud800":1}}'],
  ['in an escaped way', '{"content":"\\\\\\ud83d"}'],
  ['a key that is a prototype', '{"content":"a","x":{"__proto__":{}}}'],
  ['the same, escaped', '{"content":"a","x":{"__p\\u0072oto__":{}}}'],
  ['no JSON', '{"content":'],
])('%s is refused by both doors', async (_name, body) => {
  const answer = await post(`${runner.url}/sessions/halves/messages`, body)
  expect([answer.status, (await bodyOf(answer))['error'].code]).toEqual([400, 'invalid_input'])
  const frame = body.replace('{', '{"type":"message","threadId":"halves",')
  expect(await refusedFrame(frame)).toBe('error invalid_input')
  expect(await threads()).not.toContain('halves')
})

test('bytes that are no UTF-8 are refused, not replaced', async () => {
  const body = Buffer.from('{"content":"\xff"}', 'latin1')
  const answer = await fetch(`${runner.url}/sessions/bytes/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  expect([answer.status, (await bodyOf(answer))['error'].message]).toEqual([400, 'The body is not UTF-8.'])
  expect(await threads()).not.toContain('bytes')
})

test('whole characters and backslashes in any spelling are taken', () => {
  const limits = { jsonDepthMax: 2 }
  const parse = (text: string): unknown => parseJsonBody(Buffer.from(text), 'the body', limits)
  expect(parse('\ufeff{"a":"\\ud83d\\ude00"}')).toEqual({ a: '😀' })
  expect(parse('{"a":"\\\\ud83d [[[ \\" {{{"}')).toEqual({ a: '\\ud83d [[[ " {{{' })
  expect(parse('[[],[],[]]')).toEqual([[], [], []])
  expect(() => parse('[[[]]]')).toThrow('JSON_DEPTH_MAX (2)')
})

test('a session id that no thread can have is a wrong configuration', () => {
  const load = (env: Record<string, string>): unknown =>
    loadConfig(env, { appDirectory: '/', workingDirectory: '/' })
  expect(() => load({ SESSION_ID: LONGEST })).not.toThrow()
  expect(() => load({ SESSION_ID: `${LONGEST}x` })).toThrow(
    'SESSION_ID: must have at most ID_CHARS_MAX (256)',
  )
  expect(() => load({ SESSION_ID: '..' })).toThrow('SESSION_ID: must not be ".."')
  expect(() => load({ SESSION_ID: 'x'.repeat(65), ID_CHARS_MAX: '64' })).toThrow('SESSION_ID')
  expect(() => load({ ID_CHARS_MAX: '257' })).toThrow('ID_CHARS_MAX: must be')
})

test('an id of a gateway that is too long to come back is told as a digest', () => {
  const ids = new UsedIds()
  const [first, again] = [ids.claim('m'.repeat(5000)), ids.claim('m'.repeat(5000))]
  expect(first).toMatch(/^[\w-]{43}$/)
  expect(again).toBe(`${first}~2`)
})

test('afterwards the runner lives and has not failed', async () => {
  expect((await fetch(`${runner.url}/health`)).status).toBe(200)
  expect(runner.log()).not.toMatch(/"level":"(?:error|fatal)"/)
})
