// An OTLP/HTTP collector on loopback. It decodes with what OpenTelemetry's own .proto files were compiled to, which is no
// part of the exporter that encodes.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
// The package is CommonJS.
import root from 'otlp-decoder/build/src/generated/root.js'

const { trace, metrics } = root.opentelemetry.proto.collector
const TraceRequest = trace.v1.ExportTraceServiceRequest
const MetricsRequest = metrics.v1.ExportMetricsServiceRequest

export interface CollectedSpan {
  name: string
  traceId: string
  spanId: string
  parentSpanId: string
  kind: number
  startMs: number
  endMs: number
  /** 2 is an error. */
  status: number
  attributes: Record<string, unknown>
  events: string[]
  resource: Record<string, unknown>
}

export interface CollectedMetric {
  name: string
  unit: string
  /** `sum`, `gauge` or `histogram`. */
  kind: string
  points: { attributes: Record<string, unknown>; value: number; counts: number[]; bounds: number[] }[]
}

export interface Collector {
  readonly url: string
  readonly spans: readonly CollectedSpan[]
  readonly requests: readonly { path: string; headers: IncomingMessage['headers'] }[]
  /** How requests are answered from now on: as a collector does, with this status, or never. */
  answer: 'take' | number | 'hang'
  /** All spans, as soon as `test` holds for them. */
  spansWhen(test: (spans: readonly CollectedSpan[]) => boolean): Promise<readonly CollectedSpan[]>
  /** Resolves with the next metrics for which `test` holds. */
  metricsWhen(test: (metrics: readonly CollectedMetric[]) => boolean): Promise<readonly CollectedMetric[]>
  /** Resolves when so many requests have come, answered or not. */
  requested(count: number): Promise<void>
  close(): Promise<void>
}

export async function openCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = []
  const requests: { path: string; headers: IncomingMessage['headers'] }[] = []
  let lastMetrics: CollectedMetric[] = []
  const waiting = new Set<() => void>()
  const once = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const check = (): void => {
        const found = look()
        if (found === undefined) return
        waiting.delete(check)
        resolve(found)
      }
      waiting.add(check)
      check()
    })
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const raw = await buffer(request)
    const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
    requests.push({ path: request.url ?? '', headers: request.headers })
    if (collector.answer === 'take') {
      if (request.url?.endsWith('/v1/traces')) spans.push(...spansOf(bytes))
      else lastMetrics = metricsOf(bytes)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    } else if (collector.answer !== 'hang') response.writeHead(collector.answer).end()
    for (const check of waiting) check()
  }
  const server = createServer((request, response) => void take(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const collector: Collector = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    spans,
    requests,
    answer: 'take',
    spansWhen: (test) => once(() => (test(spans) ? spans : undefined)),
    metricsWhen: (test) => once(() => (test(lastMetrics) ? lastMetrics : undefined)),
    requested: (count) => once(() => (requests.length >= count ? null : undefined)).then(() => undefined),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return collector
}

/** What `agui-runner` is told of it; it sends soon. */
export function collectedBy({ url }: Collector): Record<string, string> {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_METRIC_EXPORT_INTERVAL: '200' }
}

const MS = 1e6

function spansOf(bytes: Buffer): CollectedSpan[] {
  const { resourceSpans = [] } = TraceRequest.toObject(TraceRequest.decode(bytes), { longs: Number, arrays: true })
  // biome-ignore lint/suspicious/noExplicitAny: protobufjs has no type for the plain form; all that is used is read by name
  return resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    // biome-ignore lint/suspicious/noExplicitAny: the same
    scopeSpans.flatMap((scope: any) =>
      // biome-ignore lint/suspicious/noExplicitAny: the same
      scope.spans.map((span: any) => ({
        name: span.name,
        traceId: Buffer.from(span.traceId).toString('hex'),
        spanId: Buffer.from(span.spanId).toString('hex'),
        parentSpanId: Buffer.from(span.parentSpanId ?? []).toString('hex'),
        kind: span.kind,
        startMs: span.startTimeUnixNano / MS,
        endMs: span.endTimeUnixNano / MS,
        status: span.status?.code ?? 0,
        attributes: attributesOf(span.attributes),
        // biome-ignore lint/suspicious/noExplicitAny: the same
        events: span.events.map((event: any) => event.name),
        resource: attributesOf(resource.attributes),
      })),
    ),
  )
}

function metricsOf(bytes: Buffer): CollectedMetric[] {
  const { resourceMetrics = [] } = MetricsRequest.toObject(MetricsRequest.decode(bytes), {
    longs: Number,
    arrays: true,
  })
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return resourceMetrics.flatMap(({ scopeMetrics }: any) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    scopeMetrics.flatMap((scope: any) =>
      // biome-ignore lint/suspicious/noExplicitAny: as above
      scope.metrics.map((metric: any) => {
        const kind = ['sum', 'gauge', 'histogram'].find((each) => metric[each] !== undefined) ?? ''
        return {
          name: metric.name,
          unit: metric.unit,
          kind,
          // biome-ignore lint/suspicious/noExplicitAny: as above
          points: metric[kind].dataPoints.map((point: any) => ({
            attributes: attributesOf(point.attributes),
            value: point.asDouble ?? point.asInt ?? point.sum,
            counts: point.bucketCounts ?? [],
            bounds: point.explicitBounds ?? [],
          })),
        }
      }),
    ),
  )
}

// biome-ignore lint/suspicious/noExplicitAny: as above
function attributesOf(pairs: any[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, valueOf(value)]))
}

// biome-ignore lint/suspicious/noExplicitAny: as above
function valueOf(value: any): unknown {
  if (value?.arrayValue !== undefined) return value.arrayValue.values.map(valueOf)
  return value?.stringValue ?? value?.intValue ?? value?.doubleValue ?? value?.boolValue
}
