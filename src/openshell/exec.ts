import { setTimeout as delay } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { Gateway } from './gateway-client.ts'
import { GatewayFailure, isFailure } from './gateway-failure.ts'
import type { RequestOf } from './service.ts'

export interface ExecPace {
  /** Attempts behind the first one, as the platform has it. */
  retries: number
  /** Milliseconds between two. */
  pause: number
  /** A stream that stood for so many milliseconds was no failed attempt. */
  stood: number
}

export const EXEC_PACE: ExecPace = { retries: 30, pause: 2000, stood: 60_000 }

export interface ExecWants {
  signal: AbortSignal
  onOutput(data: Uint8Array, name: 'stdout' | 'stderr'): void
}

/** What no further attempt changes. Everything else may be a gateway that starts anew, or a supervisor that is away. */
const FINAL: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNIMPLEMENTED,
  status.OUT_OF_RANGE,
])

/** Runs a command once. @returns its exit code. @throws {GatewayFailure} when the stream breaks; the command may run on. */
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
 * Runs a command that knows when it runs already: a broken stream does not end it, so the next attempt of a runner's
 * entrypoint waits for the first one and exits as that does.
 *
 * @returns its exit code; undefined when the sandbox is gone.
 * @throws {GatewayFailure} the last one, when no attempt is left.
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
