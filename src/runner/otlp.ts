import type { Config } from '../config.ts'
import type { ModelRouteKind } from '../model-route/route-kind.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

interface OtlpParts {
  config: Pick<Config, 'otlp' | 'limits'>
  version: string
  logger: Logger
  metrics(): Promise<Metrics>
  /** Undefined where no run is. */
  routeKind?: ModelRouteKind
}

/** Of what a stop may take. */
const FLUSH_MS = 2000
const AGENT_NAME = 'Claude Code'

/** Sends traces and metrics where the environment says; nothing is loaded when it says nowhere. Returns what ends it. */
export async function startOtlp({
  config,
  version,
  logger,
  metrics,
  routeKind,
}: OtlpParts): Promise<() => Promise<void>> {
  const { otlp, limits } = config
  if (otlp === undefined) return async () => undefined
  const { openOtlp } = await import('../telemetry/otlp.ts')
  return openOtlp({
    version,
    logger,
    agentName: AGENT_NAME,
    provider: providerOf(routeKind),
    capturesContent: otlp.capturesContent,
    traces: otlp.traces && routeKind !== undefined,
    metrics: otlp.metrics ? metrics : undefined,
    metricsIntervalMs: otlp.metricsIntervalMs,
    flushMs: Math.min(FLUSH_MS, limits.shutdownGraceMs / 2),
  })
}

/** By the names of OpenTelemetry's conventions. */
function providerOf(kind: ModelRouteKind | undefined): string {
  if (kind === 'bedrock') return 'aws.bedrock'
  return kind === 'vertex' ? 'gcp.vertex_ai' : 'anthropic'
}
