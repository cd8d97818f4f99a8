import { HttpAgent } from '@ag-ui/client'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}
const CLOCK = { name: 'get_time', description: 'The time.', parameters: { type: 'object', properties: {} } }

let bench: Bench
let runner: RunnerProcess
/** What Claude Code calls WEATHER. */
let weather: string

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'hello' }] } })
  runner = await bench.start()
  await run(runner.url, { ...runInput('w', 'hello'), tools: [WEATHER] })
  const offered = offeredTools().filter((name) => name.startsWith('mcp__ui_'))
  expect(offered.map((name) => name.replace(/^mcp__ui_[0-9a-f]+__/, ''))).toEqual([WEATHER.name])
  weather = offered[0] ?? ''
})
beforeEach(() =>
  bench.gateway.use({
    rules: [
      { when: { prompt: 'was restarted', round: 0 }, reply: 'I read: {{prompt}}' },
      {
        when: { prompt: 'weather', round: 0 },
        reply: [{ text: 'Asking.' }, { tool: weather, input: { city: 'Ulm' } }],
      },
      {
        when: { prompt: 'both', round: 0 },
        reply: [
          { tool: weather, input: { city: 'Ulm' } },
          { tool: 'Bash', input: { command: 'echo from-bash' } },
        ],
      },
      {
        when: { prompt: 'set the state', round: 0 },
        reply: [{ tool: 'mcp__agui__update_state', input: { state: { count: 2 } } }],
      },
      { when: { prompt: 'bash only', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'echo once' } }] },
      { when: { result: { isError: true } }, reply: 'It failed: {{result}}' },
      { when: { result: { matches: '.*' } }, reply: 'It is {{result}}' },
      { reply: 'You said: {{prompt}}' },
    ],
  }),
)
afterAll(() => bench.close())

function offeredTools(): string[] {
  return (
    bench.gateway.requests
      .filter(({ route }) => route === 'inference')
      .at(-1)
      ?.facts?.tools.slice() ?? []
  )
}

