import type { Config, Env } from '../config.ts'
import type { ModelRouteKind } from '../model-route/route-kind.ts'
import { proxySettings } from '../proxy-settings.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OtlpWay } from '../telemetry/otlp.ts'

interface OtlpParts {
  config: Pick<Config, 'otlp' | 'limits'>
  version: string
  env: Env
  logger: Logger
  metrics(): Promise<Metrics>
  /** The kind of the model route; undefined in a process without runs. */
  routeKind?: ModelRouteKind
}

/** Upper bound of the time that the last export may take when the runner stops. */
const FLUSH_MS = 2000
const AGENT_NAME = 'Claude Code'

/**
 * Exports traces and metrics to the collector that the environment names. Loads nothing when it names none. Returns a
 * function that ends the export.
 */
export async function startOtlp(parts: OtlpParts): Promise<() => Promise<void>> {
  const { config, version, env, logger, metrics, routeKind } = parts
  const { otlp, limits } = config
  if (otlp === undefined) return async () => undefined
  const { openOtlp } = await import('../telemetry/otlp.ts')
  return openOtlp({
    version,
    logger,
    agentName: AGENT_NAME,
    provider: providerOf(routeKind),
    capturesContent: otlp.capturesContent,
    traces: otlp.traces === undefined || routeKind === undefined ? undefined : wayTo(otlp.traces, env),
    metrics:
      otlp.metrics === undefined
        ? undefined
        : { ...wayTo(otlp.metrics, env), intervalMs: otlp.metricsIntervalMs, read: metrics },
    flushMs: Math.min(FLUSH_MS, limits.shutdownGraceMs / 2),
  })
}

/** Returns how to reach a collector: through the environment's proxy, which in OpenShell is the only way out. */
function wayTo(address: string, env: Env): OtlpWay {
  const { protocol, hostname, port } = new URL(address)
  const target = { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
  const proxy = proxySettings(env).proxyFor(target)
  if (proxy === undefined) return { proxy: undefined }
  const { isSecure, host, authorization } = proxy
  const url = `${isSecure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${proxy.port}`
  return {
    proxy: { url, headers: authorization === undefined ? {} : { 'Proxy-Authorization': authorization } },
  }
}

/** Returns the provider's name in OpenTelemetry's conventions. */
export function providerOf(kind: ModelRouteKind | undefined): string {
  if (kind === 'bedrock') return 'aws.bedrock'
  return kind === 'vertex' ? 'gcp.vertex_ai' : 'anthropic'
}
