import { HttpAgent } from '@ag-ui/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodyOf, events, frames, post, run, runInput, textOf, userMessage } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'

const SCRIPT = {
  rules: [
    { when: { prompt: 'gated' }, reply: [{ text: 'before' }, { gate: 'open' }, { text: ' after' }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    {
      when: { prompt: 'tool', round: 0 },
      reply: [{ text: 'Running.' }, { tool: 'Bash', input: { command: 'echo from-bash' } }],
    },
    { when: { prompt: 'tool', round: 1 }, reply: 'It said: {{result}}' },
    {
      when: { prompt: 'think' },
      reply: [{ thinking: 'Let me think.', signature: 'sig' }, { text: 'Thought.' }],
    },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let runner: OpenRunner

// Most of these runs go on in one thread: a thread of its own is a start of Claude Code.
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.open({ SSE_KEEPALIVE_MS: '100' })
})
afterAll(() => bench.close())

test('a run answers with the events of the real Claude Code, from RUN_STARTED to one RUN_FINISHED', async () => {
  const input = runInput('plain', 'hello')
  const all = await run(runner.url, input)
  expect(all[0]).toMatchObject({
    type: 'RUN_STARTED',
    threadId: 'plain',
    runId: input.runId,
    protocolVersion: '1.0',
  })
  expect(textOf(all)).toBe('You said: hello')
  expect(all.at(-1)).toMatchObject({
    type: 'RUN_FINISHED',
    threadId: 'plain',
    runId: input.runId,
    outcome: { type: 'success' },
    usage: [{ provider: 'anthropic', inputTokens: expect.any(Number), outputTokens: expect.any(Number) }],
  })
  expect(all.filter(({ type }) => /^RUN_(FINISHED|ERROR)$/.test(type))).toHaveLength(1)
})

test('RUN_STARTED carries the user messages that are new, so that every reader has them', async () => {
  const first = runInput('plain', 'one')
  await run(runner.url, first)
  const second = { ...runInput('plain', 'two') }
  second.messages.unshift(...first.messages)
  const [started] = await run(runner.url, second)
  expect(started?.['input'].messages).toEqual([second.messages[1]])
})

test('tools run and their results are told', async () => {
  const all = await run(runner.url, runInput('plain', 'use a tool'))
  const kinds = all.map(({ type }) => type)
  expect(kinds.indexOf('TOOL_CALL_START')).toBeLessThan(kinds.indexOf('TOOL_CALL_RESULT'))
  expect(all.find(({ type }) => type === 'TOOL_CALL_RESULT')).toMatchObject({
    content: 'from-bash',
    role: 'tool',
  })
  expect(textOf(all)).toContain('It said: from-bash')
})

test('the second run of a thread goes on in the same conversation and the same process', async () => {
  const before = bench.gateway.requests.length
  await run(runner.url, runInput('plain', 'remember blue'))
  const spawned = await run(runner.url, runInput('plain', 'what was it?'))
  expect(spawned.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  const requests = bench.gateway.requests.slice(before)
  expect(JSON.stringify(requests.at(-1))).toContain('remember blue')
})

test.each(['/agui', '/agui/run'])('POST %s is the same route', async (path) => {
  const all = await run(`${runner.url}${path}`, runInput('plain', 'hello'))
  expect(textOf(all)).toBe('You said: hello')
})

test.each([
  ['text/event-stream', undefined],
  ['protobuf', 'application/vnd.ag-ui.event+proto'],
])("AG-UI's own client runs against the server in %s", async (_name, accept) => {
  const agent = new HttpAgent({
    url: runner.url,
    threadId: `client-${_name}`,
    ...(accept === undefined ? {} : { headers: { accept } }),
  })
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content: 'use a tool' })
  const seen: string[] = []
  const { newMessages } = await agent.runAgent({}, { onEvent: ({ event }) => void seen.push(event.type) })
  expect(seen.at(-1)).toBe('RUN_FINISHED')
  expect(newMessages.map(({ role }) => role)).toEqual(['assistant', 'tool', 'assistant'])
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content: 'think' })
  const second = await agent.runAgent()
  expect(second.newMessages.map(({ role }) => role)).toEqual(['reasoning', 'assistant'])
})