test('a call of the client’s tool ends the run with the call pending, and the next run brings the result', async () => {
  const first = await run(runner.url, { ...runInput('w', 'the weather?'), tools: [WEATHER] })
  const call = first.find(({ type }) => type === 'TOOL_CALL_START')
  expect(call).toMatchObject({ toolCallName: 'get_weather' })
  expect(first.map(({ type }) => type)).not.toContain('TOOL_CALL_RESULT')
  expect(first.at(-1)).toMatchObject({
    outcome: { type: 'success', pendingToolCallIds: [call?.['toolCallId']] },
  })
  const result = { id: 'r1', role: 'tool', toolCallId: call?.['toolCallId'], content: 'sunny' }
  const second = await run(runner.url, { ...runInput('w'), messages: [result], tools: [WEATHER] })
  expect(second.map(({ type }) => type)).not.toContain('TOOL_CALL_RESULT')
  expect(textOf(second)).toBe('It is sunny')
  expect(second.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(second[0]?.['input'].messages).toEqual([result])
})

test('a failure of the client’s tool reaches the model as one', async () => {
  const first = await run(runner.url, { ...runInput('w', 'the weather?'), tools: [WEATHER] })
  const [toolCallId] = first.at(-1)?.['outcome'].pendingToolCallIds ?? []
  const result = { id: 'r1', role: 'tool', toolCallId, content: '', error: 'no satellite' }
  expect(textOf(await run(runner.url, { ...runInput('w'), messages: [result], tools: [WEATHER] }))).toBe(
    'It failed: no satellite',
  )
})

test('documents in a result reach the model, and what cannot be given is named', async () => {
  const first = await run(runner.url, { ...runInput('w', 'the weather?'), tools: [WEATHER] })
  const [toolCallId] = first.at(-1)?.['outcome'].pendingToolCallIds ?? []
  const data = (type: string, mimeType: string, value: string) => ({
    type,
    source: { type: 'data', mimeType, value: Buffer.from(value).toString('base64') },
  })
  const content = [
    data('document', 'application/json', '{"word":"qxjson"}'),
    data('document', 'application/pdf', '%PDF-1.1\ntrailer<</Root 1 0 R>>\n%%EOF\n'),
    data('audio', 'audio/wav', 'RIFF\0'),
  ]
  const result = { id: 'r1', role: 'tool', toolCallId, content }
  const all = await run(runner.url, { ...runInput('w'), messages: [result], tools: [WEATHER] })
  expect(all.find(({ name }) => name === 'agui-runner.content_skipped')?.['value']).toEqual({
    parts: ['an audio part of type audio/wav'],
  })
  const given = JSON.stringify(
    bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body,
  )
  expect(given).toContain('qxjson')
  expect(given).toMatch(/application\/pdf|\.pdf/)
})

test('a client that goes on without a result tells the model that there is none', async () => {
  await run(runner.url, { ...runInput('w', 'the weather?'), tools: [WEATHER] })
  const all = await run(runner.url, { ...runInput('w', 'never mind'), tools: [WEATHER] })
  expect(textOf(all)).toContain('without giving a result')
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})

test('the list of a later run counts, also when it changes', async () => {
  await run(runner.url, { ...runInput('change', 'hello'), tools: [WEATHER] })
  expect(offeredTools().filter((name) => name.endsWith('__get_weather'))).toHaveLength(1)
  await run(runner.url, { ...runInput('change', 'hello again'), tools: [CLOCK] })
  expect(
    offeredTools()
      .filter((name) => /__get_(weather|time)$/.test(name))
      .map((name) => name.split('__')[2]),
  ).toEqual(['get_time'])
  await run(runner.url, runInput('change', 'and now none'))
  expect(offeredTools().filter((name) => name.startsWith('mcp__ui_'))).toEqual([])
})

test('the client’s calls and the server’s own go in one turn', async () => {
  const first = await run(runner.url, { ...runInput('w', 'both please'), tools: [WEATHER] })
  const { pendingToolCallIds } = first.at(-1)?.['outcome'] ?? {}
  expect(pendingToolCallIds).toHaveLength(1)
  const result = { id: 'r', role: 'tool', toolCallId: pendingToolCallIds[0], content: 'rain' }
  const second = await run(runner.url, { ...runInput('w'), messages: [result], tools: [WEATHER] })
  const results = [...first, ...second].filter(({ type }) => type === 'TOOL_CALL_RESULT')
  expect(results.map(({ content }) => content)).toEqual(['from-bash'])
  expect(second.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})

test('a result that comes after a kill -9 of the runner reaches the model', async () => {
  const first = await run(runner.url, { ...runInput('w', 'the weather?'), tools: [WEATHER] })
  const [toolCallId] = first.at(-1)?.['outcome'].pendingToolCallIds ?? []
  await runner.stop('SIGKILL')
  runner = await bench.start()
  const result = { id: 'r1', role: 'tool', toolCallId, content: 'sunny' }
  const all = await run(runner.url, { ...runInput('w'), messages: [result], tools: [WEATHER] })
  expect(textOf(all)).toContain('get_weather {"city":"Ulm"}: returned: sunny')
})

test('a name that the model’s API would refuse is refused here, by name', async () => {
  const answer = await post(runner.url, {
    ...runInput('names', 'hi'),
    tools: [{ ...WEATHER, name: 'get weather' }],
  })
  expect(answer.status).toBe(400)
  expect(await answer.text()).toContain('get weather')
})

test("AG-UI's own client drives a tool round trip", async () => {
  const agent = new HttpAgent({ url: runner.url, threadId: 'client' })
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content: 'the weather?' })
  await agent.runAgent({ tools: [WEATHER] })
  const call = agent.messages.flatMap((message) =>
    message.role === 'assistant' ? (message.toolCalls ?? []) : [],
  )[0]
  agent.addMessage({ id: crypto.randomUUID(), role: 'tool', toolCallId: call?.id ?? '', content: 'sunny' })
  await agent.runAgent({ tools: [WEATHER] })
  expect(agent.messages.at(-1)).toMatchObject({ role: 'assistant', content: 'It is sunny' })
})

test('context and state are shown to the model on every run, and the model may replace the state', async () => {
  const input = {
    ...runInput('state', 'set the state'),
    state: { count: 1 },
    context: [{ description: 'page', value: 'checkout' }],
  }
  const all = await run(runner.url, input)
  expect(all.find(({ type }) => type === 'STATE_SNAPSHOT')).toMatchObject({ snapshot: { count: 2 } })
  const first = JSON.stringify(
    bench.gateway.requests.filter(({ route }) => route === 'inference').at(-2)?.body,
  )
  expect(first).toContain('checkout')
  expect(first).toContain('count')
  await run(runner.url, {
    ...runInput('state', 'hello'),
    context: [{ description: 'page', value: 'basket' }],
  })
  expect(JSON.stringify(bench.gateway.requests.at(-1)?.body)).toContain('basket')
})

