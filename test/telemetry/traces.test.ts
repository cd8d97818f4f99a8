import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { TraceCarrier } from '../../src/agent/trace.ts'
import { loadConfig } from '../../src/config.ts'
import type { Script } from '../../src/mock/script.ts'
import { startOtlp } from '../../src/runner/otlp.ts'
import { openOtlp } from '../../src/telemetry/otlp.ts'
import { FAKE_JWT } from '../redaction/fake-secrets.ts'
import { events, frames, post, run, runInput } from '../support/client.ts'
import { type CollectedSpan, type Collector, collectedBy, openCollector } from '../support/collector.ts'
import { openBench } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'ask', round: 0 }, reply: [{ tool: 'Delete', input: { of: 'it' } }] },
    { when: { prompt: 'gate (\\w+)' }, reply: [{ text: 'before' }, { gate: '{{1}}' }] },
    { when: { prompt: 'tool', round: 0 }, reply: [{ tool: 'Read', input: { token: FAKE_JWT } }] },
    { when: { prompt: 'stuck', round: 0 }, reply: [{ tool: 'Wait', input: {} }] },
    { reply: `said ${FAKE_JWT}` },
  ],
}
const CONTENT = [
  'gen_ai.input.messages',
  'gen_ai.output.messages',
  'gen_ai.tool.call.arguments',
  'gen_ai.tool.call.result',
]

let runner: ScriptedRunner
let collector: Collector
let lines: Record<string, unknown>[]
let endOtlp: () => Promise<void>

beforeAll(async () => {
  const tools = {
    Delete: async () => 'deleted',
    Read: async () => `read ${FAKE_JWT}`,
    Wait: (_input: unknown, signal: AbortSignal) =>
      new Promise<string>((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      ),
  }
  runner = await openScriptedRunner({ script: SCRIPT, tools, asks: ['Delete'] })
})
afterAll(() => runner.close())
beforeEach(async () => {
  collector = await openCollector()
  open()
})
afterEach(async () => {
  await endOtlp()
  await collector.close()
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]
})

function open({ capturesContent = false } = {}): void {
  Object.assign(process.env, collectedBy(collector))
  lines = []
  const logger = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) })
  endOtlp = openOtlp({
    ...{ version: '0', agentName: 'the scripted agent', provider: 'scripted', capturesContent, logger },
    ...{ traces: { proxy: undefined }, metrics: undefined, flushMs: 300 },
  })
}

async function rootOf(runId: string): Promise<CollectedSpan> {
  const find = (all: readonly CollectedSpan[]): CollectedSpan | undefined =>
    all.find(({ attributes }) => attributes['agui_runner.run.id'] === runId)
  const root = find(await collector.spansWhen((all) => find(all) !== undefined))
  if (root === undefined) throw new Error('no root')
  return root
}

const traceparent = (trace: string, span: string, flags = '01'): string =>
  `00-${trace.repeat(32)}-${span.repeat(16)}-${flags}`

test('a run over the WebSocket: the traceparent of its frame, else that of the handshake', async () => {
  const socket = await openSocket(runner.url, [], { traceparent: traceparent('a', 'a') })
  const [first, second] = [runInput('w1', 'hello'), runInput('w2', 'hello')]
  socket.send({ type: 'run', input: first })
  socket.send({ type: 'run', input: second, traceparent: traceparent('b', 'b') })
  expect(await rootOf(first.runId)).toMatchObject({ traceId: 'a'.repeat(32), parentSpanId: 'a'.repeat(16) })
  expect(await rootOf(second.runId)).toMatchObject({ traceId: 'b'.repeat(32), parentSpanId: 'b'.repeat(16) })
  socket.send({ type: 'run', input: runInput('w3', 'hello'), traceparent: 'no' })
  const { error } = await socket.frame(({ type }) => type === 'error')
  expect(error).toMatchObject({ code: 'invalid_input', message: expect.stringContaining('traceparent') })
  const odd = { traceparent: traceparent('b', 'b'), tracestate: 'a=\0' }
  socket.send({ type: 'run', input: runInput('w4', 'hello'), ...odd })
  await socket.frame(({ error: refused }) => String(refused?.message).includes('tracestate'))
  await socket.close()
})

