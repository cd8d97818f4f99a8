import { setTimeout as delay } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { Gateway } from './gateway-client.ts'
import { GatewayFailure, isFailure } from './gateway-failure.ts'
import type { RequestOf } from './service.ts'

export interface ExecPace {
  /** Attempts after the first one, as many as the platform makes. */
  retries: number
  /** Pause between two attempts, in milliseconds. */
  pause: number
  /** Lifetime in milliseconds from which on a stream counts as established, so the count of retries begins again. */
  stood: number
}

export const EXEC_PACE: ExecPace = { retries: 30, pause: 2000, stood: 60_000 }

export interface ExecWants {
  signal: AbortSignal
  onOutput(data: Uint8Array, name: 'stdout' | 'stderr'): void
}

/** Failures that a further attempt does not change. Any other may be a restarting gateway or an absent supervisor. */
const FINAL: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNIMPLEMENTED,
  status.OUT_OF_RANGE,
])

/**
 * Runs a command once.
 *
 * @returns its exit code.
 * @throws {GatewayFailure} when the stream breaks; the command may still run.
 */
export async function exec(
  gateway: Gateway,
  request: RequestOf<'ExecSandbox'>,
  { signal, onOutput }: ExecWants,
): Promise<number> {
  for await (const event of gateway.exec(request, signal)) {
    if ('exit' in event) return event.exit
    if ('stdout' in event) onOutput(event.stdout, 'stdout')
    else onOutput(event.stderr, 'stderr')
  }
  throw new GatewayFailure('ExecSandbox', status.UNAVAILABLE, 'the stream ended before the command did')
}

/**
 * Runs a command that may be started again while it runs. A broken stream does not end the command, so the next attempt
 * of a runner's entrypoint waits for the first one and exits with its code.
 *
 * @returns its exit code; undefined when the sandbox no longer exists.
 * @throws {GatewayFailure} the first failure that no attempt changes, or the last one when no attempt is left.
 */
export async function execUntilExit(
  gateway: Gateway,
  request: RequestOf<'ExecSandbox'>,
  { pace, onRetry, ...wants }: ExecWants & { pace: ExecPace; onRetry(failure: GatewayFailure): void },
): Promise<number | undefined> {
  for (let retries = 0; ; retries++) {
    const startedAt = performance.now()
    try {
      return await exec(gateway, request, wants)
    } catch (error) {
      if (isFailure(error, 'absent')) return undefined
      if (!(error instanceof GatewayFailure) || FINAL.has(error.code)) throw error
      if (performance.now() - startedAt >= pace.stood) retries = 0
      if (retries >= pace.retries) throw error
      onRetry(error)
    }
    await delay(pace.pause, undefined, { signal: wants.signal })
  }
}
