import { randomUUID } from 'node:crypto'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { detectResources, envDetector, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { HttpsProxyAgent } from 'https-proxy-agent'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { otlpMetrics } from './otlp-metrics.ts'
import { type RunSpansOptions, traceRuns } from './run-spans.ts'

export interface OtlpOptions extends Pick<RunSpansOptions, 'agentName' | 'provider' | 'capturesContent'> {
  version: string
  logger: Logger
  /** How to reach the collector of traces; undefined when traces are not exported. `metrics` likewise. */
  traces: OtlpWay | undefined
  metrics: (OtlpWay & { intervalMs: number; read(): Promise<Metrics> }) | undefined
  /** How long the last spans and metrics may take to leave, in milliseconds. */
  flushMs: number
}

export interface OtlpWay {
  /** The proxy on the way to the collector; undefined for a direct connection. */
  proxy: { url: string; headers: Record<string, string> } | undefined
}

const NAME = 'agui-runner'
/** Time limit of one export attempt. Later data waits in a small queue meanwhile, so the limit is short. */
const EXPORT_TIMEOUT_MS = 5000

/**
 * Sends traces and metrics to an OpenTelemetry collector, as the standard variables say (docs/traces.md). This file is
 * loaded only when a collector is configured. A collector that is slow, stopped or refuses loses data and nothing else:
 * the pending data is bounded, and no run waits for it.
 *
 * @returns a function that sends the remaining data within `flushMs` and ends the export.
 */
export function openOtlp(options: OtlpOptions): () => Promise<void> {
  const endHearing = hearProblems(options.logger)
  const own = {
    'service.name': NAME,
    'service.version': options.version,
    'service.instance.id': randomUUID(),
  }
  const resource = resourceFromAttributes(own).merge(detectResources({ detectors: [envDetector] }))
  const closers = [
    ...(options.traces === undefined ? [] : [openTraces(options, options.traces, resource)]),
    ...(options.metrics === undefined ? [] : [openMetricsExport(options, options.metrics, resource)]),
  ]
  endHearing()
  return async () => {
    const late = new Promise<void>((resolve) => setTimeout(resolve, options.flushMs).unref())
    // A failed export has been logged when it was tried.
    await Promise.race([late, Promise.allSettled(closers.map((close) => close()))])
  }
}

/**
 * Logs what the SDK finds wrong in its variables, since it goes on with its defaults. Failed exports are logged by
 * `logLosses`. @returns a function that ends this.
 */
function hearProblems(logger: Logger): () => void {
  const said = new Set<string>()
  const warn = (problem: string): void => {
    if (!said.has(problem)) logger.warn({ problem }, 'a variable of OpenTelemetry is not used as it is')
    said.add(problem)
  }
  const nothing = (): void => undefined
  const listener = { error: warn, warn, info: nothing, debug: nothing, verbose: nothing }
  diag.setLogger(listener, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  return () => diag.disable()
}

function openTraces(
  { logger, version, ...options }: OtlpOptions,
  way: OtlpWay,
  resource: Resource,
): () => Promise<void> {
  const exporter = new OTLPTraceExporter(exporterOptions(way))
  logLosses(exporter, { what: 'spans', logger })
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] })
  const propagator = new W3CTraceContextPropagator()
  const unsubscribe = traceRuns({ ...options, tracer: provider.getTracer(NAME, version), propagator })
  return () => {
    unsubscribe()
    return provider.shutdown()
  }
}

function openMetricsExport(
  { logger }: OtlpOptions,
  { intervalMs, read, ...way }: NonNullable<OtlpOptions['metrics']>,
  resource: Resource,
): () => Promise<void> {
  const exporter = new OTLPMetricExporter(exporterOptions(way))
  logLosses(exporter, { what: 'metrics', logger })
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, EXPORT_TIMEOUT_MS),
    metricProducers: [otlpMetrics(read, NAME)],
  })
  const provider = new MeterProvider({ resource, readers: [reader] })
  return () => provider.shutdown()
}

function exporterOptions({ proxy }: OtlpWay) {
  if (proxy === undefined) return { timeoutMillis: EXPORT_TIMEOUT_MS }
  // A tunnel is used for http collectors as well, because the data is not for the proxy's eyes.
  const agent = new HttpsProxyAgent(proxy.url, { headers: proxy.headers, keepAlive: true })
  return { timeoutMillis: EXPORT_TIMEOUT_MS, httpAgentOptions: () => agent }
}

interface Exporter<T> {
  export(items: T, done: (result: ExportResult) => void): void
}

/** Logs once when the collector stops accepting data, and once when it accepts again. */
function logLosses<T>(exporter: Exporter<T>, { what, logger }: { what: string; logger: Logger }): void {
  const send = exporter.export.bind(exporter)
  let isLost = false
  exporter.export = (items, done) =>
    send(items, (result) => {
      const { code, error } = result
      if (code === ExportResultCode.SUCCESS && isLost) logger.info(`the collector takes ${what} again`)
      if (code === ExportResultCode.FAILED && !isLost)
        logger.warn({ reason: error?.message }, `the collector does not take ${what}: they are lost`)
      isLost = code === ExportResultCode.FAILED
      done(result)
    })
}