test.each([
  '',
  'no',
  traceparent('0', 'a'),
  traceparent('a', '0'),
  `ff-${'a'.repeat(32)}-${'a'.repeat(16)}-01`,
])('a traceparent that names nothing begins a trace: "%s"', async (header) => {
  const input = runInput('begins', 'hello')
  await events(await post(runner.url, input, { traceparent: header, tracestate: 'x'.repeat(600) }))
  const { parentSpanId, traceId } = await rootOf(input.runId)
  expect([parentSpanId, traceId]).toEqual(['', expect.not.stringMatching(/^(.)\1*$/)])
})

test('of a traceparent of a later version, what this one knows is passed on', () => {
  const later = `cc${traceparent('a', 'a').slice(2)}-${'x'.repeat(200_000)}`
  expect(TraceCarrier.parse({ traceparent: later })).toEqual({ traceparent: traceparent('a', 'a') })
  expect(TraceCarrier.safeParse({ traceparent: `${traceparent('a', 'a')}-more` }).success).toBe(false)
})

test('who was not sampled is not recorded', async () => {
  const [not, next] = [runInput('unsampled', 'hello'), runInput('unsampled', 'hello')]
  await events(await post(runner.url, not, { traceparent: traceparent('c', 'c', '00') }))
  await run(runner.url, next)
  await rootOf(next.runId)
  expect(collector.spans.filter(({ traceId }) => traceId === 'c'.repeat(32))).toEqual([])
})

test('a queued run keeps its own parent', async () => {
  const [first, queued] = [runInput('queued', 'gate one'), runInput('queued', 'hello')]
  const running = events(await post(runner.url, first))
  const forwardedProps = { delivery: 'queue' }
  const waiting = post(runner.url, { ...queued, forwardedProps }, { traceparent: traceparent('d', 'd') })
  const answer = await waiting
  runner.agent.openGate('one')
  await Promise.all([running, events(answer)])
  expect(await rootOf(queued.runId)).toMatchObject({ traceId: 'd'.repeat(32), parentSpanId: 'd'.repeat(16) })
})

test('a tool that waits for approval runs in the run that brings it', async () => {
  const asking = runInput('approves', 'ask')
  const all = await run(runner.url, asking)
  const { interrupts } = all.at(-1)?.['outcome'] ?? {}
  const answer = {
    ...runInput('approves'),
    resume: [{ interruptId: interrupts[0].id, status: 'resolved', payload: { approved: true } }],
  }
  await run(runner.url, answer)
  const [first, second] = [await rootOf(asking.runId), await rootOf(answer.runId)]
  expect(first).toMatchObject({ status: 0, attributes: { 'agui_runner.outcome': 'interrupt' } })
  const tools = collector.spans.filter(({ name }) => name === 'execute_tool Delete')
  expect(tools).toEqual([expect.objectContaining({ parentSpanId: second.spanId, traceId: second.traceId })])
})

test('a run that is stopped is no failure, what it cut is marked', async () => {
  const input = runInput('stops', 'stuck')
  for await (const { event } of frames(await post(runner.url, input))) {
    if (event.type === 'TOOL_CALL_END') await post(`${runner.url}/sessions/stops/interrupt`, {})
  }
  expect(await rootOf(input.runId)).toMatchObject({
    status: 0,
    attributes: { 'agui_runner.outcome': 'cancelled' },
  })
  const cut = collector.spans.filter(({ name }) => name === 'execute_tool Wait')
  expect(cut).toMatchObject([{ status: 2, attributes: { 'error.type': 'cancelled' } }])
})

