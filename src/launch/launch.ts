import { join } from 'node:path'
import { Agent, fetch as fetchBy } from 'undici'
import { isCode, RunnerError, toMessage } from '../errors.ts'
import { type Bounds, within } from '../within.ts'
import { isDiskFull } from './disk-full.ts'
import { fetchCommits } from './mounted.ts'
import type { LaunchPlan } from './plan.ts'
import {
  type LaunchSession,
  type LaunchSettings,
  type PreparedLaunch,
  prepareLaunch,
  thisLauncher,
} from './prepare.ts'
import { removeRunFolder } from './run-folder.ts'

export interface Launched {
  plan: LaunchPlan
  /** The socket of the runner's HTTP server, for this user alone. */
  socket: string
  /** `fetch` for a client of the runner inside. */
  fetch(url: string, options: RequestInit): Promise<Response>
  /** Resolves with the reason when it has ended by itself. */
  ended: Promise<RunnerError>
  /** Addresses of the opened pull requests, known after the close. */
  readonly pullRequests: readonly string[]
  /** Stops with grace and removes every part. Safe to call twice. `isUrgent` skips the grace, even of a running close. */
  close(isUrgent?: boolean): Promise<void>
}

/** Longest time until the runner is healthy, in milliseconds. */
const HEALTH_MS = 60_000
/** Longest time until the model answers after that, in milliseconds. */
const READY_MS = 15_000
/** Longest time until one question is answered, in milliseconds. */
const STATUS_MS = 5000
const RETRY_MS = 100

/**
 * Starts a runner in its place and waits until it answers. A failure leaves nothing behind.
 *
 * @throws {RunnerError} `sandbox_failed` with the last lines of its log; `storage_full`; `config_invalid`.
 */
export async function launch(options: LaunchSettings): Promise<Launched> {
  const { isolation, signal } = options
  await isolation.need(signal)
  const launcher = thisLauncher()
  const prepared = await prepareLaunch(options, launcher).catch((error: unknown) => {
    throw failedStart(error, signal)
  })
  const running = new RunningLaunch(options, prepared)
  try {
    await running.start()
    signal.throwIfAborted()
    await running.untilServing()
    void running.warnUnlessReady()
  } catch (error) {
    await running.close()
    throw failedStart(error, signal)
  }
  return running
}

/** What this machine lacks, such as room on its disk, is an error of its own: nobody asked for a wrong thing. */
function failedStart(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || isCode(error, 'storage_full')) return error
  if (isDiskFull(error))
    return new RunnerError('storage_full', `A disk is full: ${toMessage(error)} Free space there.`, {
      cause: error,
    })
  if (error instanceof RunnerError) return error
  return new RunnerError('sandbox_failed', `It cannot be started: ${toMessage(error)}.`, { cause: error })
}

class RunningLaunch implements Launched {
  readonly plan: LaunchPlan
  readonly socket: string
  readonly ended: Promise<RunnerError>
  readonly #options: LaunchSettings
  readonly #prepared: PreparedLaunch
  readonly #agent: Agent
  readonly #closing = new AbortController()
  #resolveEnded: (error: RunnerError) => void = () => undefined
  readonly #pullRequests: string[] = []
  #end: RunnerError | undefined
  #door: LaunchSession | undefined
  #closed: Promise<void> | undefined

  constructor(options: LaunchSettings, prepared: PreparedLaunch) {
    this.plan = prepared.plan
    this.#options = options
    this.#prepared = prepared
    this.socket = join(prepared.folder.agent, 'agent.sock')
    // A stream may be silent while the model thinks. The client has its own limit.
    this.#agent = new Agent({ connect: { socketPath: this.socket }, bodyTimeout: 0, headersTimeout: 0 })
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
  }

  get pullRequests(): readonly string[] {
    return this.#pullRequests
  }

