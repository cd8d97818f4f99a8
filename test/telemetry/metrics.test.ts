import {
  ATTR_ERROR_TYPE,
  ATTR_GEN_AI_OPERATION_NAME,
  ATTR_GEN_AI_PROVIDER_NAME,
  ATTR_GEN_AI_REQUEST_MODEL,
  ATTR_GEN_AI_RESPONSE_MODEL,
  ATTR_GEN_AI_TOKEN_TYPE,
  METRIC_GEN_AI_CLIENT_OPERATION_DURATION,
  METRIC_GEN_AI_CLIENT_TOKEN_USAGE,
} from '@opentelemetry/semantic-conventions/incubating'
import { afterEach, expect, test } from 'vitest'
import {
  claudeExited,
  claudeStarted,
  httpAnswered,
  logAppended,
  modelAsked,
  policyDenied,
  readerClosed,
  readerOpened,
  runAnswered,
  runEnded,
  runStarted,
} from '../../src/channels.ts'
import { type MetricSources, type Metrics, openMetrics } from '../../src/telemetry/metrics.ts'
import { otlpMetrics } from '../../src/telemetry/otlp-metrics.ts'

const SOURCES: MetricSources = {
  threads: () => ({ idle: 2, running: 1 }),
  queued: () => ({ total: 5, longest: 3 }),
  warm: () => 2,
  lags: async () => [0, 7, 3],
  logBytes: async () => 4096,
  egress: () => ({ allowed: 9, denied: 2 }),
}

const opened: Metrics[] = []
afterEach(() => {
  for (const metrics of opened.splice(0)) metrics.close()
})

function open(sources = SOURCES): Metrics {
  const metrics = openMetrics(sources)
  opened.push(metrics)
  return metrics
}

