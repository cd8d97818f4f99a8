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
 * Waits until the server at `place` answers GET /health with 200, and then answers anything else: a runner that still
 * loads answers /health, and holds everything else until it can serve.
 *
 * @throws {RunnerError} `sandbox_failed` when it takes longer than `timeoutMs`.
 */
export async function untilServing(
  place: RunnerAddress,
  { signal: outer, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<void> {
  await within({ signal: outer, timeoutMs }, async (signal) => {
    while (!(await isServing(place, signal))) {
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

async function isServing(place: RunnerAddress, signal: AbortSignal): Promise<boolean> {
  if ((await statusOf('/health', place, signal)) !== 200) return false
  return (await statusOf('/capabilities', place, signal)) !== undefined
}

/** @returns the status of the answer; undefined when there is none. */
function statusOf(path: string, place: RunnerAddress, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = request({ ...place, path, signal, timeout: CALL_MS, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve(undefined))
    asked.end()
  })
}
