import { RunnerError, toMessage } from '../errors.ts'
import { within } from '../within.ts'
import type { Gateway } from './gateway-client.ts'
import { GatewayFailure } from './gateway-failure.ts'
import { removeProviders } from './providers.ts'
import { findSandbox, isOurs, removeSandbox, type SandboxPace, stateText } from './sandbox.ts'
import { named, type Sandbox, type SandboxName } from './service.ts'

/** The state that is left at the gateway, as one word and as one sentence. */
export interface SandboxState {
  state: 'none' | 'deleted' | 'stopped' | 'left' | 'unknown'
  sentence: string
}

export interface PutAwayWants {
  pace: SandboxPace
  /** Limit of the whole cleanup, in milliseconds. */
  timeoutMs: number
  signal: AbortSignal
  /** Decides about the sandbox that the gateway reports: also a call whose answer was lost may have created it. */
  decide(found: Sandbox): 'delete' | 'stop' | 'leave'
}

/**
 * Deletes the sandbox of this name with its providers, stops it, or leaves it, as `decide` says. A failure of the
 * gateway is part of the result.
 */
export async function putAway(
  gateway: Gateway,
  at: SandboxName,
  { pace, timeoutMs, signal: outer, decide }: PutAwayWants,
): Promise<SandboxState> {
  try {
    return await within({ signal: outer, timeoutMs }, async (signal) => {
      const found = await findSandbox(gateway, at, signal)
      if (found === undefined || !isOurs(found)) {
        await removeProviders(gateway, at, signal)
        return { state: 'none', sentence: 'Nothing of it is left at the gateway.' }
      }
      const what = decide(found)
      if (what === 'leave') return left(found)
      if (what === 'stop') return await stop(gateway, at, { found, signal })
      await removeSandbox(gateway, at, { pace, signal })
      await removeProviders(gateway, at, signal)
      return { state: 'deleted', sentence: `The sandbox ${at.name} is deleted.` }
    })
  } catch (error) {
    if (!(error instanceof GatewayFailure || error instanceof RunnerError || error instanceof DOMException))
      throw error
    const why = toMessage(error).replace(/\.$/, '')
    return {
      state: 'unknown',
      sentence: `What is left at the gateway is not known (${why}); ${remedy(at.name)}`,
    }
  }
}

/**
 * Stops the sandbox. One that cannot be stopped is left and keeps its files. A gateway also refuses when it has stopped it
 * already: the answer to the first attempt may have been lost.
 */
async function stop(
  gateway: Gateway,
  at: SandboxName,
  { found, signal }: { found: Sandbox; signal: AbortSignal },
): Promise<SandboxState> {
  try {
    await gateway.call('StopSandbox', named(at), signal)
  } catch (error) {
    if (!(error instanceof GatewayFailure) || error.remedy !== 'refused') throw error
    const now = await findSandbox(gateway, at, signal)
    if (now?.phase !== 'STOPPED' && now?.phase !== 'STOPPING')
      return left(now ?? found, `, for ${error.message}`)
  }
  return {
    state: 'stopped',
    sentence: `The sandbox ${at.name} is stopped and keeps its files; ${remedy(at.name)}`,
  }
}

function left(found: Sandbox, why = ''): SandboxState {
  return {
    state: 'left',
    sentence: `The sandbox ${found.name} stays, ${stateText(found)}${why}; ${remedy(found.name)}`,
  }
}

function remedy(name: string): string {
  return `\`agui-runner openshell stop ${name}\` removes it.`
}
