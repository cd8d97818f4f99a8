import { z } from 'zod'
import { durationField, emptyIsUnset, flagField, oneOfField } from './config-fields.ts'

const endpoint = z.preprocess(
  emptyIsUnset,
  z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
)
const exporter = oneOfField(['otlp', 'none'])
const protocol = z.preprocess(
  emptyIsUnset,
  z.enum(['http/protobuf'], 'must be http/protobuf, the one that is spoken here').optional(),
)
const capture = z.preprocess(
  (value) => (typeof value === 'string' && value !== '' ? value.toLowerCase() : undefined),
  z
    .enum(['false', 'no_content', 'event_only', 'true', 'span_only', 'span_and_event'], {
      error: 'must be true, false, no_content, span_only, event_only or span_and_event',
    })
    .default('false'),
)

/** OpenTelemetry's variables that the runner itself reads. The exporter reads the others (docs/traces.md). */
export const OTLP_FIELDS = {
  OTEL_SDK_DISABLED: flagField,
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol,
  OTEL_TRACES_EXPORTER: exporter,
  OTEL_METRICS_EXPORTER: exporter,
  OTEL_METRIC_EXPORT_INTERVAL: durationField(60_000, { min: 100 }),
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: capture,
} as const

export interface OtlpConfig {
  /** The collector's URL for traces, maybe without a path; undefined when they are not exported. `metrics` likewise. */
  traces: string | undefined
  metrics: string | undefined
  metricsIntervalMs: number
  /** Whether spans contain the messages and the arguments and results of tools. */
  capturesContent: boolean
}

/** Returns undefined when nothing is exported. The exporter is then never loaded. */
export function otlpOf(v: z.infer<z.ZodObject<typeof OTLP_FIELDS>>): OtlpConfig | undefined {
  if (v.OTEL_SDK_DISABLED) return undefined
  const common = v.OTEL_EXPORTER_OTLP_ENDPOINT
  const traces =
    v.OTEL_TRACES_EXPORTER === 'none' ? undefined : (v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? common)
  const metrics =
    v.OTEL_METRICS_EXPORTER === 'none' ? undefined : (v.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT ?? common)
  if (traces === undefined && metrics === undefined) return undefined
  return {
    traces,
    metrics,
    metricsIntervalMs: v.OTEL_METRIC_EXPORT_INTERVAL,
    capturesContent: ['true', 'span_only', 'span_and_event'].includes(
      v.OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT,
    ),
  }
}
