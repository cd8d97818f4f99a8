import { setTimeout as delay } from 'node:timers/promises'
import { RunnerError } from '../errors.ts'
import { within } from '../within.ts'
import type { Gateway } from './gateway-client.ts'
import { isFailure } from './gateway-failure.ts'
import { structMessage } from './policy-message.ts'
import { RUN_LABEL, SANDBOX_LABEL, type SandboxPlan } from './sandbox-plan.ts'
import { inWorkspace, named, type Sandbox, type SandboxName } from './service.ts'

/** The pauses and limits around a sandbox, in milliseconds. */
export interface SandboxPace {
  /** Pause between two polls. */
  look: number
  /** Limit until the sandbox is ready. */
  ready: number
  /** Shortest time in ERROR that counts as a failure: a driver that tries again shows ERROR meanwhile. */
  error: number
  /** Limit until the sandbox is removed. */
  gone: number
}

export const SANDBOX_PACE: SandboxPace = { look: 2000, ready: 600_000, error: 15_000, gone: 90_000 }

/**
 * The sandbox's main process. Versions differ in the default: nothing, or a login shell. The launched command is an
 * exec beside it, whose output is returned and which can be started again.
 */
const MAIN_PROCESS = ['sleep', 'infinity']

/**
 * Creates the sandbox, or takes one of this name that an earlier launch created. `run` is the id of this launch.
 *
 * @throws {RunnerError} `sandbox_failed` when a sandbox that is not ours has the name.
 * @throws {GatewayFailure}
 */
export async function provideSandbox(
  gateway: Gateway,
  plan: SandboxPlan,
  { run, signal }: { run: string; signal: AbortSignal },
): Promise<{ sandbox: Sandbox; isMade: boolean }> {
  const { name, workspace, image, environment, driverConfig, providers, attached, policy } = plan
  const template = {
    image,
    ...(Object.keys(driverConfig).length === 0 ? {} : { driver_config: structMessage(driverConfig) }),
  }
  const spec = {
    command: MAIN_PROCESS,
    environment,
    template,
    providers: [...providers.map((provider) => provider.name), ...attached],
    ...(policy === undefined ? {} : { policy }),
  }
  const labels = { ...plan.labels, [SANDBOX_LABEL]: name, [RUN_LABEL]: run }
  const request = { name, spec, labels, ...inWorkspace(workspace) }
  try {
    const sandbox = await gateway.call('CreateSandbox', request, signal)
    return { sandbox, isMade: true }
  } catch (error) {
    // The name is also taken when the answer to a first attempt was lost.
    if (!isFailure(error, 'taken')) throw error
  }
  const sandbox = await gateway.call('GetSandbox', named(plan), signal)
  if (!isOurs(sandbox))
    throw failed(`The name ${name} is taken by a sandbox that no launch of agui-runner made; choose another`)
  return { sandbox, isMade: sandbox.labels[RUN_LABEL] === run }
}

/** Whether a launch of agui-runner created the sandbox. */
export function isOurs({ name, labels }: Sandbox): boolean {
  return labels[SANDBOX_LABEL] === name
}

/**
 * Waits until the sandbox is ready. Starts it when it is stopped.
 *
 * @throws {RunnerError} `sandbox_failed` when it has failed, is being deleted, or takes too long.
 * @throws {GatewayFailure}
 */
export async function untilReady(
  gateway: Gateway,
  at: SandboxName,
  { pace, signal: outer }: { pace: SandboxPace; signal: AbortSignal },
): Promise<Sandbox> {
  let last = 'not seen'
  let failedAt: number | undefined
  try {
    return await within({ signal: outer, timeoutMs: pace.ready }, async (signal) => {
      for (;;) {
        const sandbox = await lookAt(gateway, at, signal)
        if (sandbox?.phase === 'READY') return sandbox
        last = sandbox === undefined ? last : stateText(sandbox)
        failedAt = sandbox?.phase === 'ERROR' ? (failedAt ?? performance.now()) : undefined
        if (failedAt !== undefined && performance.now() - failedAt >= pace.error)
          throw failed(`The sandbox ${at.name} is ${last}`)
        if (sandbox?.phase === 'DELETING') throw failed(`The sandbox ${at.name} is being deleted`)
        if (sandbox?.phase === 'COMPLETED') throw failed(`The sandbox ${at.name} has ended by itself`)
        if (sandbox?.phase === 'STOPPED') await startSandbox(gateway, at, signal)
        await delay(pace.look, undefined, { signal })
      }
    })
  } catch (error) {
    if (outer.aborted || !(error instanceof Error) || !isLate(error)) throw error
    throw failed(
      `The sandbox ${at.name} is not ready after ${Math.round(pace.ready / 1000)} seconds; it is ${last}`,
    )
  }
}

/** Starts the sandbox. A refusal by a gateway that has started it already is no failure: its first answer may be lost. */
async function startSandbox(gateway: Gateway, at: SandboxName, signal: AbortSignal): Promise<void> {
  try {
    await gateway.call('StartSandbox', named(at), signal)
  } catch (error) {
    const isStarted = isFailure(error, 'refused') && (await lookAt(gateway, at, signal))?.phase !== 'STOPPED'
    if (!isStarted) throw error
  }
}

/** Returns undefined when the gateway cannot answer now. */
async function lookAt(gateway: Gateway, at: SandboxName, signal: AbortSignal): Promise<Sandbox | undefined> {
  try {
    return await gateway.call('GetSandbox', named(at), signal)
  } catch (error) {
    if (isFailure(error, 'again')) return undefined
    if (isFailure(error, 'absent')) throw failed(`The sandbox ${at.name} is gone; somebody deleted it`)
    throw error
  }
}

/** Returns undefined when there is no such sandbox. @throws {GatewayFailure} */
export async function findSandbox(
  gateway: Gateway,
  at: SandboxName,
  signal: AbortSignal,
): Promise<Sandbox | undefined> {
  try {
    return await gateway.call('GetSandbox', named(at), signal)
  } catch (error) {
    if (isFailure(error, 'absent')) return undefined
    throw error
  }
}

/**
 * Deletes the sandbox and waits until it is removed.
 *
 * @throws {RunnerError} `sandbox_failed` when that takes too long. @throws {GatewayFailure}
 */
export async function removeSandbox(
  gateway: Gateway,
  at: SandboxName,
  { pace, signal: outer }: { pace: SandboxPace; signal: AbortSignal },
): Promise<void> {
  try {
    await within({ signal: outer, timeoutMs: pace.gone }, async (signal) => {
      await gateway.call('DeleteSandbox', named(at), signal)
      while ((await findSandbox(gateway, at, signal)) !== undefined)
        await delay(pace.look, undefined, { signal })
    })
  } catch (error) {
    if (isFailure(error, 'absent')) return
    if (outer.aborted || !(error instanceof Error) || !isLate(error)) throw error
    throw failed(`The sandbox ${at.name} is not gone after ${Math.round(pace.gone / 1000)} seconds`)
  }
}

/** Returns phase and conditions as text, such as `ERROR (ImagePullFailed: no such image)`. */
export function stateText({ phase, conditions }: Sandbox): string {
  const words = conditions
    .filter(({ status, message }) => status.toLowerCase() !== 'true' && message !== '')
    .map(({ reason, message }) => (reason === '' ? message : `${reason}: ${message}`))
  return words.length === 0 ? phase : `${phase} (${words.join('; ')})`
}

function isLate(error: Error): boolean {
  return error.name === 'TimeoutError' || error.name === 'AbortError'
}

function failed(message: string): RunnerError {
  return new RunnerError('sandbox_failed', `${message}.`)
}
