import { createRequire } from 'node:module'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type * as PromClient from 'prom-client'
import {
  claudeExited,
  claudeStarted,
  connectionDropped,
  httpAnswered,
  linkPushed,
  linkReceived,
  logAppended,
  policyDenied,
  readerClosed,
  readerOpened,
  runAnswered,
  runEnded,
  runStarted,
} from '../channels.ts'
import { countModelCalls } from './gen-ai-metrics.ts'

/** Values that are looked up on each request for the metrics, not counted as events happen. */
export interface MetricSources {
  /** Returns the number of threads by state. */
  threads(): Record<string, number>
  /** Returns the number of queued runs: of all threads together, and of the thread with the longest queue. */
  queued(): { total: number; longest: number }
  /** Returns the number of warm Claude Code processes. */
  warm(): number
  /** Returns for each reader of the log how many records it is behind the last one of its thread. */
  lags(): Promise<readonly number[]>
  logBytes(): Promise<number>
  /** Returns the number of connections and requests that the policy has judged, by verdict. */
  egress(): Readonly<Record<string, number>>
  /** The provider of the model, as `gen_ai.provider.name`; undefined in a process without runs. */
  provider?: string
  /** Returns the state of the control plane's link, and the number of unpushed records; undefined without a link. */
  link?: (() => Promise<{ state: string; behind: number }>) | undefined
}

interface MetricsText {
  contentType: string
  text: string
}

export interface Metrics {
  /** Returns the metrics in Prometheus' text format. */
  read(): Promise<MetricsText>
  /** Returns the same metrics as prom-client's JSON values. */
  collect(): Promise<unknown>
  /** Unsubscribes from all channels. */
  close(): void
}

/** Bucket bounds in seconds. A warm answer from a mock takes 20 ms, a cold start seconds, and a run up to an hour. */
const ANSWER_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const RUN_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]
const READER_SECONDS = [1, 10, 60, 600, 3600, 86_400]
const LOOP_RESOLUTION_MS = 50
const NANOSECONDS = 1e9

type Prom = Pick<typeof PromClient, 'Counter' | 'Gauge' | 'Histogram' | 'Registry'>

/**
 * Loads prom-client by its parts. The whole package loads OpenTelemetry's API for exemplars, which are not used: ten of
 * the runner's 90 MiB.
 */
function loadProm(): Prom {
  const require = createRequire(import.meta.url)
  return {
    Counter: require('prom-client/lib/counter'),
    Gauge: require('prom-client/lib/gauge'),
    Histogram: require('prom-client/lib/histogram'),
    Registry: require('prom-client/lib/registry'),
  }
}

/** Starts to count what the channels publish. */
export function openMetrics(sources: MetricSources): Metrics {
  const prom = loadProm()
  const registry = new prom.Registry()
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  loop.enable()
  const subscriptions = [
    ...countRuns(prom, registry),
    ...countLog(prom, registry),
    ...countProcesses(prom, registry),
  ]
  lookUp(prom, registry, sources)
  if (sources.provider !== undefined) subscriptions.push(...countModelCalls(prom, registry, sources.provider))
  if (sources.link !== undefined) subscriptions.push(...countLink(prom, registry, sources.link))
  measureProcess(prom, registry, loop)
  return {
    read: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    collect: () => registry.getMetricsAsJSON(),
    close() {
      for (const unsubscribe of subscriptions) unsubscribe()
      loop.disable()
    },
  }
}

type Registry = PromClient.Registry
type Unsubscribe = () => void

function countRuns({ Counter, Histogram, Gauge }: Prom, registry: Registry): Unsubscribe[] {
  const registers = [registry]
  const started = new Counter({
    name: 'agui_runner_runs_started_total',
    help: 'Runs that were begun.',
    registers,
  })
  const ended = new Counter({
    name: 'agui_runner_runs_total',
    help: 'Runs that have ended, by outcome; code is the error code of those that failed.',
    labelNames: ['outcome', 'code'],
    registers,
  })
  const active = new Gauge({ name: 'agui_runner_runs_active', help: 'Runs under way.', registers })
  const answer = new Histogram({
    name: 'agui_runner_run_first_event_seconds',
    help: 'From the admission of a run to the first event of its agent.',
    buckets: ANSWER_SECONDS,
    registers,
  })
  const duration = new Histogram({
    name: 'agui_runner_run_duration_seconds',
    help: 'From the admission of a run to its terminal event.',
    labelNames: ['outcome'],
    buckets: RUN_SECONDS,
    registers,
  })
  return [
    runStarted.subscribe(() => {
      started.inc()
      active.inc()
    }),
    runAnswered.subscribe(({ ms }) => answer.observe(ms / 1000)),
    runEnded.subscribe(({ outcome, code = '', ms }) => {
      ended.inc({ outcome, code })
      duration.observe({ outcome }, ms / 1000)
      active.dec()
    }),
  ]
}

function countLog({ Counter, Gauge, Histogram }: Prom, registry: Registry): Unsubscribe[] {
  const registers = [registry]
  const events = new Counter({
    name: 'agui_runner_log_events_total',
    help: 'Events appended to the log.',
    registers,
  })
  const bytes = new Counter({
    name: 'agui_runner_log_appended_bytes_total',
    help: 'Bytes appended to the log.',
    registers,
  })
  const readers = new Gauge({
    name: 'agui_runner_readers',
    help: 'Clients that follow the log, by transport.',
    labelNames: ['kind'],
    registers,
  })
  const stayed = new Histogram({
    name: 'agui_runner_reader_duration_seconds',
    help: 'How long clients have followed the log.',
    labelNames: ['kind'],
    buckets: READER_SECONDS,
    registers,
  })
  return [
    logAppended.subscribe((appended) => {
      events.inc(appended.events)
      bytes.inc(appended.bytes)
    }),
    readerOpened.subscribe(({ kind }) => readers.inc({ kind })),
    readerClosed.subscribe(({ kind, ms }) => {
      readers.dec({ kind })
      stayed.observe({ kind }, ms / 1000)
    }),
  ]
}

