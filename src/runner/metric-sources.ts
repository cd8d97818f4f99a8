import type { PlatformLink } from '../platform-link/platform-link.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import type { EventLog } from '../storage/event-log.ts'
import type { MetricSources, Metrics } from '../telemetry/metrics.ts'
import type { ThreadState } from '../thread/thread-description.ts'
import type { Threads } from '../thread/threads.ts'

interface Counted {
  enforcement: Enforcement
  threads: Threads
  log: EventLog
  link: PlatformLink | undefined
  /** The value of `gen_ai.provider.name`. */
  provider: string
}

/** Returns a function that loads the metrics on its first call, which comes after the server listens. */
export function lazyMetrics(sources: MetricSources): () => Promise<Metrics> {
  let metrics: Promise<Metrics> | undefined
  return () => {
    metrics ??= import('../telemetry/metrics.ts').then(({ openMetrics }) => openMetrics(sources))
    return metrics
  }
}

export function runnerSources({ enforcement, threads, log, link, provider }: Counted): MetricSources {
  const queues = (): number[] => threads.list().map(({ queue }) => queue.length)
  return {
    threads() {
      const counts: Record<ThreadState, number> = { idle: 0, running: 0, interrupted: 0, failed: 0 }
      for (const { state } of threads.list()) counts[state] += 1
      return counts
    },
    queued: () => ({
      total: queues().reduce((sum, length) => sum + length, 0),
      longest: Math.max(0, ...queues()),
    }),
    warm: () => threads.list().filter(({ warm }) => warm).length,
    lags: () => log.lags(),
    logBytes: () => log.usedBytes(),
    egress: () => enforcement.counts,
    provider,
    link:
      link === undefined
        ? undefined
        : async () => ({ state: link.state().name, behind: await link.behind() }),
  }
}

/** Returns the sources of a process that only reads: it has no threads and no agents. */
export function readerSources(log: EventLog): MetricSources {
  return {
    threads: () => ({}),
    queued: () => ({ total: 0, longest: 0 }),
    warm: () => 0,
    lags: () => log.lags(),
    logBytes: () => log.usedBytes(),
    egress: () => ({}),
  }
}