test('a switch of one run counts for that run, and POST /model for all later ones', async () => {
  const modelOf = (): unknown =>
    bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.facts?.model
  const own = modelOf()
  await run(runner.url, {
    ...runInput('state', 'hello'),
    forwardedProps: { claude: { model: 'claude-haiku-4-5' } },
  })
  expect(modelOf()).toBe('claude-haiku-4-5')
  await run(runner.url, runInput('state', 'hello again'))
  expect(modelOf()).toBe(own)
  const answer = await post(`${runner.url}/model`, { model: 'claude-sonnet-4-5', thread_id: 'state' })
  expect(await answer.json()).toMatchObject({ model: 'claude-sonnet-4-5', previousModel: expect.any(String) })
  await run(runner.url, runInput('state', 'and now'))
  expect(modelOf()).toBe('claude-sonnet-4-5')
  expect(JSON.stringify(bench.gateway.requests.at(-1)?.body)).toContain('hello again')
})

test.each([
  [{ modle: 'x' }, /modle/],
  [{ maxTurns: 0 }, /forwardedProps\.claude\.maxTurns/],
  [{ permissionMode: 'yolo' }, /forwardedProps\.claude\.permissionMode/],
])('a wrong switch %j is refused by name', async (claude, message) => {
  const answer = await post(runner.url, { ...runInput('wrong', 'hi'), forwardedProps: { claude } })
  expect(answer.status).toBe(400)
  expect(await answer.text()).toMatch(message)
})

test('a limit of turns ends the run as cancelled and says so', async () => {
  const claude = { maxTurns: 1 }
  const all = await run(runner.url, { ...runInput('state', 'bash only'), forwardedProps: { claude } })
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
  expect(all.find(({ name }) => name === 'agui-runner.limit_reached')?.['value']).toMatchObject({
    limit: 'turns',
  })
  const again = await run(runner.url, runInput('state', 'hello'))
  expect(textOf(again)).toBe('You said: hello')
})

test('an output schema gives the run a result of its shape', async () => {
  const outputSchema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  bench.gateway.use({
    rules: [
      {
        when: { prompt: 'structured', round: 0 },
        reply: [{ tool: 'StructuredOutput', input: { city: 'Ulm' } }],
      },
      { reply: 'done' },
    ],
  })
  const all = await run(runner.url, {
    ...runInput('state', 'structured'),
    forwardedProps: { claude: { outputSchema } },
  })
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' }, result: { city: 'Ulm' } })
})

test('what comes beside a result reaches the model: context that changed, the system, content beside an error', async () => {
  const context = [{ description: 'page', value: 'qxfirst' }]
  const first = { ...runInput('beside', 'the weather?'), tools: [WEATHER], context }
  const toolCallId = (await run(runner.url, first)).find(({ type }) => type === 'TOOL_CALL_START')?.[
    'toolCallId'
  ]
  const result = { id: 'r', role: 'tool', toolCallId, content: 'qxhalf of it', error: 'qxbroken' }
  const system = { id: 's', role: 'system', content: 'qxsystem' }
  const user = { id: 'u', role: 'user', content: 'qxmore' }
  const next = { ...first, runId: 'next', context: [{ description: 'page', value: 'qxsecond' }] }
  const late = { ...WEATHER, name: 'late_tool' }
  const tools = [WEATHER, late]
  const all = await run(runner.url, { ...next, tools, messages: [result, system, user] })
  expect(all.find(({ name }) => name === 'agui-runner.content_skipped')?.['value']).toEqual({
    parts: [expect.stringMatching(/^the tool late_tool /)],
  })
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  const body = JSON.stringify(bench.gateway.requests.at(-1)?.body)
  for (const words of ['qxhalf of it', 'qxbroken', 'qxsystem', 'qxsecond', 'qxmore'])
    expect(body).toContain(words)
  expect(body.match(/qxfirst/g)).toHaveLength(1)
})
