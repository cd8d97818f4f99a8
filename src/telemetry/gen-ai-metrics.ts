import type * as PromClient from 'prom-client'
import { modelAsked } from '../channels.ts'

/**
 * OpenTelemetry's own metrics of requests to models
 * (https://github.com/open-telemetry/semantic-conventions-genai, "gen-ai-metrics"): the name in Prometheus, the name
 * and the unit in OpenTelemetry, and the bucket bounds that the convention asks for.
 */
const TOKENS = {
  prometheus: 'gen_ai_client_token_usage',
  name: 'gen_ai.client.token.usage',
  unit: '{token}',
  buckets: Array.from({ length: 14 }, (_, at) => 4 ** at),
}
const DURATION = {
  prometheus: 'gen_ai_client_operation_duration_seconds',
  name: 'gen_ai.client.operation.duration',
  unit: 's',
  buckets: Array.from({ length: 14 }, (_, at) => 2 ** at / 100),
}
const LABELS = [
  'gen_ai_operation_name',
  'gen_ai_provider_name',
  'gen_ai_request_model',
  'gen_ai_response_model',
]

/**
 * Counts each request to a model when it ends. The output tokens of a subagent's requests are not known. Returns the
 * functions that unsubscribe.
 */
export function countModelCalls(
  { Histogram }: Pick<typeof PromClient, 'Histogram'>,
  registry: PromClient.Registry,
  provider: string,
): (() => void)[] {
  const registers = [registry]
  const tokens = new Histogram({
    name: TOKENS.prometheus,
    help: 'Number of input and output tokens used.',
    labelNames: [...LABELS, 'gen_ai_token_type'],
    buckets: TOKENS.buckets,
    registers,
  })
  const duration = new Histogram({
    name: DURATION.prometheus,
    help: 'GenAI operation duration.',
    labelNames: [...LABELS, 'error_type'],
    buckets: DURATION.buckets,
    registers,
  })
  return [
    modelAsked.subscribe(({ call: { model, startedAt, endedAt, usage, error } }) => {
      const labels = {
        gen_ai_operation_name: 'chat',
        gen_ai_provider_name: provider,
        ...(model !== undefined && { gen_ai_request_model: model, gen_ai_response_model: model }),
      }
      duration.observe(
        { ...labels, ...(error !== undefined && { error_type: error }) },
        (endedAt - startedAt) / 1000,
      )
      for (const [type, count] of [
        ['input', usage?.inputTokens],
        ['output', usage?.outputTokens],
      ] as const)
        if (count !== undefined) tokens.observe({ ...labels, gen_ai_token_type: type }, count)
    }),
  ]
}

const BY_PROMETHEUS = new Map([TOKENS, DURATION].map((metric) => [metric.prometheus, metric]))

/** Returns OpenTelemetry's name and unit of a metric, and undefined for one of the runner's own. */
export function conventional(prometheus: string): { name: string; unit: string } | undefined {
  return BY_PROMETHEUS.get(prometheus)
}

/** Returns the OpenTelemetry attribute of one of these labels. */
export function attributeOf(label: string): string {
  return label.replaceAll('_', '.').replace(/^gen\.ai\./, 'gen_ai.')
}