function countProcesses({ Counter }: Prom, registry: Registry): Unsubscribe[] {
  const registers = [registry]
  const started = new Counter({
    name: 'agui_runner_claude_started_total',
    help: 'Claude Code processes that were started.',
    registers,
  })
  const exited = new Counter({
    name: 'agui_runner_claude_exited_total',
    help: 'Claude Code processes that have ended; wanted is false for those that died on their own.',
    labelNames: ['wanted'],
    registers,
  })
  const denied = new Counter({
    name: 'agui_runner_policy_denials_total',
    help: 'What rules have refused, by who refused, what was asked for, and the gate of the policy that refused it.',
    labelNames: ['by', 'what', 'gate'],
    registers,
  })
  const requests = new Counter({
    name: 'agui_runner_http_requests_total',
    help: 'Requests that were answered, streams when they end.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const dropped = new Counter({
    name: 'agui_runner_http_connections_dropped_total',
    help: 'Connections above the limit, hung up on at once.',
    registers,
  })
  return [
    connectionDropped.subscribe(() => dropped.inc()),
    claudeStarted.subscribe(() => started.inc()),
    claudeExited.subscribe(({ wanted }) => exited.inc({ wanted: String(wanted) })),
    // Tools of the client and of MCP servers count under one label value, because they can have any number of names.
    policyDenied.subscribe(({ by, what, gate = '' }) =>
      denied.inc({ by, what: what.startsWith('mcp__') ? 'mcp' : what, gate }),
    ),
    httpAnswered.subscribe(({ method, route, status }) => requests.inc({ method, route, status })),
  ]
}

function countLink(
  { Counter, Gauge }: Prom,
  registry: Registry,
  link: NonNullable<MetricSources['link']>,
): Unsubscribe[] {
  const registers = [registry]
  new Gauge({
    name: 'agui_runner_platform_link',
    help: 'Whether the link to the control plane is in this state.',
    labelNames: ['state'],
    registers,
    async collect() {
      this.reset()
      this.set({ state: (await link()).state }, 1)
    },
  })
  new Gauge({
    name: 'agui_runner_platform_behind_records',
    help: 'Records of the log that are not pushed to the control plane.',
    registers,
    async collect() {
      this.set((await link()).behind)
    },
  })
  const pushed = new Counter({
    name: 'agui_runner_platform_pushes_total',
    help: 'What was pushed to the control plane; taken is false for what it refused.',
    labelNames: ['to', 'taken'],
    registers,
  })
  const received = new Counter({
    name: 'agui_runner_platform_messages_total',
    help: 'Messages of the control plane that were accepted.',
    registers,
  })
  return [
    linkPushed.subscribe(({ to, isTaken }) => pushed.inc({ to, taken: String(isTaken) })),
    linkReceived.subscribe(() => received.inc()),
  ]
}

function lookUp({ Counter, Gauge }: Prom, registry: Registry, sources: MetricSources): void {
  const registers = [registry]
  new Gauge({
    name: 'agui_runner_threads',
    help: 'Threads that are known, by state.',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset()
      for (const [state, count] of Object.entries(sources.threads())) this.set({ state }, count)
    },
  })
  new Counter({
    name: 'agui_runner_egress_decisions_total',
    help: 'Connections and requests of the agent that the policy has judged, by what became of them.',
    labelNames: ['verdict'],
    registers,
    collect() {
      this.reset()
      for (const [verdict, count] of Object.entries(sources.egress())) this.inc({ verdict }, count)
    },
  })
  const gauge = (name: string, help: string, value: () => number | Promise<number>): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await value())
      },
    })
  }
  gauge('agui_runner_queued_runs', 'Runs that wait behind another.', () => sources.queued().total)
  gauge(
    'agui_runner_queue_length_max',
    'Runs that wait on the thread where most do.',
    () => sources.queued().longest,
  )
  gauge('agui_runner_claude_warm', 'Claude Code processes that stand ready.', () => sources.warm())
  gauge('agui_runner_reader_lag_records_max', 'Records that the slowest reader is behind.', async () =>
    Math.max(0, ...(await sources.lags())),
  )
  gauge('agui_runner_reader_lag_records', 'Records that all readers together are behind.', async () =>
    (await sources.lags()).reduce((sum, lag) => sum + lag, 0),
  )
  gauge('agui_runner_log_size_bytes', 'Bytes of the store that are in use.', () => sources.logBytes())
}

/** Measures the process under the names of every Prometheus client, so that existing dashboards fit. */
function measureProcess({ Gauge, Counter }: Prom, registry: Registry, loop: IntervalHistogram): void {
  const registers = [registry]
  new Gauge({
    name: 'agui_runner_event_loop_delay_seconds',
    help: 'Delay of the event loop since the last time this was read.',
    labelNames: ['percentile'],
    registers,
    collect() {
      // The histogram includes its own sampling interval. Only the time above it is delay.
      const delay = (nanoseconds: number): number =>
        Math.max(0, nanoseconds / NANOSECONDS - LOOP_RESOLUTION_MS / 1000) || 0
      this.set({ percentile: '50' }, delay(loop.percentile(50)))
      this.set({ percentile: '99' }, delay(loop.percentile(99)))
      this.set({ percentile: '100' }, delay(loop.max))
      loop.reset()
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers,
    collect() {
      this.set(Math.round(Date.now() / 1000 - process.uptime()))
    },
  })
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
}
