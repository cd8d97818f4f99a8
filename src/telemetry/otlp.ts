import { randomUUID } from 'node:crypto'
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
  /** How each is sent; undefined for what is not. */
  traces: OtlpWay | undefined
  metrics: (OtlpWay & { intervalMs: number; read(): Promise<Metrics> }) | undefined
  /** How long the last spans and metrics may take to leave, in milliseconds. */
  flushMs: number
}

export interface OtlpWay {
  /** The proxy that leads to the collector; undefined for none. */
  proxy: { url: string; headers: Record<string, string> } | undefined
}

const NAME = 'agui-runner'
/** An attempt to export is given up then: the queue behind it is short. */
const EXPORT_TIMEOUT_MS = 5000

/**
 * Sends traces and metrics to an OpenTelemetry collector, as the standard variables say (docs/traces.md). This file is
 * loaded when there is one. A collector that is slow, stopped or refuses costs what it does not take, and nothing else:
 * what waits is bounded, and nobody waits for it.
 *
 * @returns what sends the rest, as far as the time allows, and ends it.
 */
export function openOtlp(options: OtlpOptions): () => Promise<void> {
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
  return async () => {
    const late = new Promise<void>((resolve) => setTimeout(resolve, options.flushMs).unref())
    // Why something did not leave was said when it was tried.
    await Promise.race([late, Promise.allSettled(closers.map((close) => close()))])
  }
}

function openTraces(
  { logger, version, ...options }: OtlpOptions,
  way: OtlpWay,
  resource: Resource,
): () => Promise<void> {
  const exporter = new OTLPTraceExporter(exporterOptions(way))
  told(exporter, { what: 'spans', logger })
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
  told(exporter, { what: 'metrics', logger })
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
  // The same for http: what is sent is not for the proxy.
  const agent = new HttpsProxyAgent(proxy.url, { headers: proxy.headers, keepAlive: true })
  return { timeoutMillis: EXPORT_TIMEOUT_MS, httpAgentOptions: () => agent }
}

interface Exporter<T> {
  export(items: T, done: (result: ExportResult) => void): void
}

/** The log hears of it once when the collector stops taking, and once when it takes again. */
function told<T>(exporter: Exporter<T>, { what, logger }: { what: string; logger: Logger }): void {
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
