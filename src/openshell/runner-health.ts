import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { RunnerError } from '../errors.ts'
import { within } from '../within.ts'

/** The address of a listener on this machine. */
export type RunnerAddress = { host: string; port: number } | { socketPath: string }

/** The pause between two attempts and the limit of one, in milliseconds. */
const LOOK_MS = 250
const CALL_MS = 10_000

/**
 * Waits until the server at `place` answers GET /health with 200.
 *
 * @throws {RunnerError} `sandbox_failed` when it takes longer than `timeoutMs`.
 */
export async function untilHealthy(
  place: RunnerAddress,
  { signal: outer, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<void> {
  await within({ signal: outer, timeoutMs }, async (signal) => {
    while (!(await isHealthy(place, signal))) {
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined)
      outer.throwIfAborted()
      if (signal.aborted)
        throw new RunnerError(
          'sandbox_failed',
          `The runner does not answer GET /health after ${Math.round(timeoutMs / 1000)} seconds.`,
        )
    }
  })
}

function isHealthy(place: RunnerAddress, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      { ...place, path: '/health', signal, timeout: CALL_MS, agent: false },
      (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      },
    )
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve(false))
    asked.end()
  })
}