  async start(): Promise<void> {
    const { door } = this.#options
    const { folder, place } = this.#prepared
    this.#door = await door.open(door.folder(folder.gateway))
    await place.start()
    this.#watch().catch((error: unknown) => this.#options.say(`it is not watched: ${toMessage(error)}`))
  }

  async #watch(): Promise<void> {
    const { place } = this.#prepared
    const why = await place.ended(this.#closing.signal)
    if (why === undefined) return
    this.#end = new RunnerError(
      'sandbox_failed',
      `The ${this.#options.isolation.kind} ${why}. Its last lines:\n${await place.logs()}`,
    )
    this.#resolveEnded(this.#end)
  }

  async untilServing(): Promise<void> {
    const { signal } = this.#options
    const bounds = { signal, timeoutMs: STATUS_MS }
    const until = performance.now() + HEALTH_MS
    // A runner that still loads answers /health, and holds everything else until it can serve.
    while ((await this.#status('/capabilities', bounds)) !== 200) {
      if (this.#end !== undefined) throw this.#end
      signal.throwIfAborted()
      if (performance.now() > until)
        throw new RunnerError(
          'sandbox_failed',
          `The runner does not answer after ${HEALTH_MS / 1000} s. Its last lines:\n${await this.#prepared.place.logs()}`,
        )
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  /** Warns when the model does not answer. The launch does not wait for it. */
  async warnUnlessReady(): Promise<void> {
    const { signal } = this.#closing
    const ready = await this.#status('/ready', { signal, timeoutMs: READY_MS })
    if (ready === 200 || signal.aborted) return
    this.#options.say(`the runner is there, and not ready (GET /ready: ${ready ?? 'no answer'})`)
  }

  async #status(path: string, bounds: Bounds): Promise<number | undefined> {
    try {
      return await within(bounds, async (signal) => {
        const response = await this.fetch(`http://localhost${path}`, { signal })
        await response.body?.cancel()
        return response.status
      })
    } catch {
      return undefined
    }
  }

  async fetch(url: string, options: RequestInit): Promise<Response> {
    // Node's fetch is undici's, with types of its own.
    return (await fetchBy(url, { ...(options as object), dispatcher: this.#agent })) as unknown as Response
  }

  close(isUrgent = false): Promise<void> {
    // The kill ends the running close, which waits for the process.
    if (isUrgent && this.#closed !== undefined) return this.#prepared.place.kill().then(() => this.#closed)
    this.#closed ??= this.#close(isUrgent)
    return this.#closed
  }

  async #close(isUrgent: boolean): Promise<void> {
    const { plan, folder, guard, place } = this.#prepared
    this.#closing.abort()
    await place.stop(isUrgent ? 0 : Math.ceil(plan.limits.stopGraceMs / 1000))
    await place.remove()
    await this.#endSession()
    await this.#agent.destroy()
    // A failure here leaves the folder, with whose records `sweep` finishes the guard.
    await guard?.close()
    if (await this.#keepCommits()) await removeRunFolder(folder.path)
  }

  async #endSession(): Promise<void> {
    const { say } = this.#options
    try {
      const ended = await this.#door?.close()
      this.#pullRequests.push(...(ended?.pullRequests ?? []))
    } catch (error) {
      say(`the session was not ended with the broker: ${toMessage(error)}`)
    }
    for (const address of this.#pullRequests) say(`opened ${address}`)
  }

  /** @returns whether every commit of the clone is kept elsewhere. */
  async #keepCommits(): Promise<boolean> {
    const { workspace, say } = this.#options
    const { plan, folder } = this.#prepared
    if (workspace.kind !== 'clone') return true
    try {
      const refs = await fetchCommits({ ...workspace, target: folder.workspace }, plan.run)
      for (const ref of refs) say(`what was committed is ${ref}`)
      return true
    } catch (error) {
      say(`what was committed cannot be fetched, so ${folder.workspace} stays: ${toMessage(error)}`)
      return false
    }
  }
}
