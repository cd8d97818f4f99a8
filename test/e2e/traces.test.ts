import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { events, post, run, runInput } from '../support/client.ts'
import { type CollectedSpan, type Collector, collectedBy, openCollector } from '../support/collector.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const EVERYTHING = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
)
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const ECHO = 'mcp__everything__get-env'
const SCRIPT = {
  rules: [
    { when: { subagent: true, round: 0 }, reply: [{ tool: 'Bash', input: { command: 'false' } }] },
    { when: { subagent: true }, reply: 'sub done' },
    {
      when: { prompt: 'delegate', round: 0 },
      reply: [
        {
          tool: 'Agent',
          input: { description: 'look', prompt: 'sub work', subagent_type: 'general-purpose' },
        },
      ],
    },
    {
      when: { prompt: 'look', round: 0 },
      reply: [
        { text: 'a secret answer' },
        { tool: 'Bash', input: { command: 'echo "bash has $TRACEPARENT"' } },
        { tool: ECHO, input: {} },
      ],
    },
    {
      when: { prompt: 'bare', round: 0 },
      reply: [{ tool: 'Bash', input: { command: 'echo "bash has $TRACEPARENT."' } }],
    },
    { when: { prompt: 'break' }, reply: [{ error: { status: 400 } }] },
    { reply: [{ usage: { input: 7, output: 5, cacheRead: 3 } }, { text: 'done' }] },
  ],
}

let bench: Bench
let collector: Collector
let runner: RunnerProcess

beforeAll(async () => {
  collector = await openCollector()
  bench = await openBench({ script: SCRIPT })
  const file = join(bench.directory, 'mcp.json')
  const everything = { command: process.execPath, args: [EVERYTHING], alwaysLoad: true }
  writeFileSync(file, JSON.stringify({ mcpServers: { everything } }))
  runner = await bench.start({ ...collectedBy(collector), PAYLOAD_MCP_CONFIG_FILE: file })
})
afterAll(async () => {
  await bench.close()
  await collector.close()
})

/** The spans of the trace of a run, when its root is there: that one ends last. */
async function traceOf(runId: string): Promise<readonly CollectedSpan[]> {
  const isRoot = (span: CollectedSpan): boolean => span.attributes['agui_runner.run.id'] === runId
  const spans = await collector.spansWhen((all) => all.some(isRoot))
  const root = spans.find(isRoot)
  return spans.filter(({ traceId }) => traceId === root?.traceId)
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan[] =>
  spans.filter((span) => span.name === name)

test('a run is one trace below the traceparent of its POST, which goes on to commands and MCP servers', async () => {
  const input = runInput('looks', 'look')
  const headers = { traceparent: `00-${TRACE}-${PARENT}-01` }
  const all = await events(await post(runner.url, input, headers))
  const spans = await traceOf(input.runId)
  const [root] = named(spans, 'invoke_agent Claude Code')
  expect(root).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, status: 0, kind: 1 })
  expect(root?.attributes).toMatchObject({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.provider.name': 'anthropic',
    'gen_ai.conversation.id': 'looks',
    'gen_ai.usage.output_tokens': expect.any(Number),
    'agui_runner.outcome': 'success',
  })
  expect(root?.resource).toMatchObject({ 'service.name': 'agui-runner' })
  const tools = spans.filter(({ attributes }) => attributes['gen_ai.operation.name'] === 'execute_tool')
  expect(tools.map(({ name }) => name).sort()).toEqual(['execute_tool Bash', `execute_tool ${ECHO}`])
  const chats = spans.filter(({ attributes }) => attributes['gen_ai.operation.name'] === 'chat')
  expect(chats).toHaveLength(2)
  for (const child of [...tools, ...chats]) {
    expect(child.parentSpanId).toBe(root?.spanId)
    expect(child.startMs).toBeGreaterThanOrEqual(root?.startMs ?? Number.NaN)
    expect(child.endMs).toBeLessThanOrEqual(root?.endMs ?? Number.NaN)
  }
  expect(chats.at(-1)).toMatchObject({
    kind: 3,
    attributes: {
      'gen_ai.usage.input_tokens': 10,
      'gen_ai.usage.cache_read.input_tokens': 3,
      'gen_ai.usage.output_tokens': 5,
      'gen_ai.response.finish_reasons': ['end_turn'],
    },
  })
  const ours = `00-${TRACE}-${root?.spanId}-01`
  const results = all.filter(({ type }) => type === 'TOOL_CALL_RESULT').map(({ content }) => String(content))
  expect(results.find((text) => text.startsWith('bash has'))).toBe(`bash has ${ours}`)
  expect(results.find((text) => text.startsWith('{'))).toContain(`"TRACEPARENT": "${ours}"`)
  expect(root?.links).toEqual([])
  // The process is the same: its commands have the later run's span, and its MCP servers lead to the run that started it.
  const again = runInput('looks', 'look')
  const other = PARENT.repeat(2)
  const next = await events(await post(runner.url, again, { traceparent: `00-${other}-${PARENT}-01` }))
  const [later] = named(await traceOf(again.runId), 'invoke_agent Claude Code')
  expect(later).toMatchObject({ traceId: other, links: [root?.spanId] })
  expect(next.find(({ type }) => type === 'TOOL_CALL_RESULT')?.['content']).toBe(
    `bash has 00-${other}-${later?.spanId}-01`,
  )
  // Nothing of what was said or done.
  expect(JSON.stringify(spans)).not.toMatch(/secret answer|bash has/)
})

