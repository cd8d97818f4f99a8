import type { Attributes, HrTime } from '@opentelemetry/api'
import { millisToHrTime } from '@opentelemetry/core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import { z } from 'zod'
import { attributeOf, conventional } from './gen-ai-metrics.ts'
import type { Metrics } from './metrics.ts'

const Labels = z.record(z.string(), z.union([z.string(), z.number()]))
const Value = z.object({ value: z.number(), labels: Labels, metricName: z.string().optional() })
/** A metric as prom-client's registry returns it. */
const Metric = z.object({
  name: z.string(),
  help: z.string(),
  type: z.enum(['counter', 'gauge', 'histogram']),
  values: z.array(Value),
})
type Value = z.infer<typeof Value>
type Metric = z.infer<typeof Metric>

/**
 * Produces the metrics of `GET /metrics` for OTLP, from the same registry. The names are the same, except for metrics
 * that OpenTelemetry's conventions name.
 */
export function otlpMetrics(metrics: () => Promise<Metrics>, name: string): MetricProducer {
  const startTime = millisToHrTime(Date.now())
  return {
    async collect(): Promise<CollectionResult> {
      const all = z.array(Metric).parse(await (await metrics()).collect())
      const span = { startTime, endTime: millisToHrTime(Date.now()) }
      const data = all.map((metric) => toMetricData(metric, span))
      return {
        resourceMetrics: {
          resource: resourceFromAttributes({}),
          scopeMetrics: [{ scope: { name }, metrics: data }],
        },
        errors: [],
      }
    },
  }
}

interface TimeSpan {
  startTime: HrTime
  endTime: HrTime
}

function toMetricData(metric: Metric, span: TimeSpan): MetricData {
  const { help, type } = metric
  const known = conventional(metric.name)
  const { name, unit } = known ?? { name: metric.name, unit: unitOf(metric.name) }
  const values = known === undefined ? metric.values : metric.values.map(withAttributes)
  const base = {
    descriptor: { name, description: help, unit, valueType: 1 },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  if (type === 'histogram') {
    return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms(values, span) }
  }
  const dataPoints = values.map(({ value, labels: attributes }) => ({ ...span, attributes, value }))
  return type === 'counter'
    ? { ...base, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: true }
    : { ...base, dataPointType: DataPointType.GAUGE, dataPoints }
}

function withAttributes({ labels, ...value }: Value): Value {
  const named = Object.entries(labels).map(([label, of]) => [label === 'le' ? label : attributeOf(label), of])
  return { ...value, labels: Object.fromEntries(named) }
}

/** Returns the unit that the suffix of the name stands for. */
function unitOf(name: string): string {
  if (/_seconds(?:_total)?$/.test(name)) return 's'
  return /_bytes(?:_total)?$/.test(name) ? 'By' : '1'
}

/** Converts histograms. Prometheus counts the values at or below each bound, OTLP those between two bounds. */
function histograms(values: readonly Value[], span: TimeSpan): DataPoint<Histogram>[] {
  const groups = new Map<string, { attributes: Attributes; sum: number; upTo: [number, number][] }>()
  for (const { value, labels, metricName = '' } of values) {
    const { le, ...attributes } = labels
    const key = JSON.stringify(attributes)
    const group = groups.get(key) ?? { attributes, sum: 0, upTo: [] }
    groups.set(key, group)
    if (metricName.endsWith('_sum')) group.sum = value
    if (le !== undefined) group.upTo.push([Number(le === '+Inf' ? Number.POSITIVE_INFINITY : le), value])
  }
  return [...groups.values()].map(({ attributes, sum, upTo }) => {
    const ordered = upTo.sort(([one], [other]) => one - other)
    const counts = ordered.map(([, count], at) => count - (ordered[at - 1]?.[1] ?? 0))
    const boundaries = ordered.map(([bound]) => bound).filter(Number.isFinite)
    const count = ordered.at(-1)?.[1] ?? 0
    return { ...span, attributes, value: { buckets: { boundaries, counts }, count, sum } }
  })
}