/** Sample lines by name and labels. */
async function samples(metrics: Metrics): Promise<Record<string, number>> {
  const { text } = await metrics.read()
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

test('runs are counted by outcome and code, and timed', async () => {
  const metrics = open()
  const run = { threadId: 't', runId: 'r', at: 0, trace: {} }
  for (let count = 0; count < 3; count += 1) runStarted.publish(run)
  runAnswered.publish({ ...run, ms: 20 })
  runEnded.publish({ ...run, outcome: 'success', ms: 400 })
  runEnded.publish({ ...run, outcome: 'error', code: 'model_overloaded', ms: 2000 })
  expect(await samples(metrics)).toMatchObject({
    agui_runner_runs_started_total: 3,
    agui_runner_runs_active: 1,
    'agui_runner_runs_total{outcome="success",code=""}': 1,
    'agui_runner_runs_total{outcome="error",code="model_overloaded"}': 1,
    'agui_runner_run_first_event_seconds_bucket{le="0.025"}': 1,
    agui_runner_run_first_event_seconds_sum: 0.02,
    'agui_runner_run_duration_seconds_bucket{le="0.1",outcome="success"}': 0,
    'agui_runner_run_duration_seconds_bucket{le="0.5",outcome="success"}': 1,
    'agui_runner_run_duration_seconds_sum{outcome="error"}': 2,
  })
})

test('log, readers, processes, denials and requests are counted', async () => {
  const metrics = open()
  logAppended.publish({ threadId: 't', events: 4, bytes: 100 })
  logAppended.publish({ threadId: 't', events: 1, bytes: 20 })
  readerOpened.publish({ kind: 'sse' })
  readerOpened.publish({ kind: 'sse' })
  readerClosed.publish({ kind: 'sse', ms: 2000 })
  claudeStarted.publish({ threadId: 't', pid: 1 })
  claudeExited.publish({ threadId: 't', pid: 1, code: null, signal: 'SIGKILL', wanted: false })
  policyDenied.publish({ threadId: 't', by: 'claude-code', what: 'Bash' })
  policyDenied.publish({ threadId: 't', by: 'claude-code', what: 'mcp__one__tool' })
  policyDenied.publish({ threadId: 't', by: 'claude-code', what: 'mcp__other__tool' })
  for (const host of ['one.example', 'other.example'])
    policyDenied.publish({ threadId: 't', by: 'runner', what: 'network', gate: 'l4', host, port: 443 })
  httpAnswered.publish({ method: 'GET', route: '/sessions/:threadId', status: 404 })
  expect(await samples(metrics)).toMatchObject({
    agui_runner_log_events_total: 5,
    agui_runner_log_appended_bytes_total: 120,
    'agui_runner_readers{kind="sse"}': 1,
    'agui_runner_reader_duration_seconds_sum{kind="sse"}': 2,
    agui_runner_claude_started_total: 1,
    'agui_runner_claude_exited_total{wanted="false"}': 1,
    'agui_runner_policy_denials_total{by="claude-code",what="Bash",gate=""}': 1,
    'agui_runner_policy_denials_total{by="claude-code",what="mcp",gate=""}': 2,
    // Hosts are the agent's to invent: none is a label.
    'agui_runner_policy_denials_total{by="runner",what="network",gate="l4"}': 2,
    'agui_runner_http_requests_total{method="GET",route="/sessions/:threadId",status="404"}': 1,
  })
})

test('what is so now is looked up at each reading', async () => {
  const warm = [2, 0]
  const metrics = open({ ...SOURCES, warm: () => warm.shift() ?? 0 })
  expect(await samples(metrics)).toMatchObject({
    'agui_runner_threads{state="idle"}': 2,
    'agui_runner_threads{state="running"}': 1,
    agui_runner_queued_runs: 5,
    agui_runner_queue_length_max: 3,
    agui_runner_claude_warm: 2,
    agui_runner_reader_lag_records_max: 7,
    agui_runner_reader_lag_records: 10,
    agui_runner_log_size_bytes: 4096,
    'agui_runner_egress_decisions_total{verdict="allowed"}': 9,
    'agui_runner_egress_decisions_total{verdict="denied"}': 2,
    process_resident_memory_bytes: expect.any(Number),
    process_cpu_seconds_total: expect.any(Number),
    'agui_runner_event_loop_delay_seconds{percentile="99"}': expect.any(Number),
  })
  // `promtool check metrics` (Prometheus 2.42) refuses the label for anything but a summary.
  expect((await metrics.read()).text).not.toContain('quantile=')
  expect(await samples(metrics)).toMatchObject({ agui_runner_claude_warm: 0 })
})

test('closed metrics leave nobody listening, so that publishing costs nothing', () => {
  const metrics = openMetrics(SOURCES)
  expect(httpAnswered.hasSubscribers).toBe(true)
  metrics.close()
  const all = [runStarted, runAnswered, runEnded, logAppended, readerOpened, readerClosed]
  for (const channel of [...all, claudeStarted, claudeExited, policyDenied, httpAnswered])
    expect(channel.hasSubscribers).toBe(false)
})

test("OpenTelemetry's own metrics of requests to models have its names, units and attributes", async () => {
  const metrics = open({ ...SOURCES, provider: 'anthropic' })
  const run = { threadId: 't', runId: 'r' }
  const call = { startedAt: 0, endedAt: 300, model: 'claude', usage: { inputTokens: 40, outputTokens: 7 } }
  modelAsked.publish({ ...run, call })
  modelAsked.publish({ ...run, call: { startedAt: 0, endedAt: 50, error: 'overloaded' } })
  expect(await samples(metrics)).toMatchObject({
    'gen_ai_client_operation_duration_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="anthropic",error_type="overloaded"}': 0.05,
  })
  const { resourceMetrics } = await otlpMetrics(async () => metrics, 'test').collect()
  const all = resourceMetrics.scopeMetrics.flatMap(({ metrics: each }) => each)
  const find = (wanted: string) => all.find(({ descriptor: { name } }) => name === wanted)
  const tokens = find(METRIC_GEN_AI_CLIENT_TOKEN_USAGE)
  expect(tokens?.descriptor.unit).toBe('{token}')
  const common = {
    [ATTR_GEN_AI_OPERATION_NAME]: 'chat',
    [ATTR_GEN_AI_PROVIDER_NAME]: 'anthropic',
    [ATTR_GEN_AI_REQUEST_MODEL]: 'claude',
    [ATTR_GEN_AI_RESPONSE_MODEL]: 'claude',
  }
  const bounds = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
  const point = (type: string, sum: number) => ({
    attributes: { ...common, [ATTR_GEN_AI_TOKEN_TYPE]: type },
    value: { count: 1, sum, buckets: { boundaries: bounds } },
  })
  expect(tokens?.dataPoints).toMatchObject([point('input', 40), point('output', 7)])
  const duration = find(METRIC_GEN_AI_CLIENT_OPERATION_DURATION)
  expect(duration?.descriptor.unit).toBe('s')
  const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
  expect(duration?.dataPoints).toMatchObject([
    { attributes: common, value: { sum: 0.3, buckets: { boundaries: seconds } } },
    { attributes: { [ATTR_ERROR_TYPE]: 'overloaded' }, value: { sum: 0.05 } },
  ])
})