test('without a collector commands have the traceparent of their POST, and none where it had none', async () => {
  const plain = await bench.start({ RUNNER_STATE_DIR: join(bench.directory, 'plain') })
  const traceparent = `00-${TRACE}-${PARENT}-01`
  const said: unknown[] = []
  for (const headers of [{ traceparent }, {}]) {
    const all = await events(await post(plain.url, runInput('bare', 'bare'), headers))
    said.push(all.find(({ type }) => type === 'TOOL_CALL_RESULT')?.['content'])
  }
  expect(said).toEqual([`bash has ${traceparent}.`, 'bash has .'])
})

test("a subagent is an agent in its tool's span, with its own chats and tools; a tool that fails is marked", async () => {
  const input = runInput('delegates', 'delegate')
  await run(runner.url, input)
  const spans = await traceOf(input.runId)
  const [root] = named(spans, 'invoke_agent Claude Code')
  const [call] = named(spans, 'execute_tool Agent')
  const [subagent] = named(spans, 'invoke_agent general-purpose')
  const [bash] = named(spans, 'execute_tool Bash')
  expect(root?.parentSpanId).toBe('')
  expect(call?.parentSpanId).toBe(root?.spanId)
  expect(subagent?.parentSpanId).toBe(call?.spanId)
  expect(bash).toMatchObject({
    parentSpanId: subagent?.spanId,
    status: 2,
    attributes: { 'error.type': 'tool_error' },
  })
  const chats = spans.filter(({ attributes }) => attributes['gen_ai.operation.name'] === 'chat')
  expect(chats.map(({ parentSpanId }) => parentSpanId).sort()).toEqual(
    [root?.spanId, root?.spanId, subagent?.spanId, subagent?.spanId].sort(),
  )
})

test('a model that refuses is marked in its chat and in its run', async () => {
  const broken = runInput('breaks', 'break')
  await run(runner.url, broken)
  const spans = await traceOf(broken.runId)
  const [root] = named(spans, 'invoke_agent Claude Code')
  expect(root).toMatchObject({ status: 2, attributes: { 'error.type': expect.stringMatching(/^model_/) } })
  expect(named(spans, 'chat')).toEqual([expect.objectContaining({ status: 2, parentSpanId: root?.spanId })])
})

test('the metrics of /metrics by OTLP', async () => {
  await run(runner.url, runInput('counted', 'hello'))
  const metrics = await collector.metricsWhen((all) =>
    all.some(({ name, points }) => name === 'agui_runner_runs_started_total' && (points[0]?.value ?? 0) > 0),
  )
  const find = (wanted: string) => metrics.find(({ name }) => name === wanted)
  expect(find('agui_runner_runs_active')).toMatchObject({ kind: 'gauge' })
  expect(find('agui_runner_run_duration_seconds')).toMatchObject({ kind: 'histogram', unit: 's' })
  const started = find('agui_runner_runs_started_total')?.points[0]?.value
  const [text] =
    (await (await fetch(`${runner.url}/metrics`)).text()).match(/^agui_runner_runs_started_total .*/m) ?? []
  expect(text).toBe(`agui_runner_runs_started_total ${started}`)
})