test('behind a proxy, as all that goes out', async () => {
  await endOtlp()
  const asked: string[] = []
  const proxy = createServer().on('connect', ({ url, headers }, socket: Socket) => {
    asked.push(`${url} ${headers['proxy-authorization']}`)
    socket.on('error', () => undefined)
    const upstream = connect(Number(new URL(collector.url).port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = proxy.address()
  const port = typeof address === 'object' ? address?.port : 0
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://collector.example:4318'
  const variables = {
    ...process.env,
    HOME: '/h',
    WORKSPACE_PATH: '/h/w',
    HTTPS_PROXY: `http://u:p@127.0.0.1:${port}`,
  }
  endOtlp = await startOtlp({
    config: loadConfig(variables, { appDirectory: '/', workingDirectory: '/h' }),
    ...{ version: '0', env: variables, logger: pino({ enabled: false }), routeKind: 'bedrock' },
    metrics: () => Promise.reject(new Error('nobody asks')),
  })
  const input = runInput('proxied', 'hello')
  await run(runner.url, input)
  expect((await rootOf(input.runId)).attributes['gen_ai.provider.name']).toBe('aws.bedrock')
  expect(asked).toContain(`collector.example:4318 Basic ${btoa('u:p')}`)
  await endOtlp()
  proxy.closeAllConnections()
  proxy.close()
})

test('no content, unless it is asked for, and then without secrets', async () => {
  const input = runInput('content', 'tool please')
  await run(runner.url, input)
  await rootOf(input.runId)
  const names = collector.spans.flatMap(({ attributes }) => Object.keys(attributes))
  expect(names.filter((name) => CONTENT.includes(name))).toEqual([])

  await endOtlp()
  open({ capturesContent: true })
  const again = runInput('content', 'tool please')
  await run(runner.url, again)
  const root = await rootOf(again.runId)
  const tool = collector.spans.findLast(({ name }) => name === 'execute_tool Read')
  const parsed = (text: unknown): unknown => JSON.parse(String(text))
  expect(parsed(root.attributes['gen_ai.input.messages'])).toEqual([
    { role: 'user', parts: [{ type: 'text', content: 'tool please' }] },
  ])
  expect(parsed(root.attributes['gen_ai.output.messages'])).toMatchObject([
    { role: 'assistant', parts: [{ content: expect.stringMatching(/^said /) }], finish_reason: 'stop' },
  ])
  expect(parsed(tool?.attributes['gen_ai.tool.call.arguments'])).toMatchObject({ token: expect.anything() })
  expect(tool?.attributes['gen_ai.tool.call.result']).toMatch(/^read /)

  // Arize Phoenix 20.26.1 showed that a tool which a person had approved had none.
  const asking = runInput('content-asks', 'ask')
  const { interrupts } = (await run(runner.url, asking)).at(-1)?.['outcome'] ?? {}
  const resume = [{ interruptId: interrupts[0].id, status: 'resolved', payload: { approved: true } }]
  const answer = { ...runInput('content-asks'), resume }
  await run(runner.url, answer)
  await rootOf(answer.runId)
  const approved = collector.spans.findLast(({ name }) => name === 'execute_tool Delete')
  expect(approved?.attributes).toMatchObject({
    'gen_ai.tool.call.arguments': JSON.stringify({ of: 'it' }),
    'gen_ai.tool.call.result': 'deleted',
  })
  expect(JSON.stringify(collector.spans)).not.toContain(FAKE_JWT)
})

test.each([400, 503, 'hang'] as const)('a collector that answers %s costs spans only', async (answer) => {
  collector.answer = answer
  for (let count = 0; count < 3; count += 1) await run(runner.url, runInput('fault', 'hello'))
  await collector.requested(1)
  expect((await run(runner.url, runInput('fault', 'hello'))).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
  // Bounded, though nothing will ever be answered.
  await endOtlp()
})

test('one that takes again gets what is new; the log says both once', async () => {
  collector.answer = 400
  await run(runner.url, runInput('again', 'hello'))
  await collector.requested(1)
  await run(runner.url, runInput('again', 'hello'))
  await collector.requested(2)
  collector.answer = 'take'
  const input = runInput('again', 'hello')
  await run(runner.url, input)
  await rootOf(input.runId)
  await endOtlp()
  expect(lines.map(({ msg }) => msg)).toEqual([
    'the collector does not take spans: they are lost',
    'the collector takes spans again',
  ])
})

test.each([
  ['OTEL_TRACES_SAMPLER', 'sometimes', /OTEL_TRACES_SAMPLER value "sometimes" invalid/],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'br', /OTEL_EXPORTER_OTLP_COMPRESSION is invalid/],
  ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/no/such', /Failed to read root certificate/],
])('%s=%s is said, since the exporter goes on without it', async (name, value, problem) => {
  await endOtlp()
  process.env[name] = value
  open()
  expect(lines).toMatchObject([
    { problem: expect.stringMatching(problem), msg: 'a variable of OpenTelemetry is not used as it is' },
  ])
})

test('a stop sends the spans that wait', async () => {
  await endOtlp()
  process.env['OTEL_BSP_SCHEDULE_DELAY'] = '3600000'
  const { OTEL_BSP_SCHEDULE_DELAY: _soon, ...env } = collectedBy(collector)
  Object.assign(process.env, env)
  const logger = pino({ enabled: false })
  endOtlp = openOtlp({
    ...{ version: '0', agentName: 'x', provider: 'scripted', capturesContent: false, logger },
    ...{ traces: { proxy: undefined }, metrics: undefined, flushMs: 5000 },
  })
  const input = runInput('late', 'hello')
  await run(runner.url, input)
  expect(collector.spans).toEqual([])
  await endOtlp()
  await rootOf(input.runId)
})

/** The files of the product that a runner has loaded by its end. */
async function loadedBy(env: Record<string, string>): Promise<string[]> {
  const bench = await openBench()
  try {
    const folder = join(bench.directory, 'coverage')
    const started = await bench.start({ ...env, NODE_V8_COVERAGE: folder })
    await started.stop()
    const urls = readdirSync(folder).flatMap((name) => {
      const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
      return result.map(({ url }: { url: string }) => url)
    })
    return urls.filter((url) => /^file:.*\/dist\/[^/]+\.js$/.test(url)).map((url) => fileURLToPath(url))
  } finally {
    await bench.close()
  }
}

test('without an endpoint nothing of OpenTelemetry is loaded', async () => {
  const withIt = (files: string[]): string[] =>
    files.filter((file) => readFileSync(file, 'utf8').includes('opentelemetry'))
  expect(withIt(await loadedBy(collectedBy(collector))).length).toBeGreaterThan(0)
  const files = await loadedBy({ OTEL_SERVICE_NAME: 'somebody' })
  expect(files.length).toBeGreaterThan(10)
  expect(withIt(files)).toEqual([])
})

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }
const configOf = (env: Record<string, string>) =>
  loadConfig({ HOME: '/h', WORKSPACE_PATH: '/h/w', ...env }, { appDirectory: '/', workingDirectory: '/h' })
    .otlp

test.each([
  [{}, undefined],
  [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }, undefined],
  [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }, undefined],
  [
    { ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none' },
    { traces: 'http://c:4318', metrics: undefined },
  ],
  [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'https://m' }, { traces: undefined, metrics: 'https://m' }],
  [
    { ...ENDPOINT, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'SPAN_ONLY' },
    { capturesContent: true },
  ],
  [
    { ...ENDPOINT, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'EVENT_ONLY' },
    { capturesContent: false },
  ],
])('%j says where it goes', (env: Record<string, string>, expected) => {
  if (expected === undefined) expect(configOf(env)).toBeUndefined()
  else expect(configOf(env)).toMatchObject(expected)
})

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4317'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'grpc://c'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL', 'http/json'],
  ['OTEL_TRACES_EXPORTER', 'zipkin'],
  ['OTEL_METRIC_EXPORT_INTERVAL', 'soon'],
  ['OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT', 'yes please'],
])('%s cannot be %s', (name, value) => {
  expect(() => configOf({ ...ENDPOINT, [name]: value })).toThrow(new RegExp(`${name}: must be`))
})
