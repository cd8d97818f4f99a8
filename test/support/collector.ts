// An OTLP/HTTP collector on loopback. It decodes with what OpenTelemetry's own .proto files were compiled to, which is no
// part of the exporter that encodes.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'

const TRACES = 'opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest'
const METRICS = 'opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest'

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
  /** Ids of the spans that it is linked with. */
  links: string[]
  resource: Record<string, unknown>
}

interface CollectedMetric {
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
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_BSP_SCHEDULE_DELAY: '20',
    OTEL_METRIC_EXPORT_INTERVAL: '200',
  }
}

/** What a message type of protobufjs can do. */
const Decoder = z.object({
  decode: z.custom<(bytes: Uint8Array) => object>(),
  toObject: z.custom<(message: object, options: object) => unknown>(),
})

const generated: unknown = createRequire(import.meta.url)('otlp-decoder/build/src/generated/root')

function decode(type: string, bytes: Uint8Array): unknown {
  let named = generated
  for (const name of type.split('.')) named = Object(named)[name]
  const { decode: read, toObject } = Decoder.parse(Object.assign({}, named))
  return toObject(read(bytes), { longs: Number, arrays: true })
}

const Value: z.ZodType<unknown> = z.lazy(() =>
  z.union([
    z.object({ stringValue: z.string() }).transform((it) => it.stringValue),
    z.object({ intValue: z.number() }).transform((it) => it.intValue),
    z.object({ doubleValue: z.number() }).transform((it) => it.doubleValue),
    z.object({ boolValue: z.boolean() }).transform((it) => it.boolValue),
    z.object({ arrayValue: z.object({ values: z.array(Value) }) }).transform((it) => it.arrayValue.values),
  ]),
)
const Attributes = z
  .array(z.object({ key: z.string(), value: Value }))
  .transform((pairs) => Object.fromEntries(pairs.map(({ key, value }) => [key, value])))
const Id = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array)
  .optional()
  .transform((bytes) => Buffer.from(bytes ?? []).toString('hex'))
const Nanoseconds = z.number().transform((nanoseconds) => nanoseconds / 1e6)

const Traces = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: Attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              name: z.string(),
              ...{ traceId: Id, spanId: Id, parentSpanId: Id },
              kind: z.number(),
              ...{ startTimeUnixNano: Nanoseconds, endTimeUnixNano: Nanoseconds },
              status: z.object({ code: z.number().default(0) }).optional(),
              attributes: Attributes,
              events: z.array(z.object({ name: z.string() })),
              links: z.array(z.object({ spanId: Id })),
            }),
          ),
        }),
      ),
    }),
  ),
})

function spansOf(bytes: Buffer): CollectedSpan[] {
  return Traces.parse(decode(TRACES, bytes)).resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map(({ startTimeUnixNano: startMs, endTimeUnixNano: endMs, status, events, links, ...span }) => ({
        ...span,
        ...{ startMs, endMs, status: status?.code ?? 0, resource: resource.attributes },
        events: events.map(({ name }) => name),
        links: links.map(({ spanId }) => spanId),
      })),
  )
}

const Points = z.object({
  dataPoints: z.array(
    z.object({
      attributes: Attributes,
      asDouble: z.number().optional(),
      asInt: z.number().optional(),
      sum: z.number().optional(),
      bucketCounts: z.array(z.number()).default([]),
      explicitBounds: z.array(z.number()).default([]),
    }),
  ),
})
const Metrics = z.object({
  resourceMetrics: z.array(
    z.object({
      scopeMetrics: z.array(
        z.object({
          metrics: z.array(
            z.object({
              name: z.string(),
              unit: z.string().default(''),
              ...{ sum: Points.optional(), gauge: Points.optional(), histogram: Points.optional() },
            }),
          ),
        }),
      ),
    }),
  ),
})

function metricsOf(bytes: Buffer): CollectedMetric[] {
  const { resourceMetrics } = Metrics.parse(decode(METRICS, bytes))
  const all = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
  return all.flatMap(({ name, unit, ...kinds }) =>
    Object.entries(kinds).flatMap(([kind, data]) =>
      data === undefined
        ? []
        : [
            {
              ...{ name, unit, kind },
              points: data.dataPoints.map(
                ({ attributes, asDouble, asInt, sum, bucketCounts, explicitBounds }) => ({
                  ...{ attributes, value: asDouble ?? asInt ?? sum ?? Number.NaN },
                  ...{ counts: bucketCounts, bounds: explicitBounds },
                }),
              ),
            },
          ],
    ),
  )
}