test('protobuf is sent only when Accept names it', async () => {
  const wildcard = await post(runner.url, runInput('plain', 'hi'), { accept: '*/*' })
  expect(wildcard.headers.get('content-type')).toBe('text/event-stream')
  await wildcard.text()
  const named = await post(runner.url, runInput('plain', 'hi again'), {
    accept: 'application/vnd.ag-ui.event+proto',
  })
  expect(named.headers.get('content-type')).toBe('application/vnd.ag-ui.event+proto')
  const bytes = Buffer.from(await named.arrayBuffer())
  expect(bytes.readUInt32BE(0)).toBeLessThan(bytes.length)
})

test('a client that leaves does not end the run, and can read it afterwards', async () => {
  const input = runInput('leaver', 'gated please')
  const response = await post(runner.url, input)
  for await (const { event } of frames(response)) if (event.type === 'TEXT_MESSAGE_CONTENT') break
  const follow = await fetch(`${runner.url}/sessions/leaver/events?after=0&until=run`)
  bench.gateway.open('open')
  const all = await events(follow)
  expect(textOf(all)).toBe('before after')
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', runId: input.runId, outcome: { type: 'success' } })
})

test('an interrupt ends the run as cancelled with everything closed, and the session goes on', async () => {
  const response = await post(runner.url, runInput('plain', 'hang on'))
  const all = []
  for await (const { event } of frames(response)) {
    all.push(event)
    if (event.type === 'TEXT_MESSAGE_CONTENT') {
      const answer = await post(`${runner.url}/sessions/plain/interrupt`, {})
      expect(await answer.json()).toEqual({ interrupted: true })
    }
  }
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
  expect(all.filter(({ type }) => type === 'TEXT_MESSAGE_START')).toHaveLength(1)
  expect(all.filter(({ type }) => type === 'TEXT_MESSAGE_END')).toHaveLength(1)
  expect(textOf(await run(runner.url, runInput('plain', 'still there?')))).toBe('You said: still there?')
})

test('an interrupt with nothing running is no error', async () => {
  const answer = await post(`${runner.url}/interrupt`, { thread_id: 'nobody' })
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { message: 'Interrupt signal sent', interrupted: false },
  ])
})

test('while the model is silent, keep-alives are sent', async () => {
  const response = await post(runner.url, runInput('plain', 'hang again'))
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('partial') && text.split(': keep-alive').length > 3) break
  }
  await post(`${runner.url}/sessions/plain/interrupt`, {})
  expect(text).toContain(': keep-alive\n\n')
})

test('a busy thread refuses a second run, and a run id is taken once', async () => {
  const input = runInput('plain', 'hang more')
  const response = await post(runner.url, input)
  const reader = frames(response)
  await reader.next()
  const second = await post(runner.url, runInput('plain', 'me too'))
  expect([second.status, (await bodyOf(second))['error']]).toMatchObject([
    409,
    {
      code: 'thread_busy',
      message: expect.stringMatching(/wait.*interrupt.*delivery "queue"/),
      details: { runId: input.runId },
    },
  ])
  await post(`${runner.url}/sessions/plain/interrupt`, {})
  const again = await post(runner.url, { ...input, messages: [userMessage('other')] })
  expect([again.status, (await bodyOf(again))['error']]).toMatchObject([409, { code: 'run_exists' }])
})

test('two first runs at once on one thread start one process', async () => {
  const answers = await Promise.all([
    post(runner.url, runInput('twins', 'hello')),
    post(runner.url, runInput('twins', 'hello')),
  ])
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
  await Promise.all(answers.map((answer) => answer.text()))
})

test('model errors end the run as RUN_ERROR with a code', async () => {
  bench.gateway.use({ rules: [{ reply: [{ error: { status: 401, message: 'no such key' } }] }] })
  const all = await run(runner.url, runInput('plain', 'hello'))
  bench.gateway.use(SCRIPT)
  expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'model_unauthorized' })
})

test('health, readiness and capabilities answer', async () => {
  const health = await fetch(`${runner.url}/health`)
  expect([health.status, await health.json()]).toEqual([200, { status: 'healthy', session_id: null }])
  const ready = await fetch(`${runner.url}/ready`)
  expect([ready.status, (await bodyOf(ready))['ready']]).toEqual([200, true])
  const capabilities = await (await fetch(`${runner.url}/capabilities`)).json()
  expect(capabilities).toMatchObject({ transport: { streaming: true }, reasoning: { supported: true } })
})
