import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent, fetch as fetchBy } from 'undici'
import { RunnerError, toMessage } from '../errors.ts'
import type { Launcher } from './arguments.ts'
import type { Isolation, Place } from './isolation.ts'
import { fetchCommits, giveTo, prepareMounted, type WorkspaceKind } from './mounted.ts'
import { type LaunchLimits, type LaunchMode, type LaunchPlan, planLaunch } from './plan.ts'
import { makeRunFolder, type RunFolder, removeRunFolder } from './run-folder.ts'

export interface LaunchSettings {
  isolation: Isolation
  run: string
  mode: LaunchMode
  workspace: {
    kind: WorkspaceKind
    source: string
    isGitHidden: boolean
    path: string | undefined
    /** The branch of a clone, and where it begins. */
    branch: string
    base: string | undefined
    depth: number | undefined
  }
  environment: Readonly<Record<string, string>>
  limits: LaunchLimits
  /** The folder in which the run's folder is made. */
  parent: string
  /** Folders that may not be mounted. */
  forbidden: readonly string[]
  /** Values that no plan may contain. */
  secrets: readonly string[]
  door: LaunchDoor
  /** Aborts the start. */
  signal: AbortSignal
  say(line: string): void
}

/** The way to the broker, which holds the credentials. */
export interface LaunchDoor {
  /** The agent's placeholders for the credentials. They are no secret: the socket is the proof. */
  environment: Record<string, string>
  /** Returns the folder of `gateway.sock`. `own` is a folder of the run for it. */
  folder(own: string): string
  /** Opens the session in that folder. */
  open(folder: string): Promise<LaunchSession>
}

interface LaunchSession {
  /** Ends the session and its requests. */
  close(): Promise<{ pullRequests: readonly string[] }>
}

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
const RETRY_MS = 100
/** The image's user, who is given root's files. */
const SANDBOX_UID = 10001

/** Prepares everything that a plan names. `--dry-run` prints the plan and removes it all again. */
export async function prepareLaunch(options: LaunchSettings, launcher: Launcher): Promise<Prepared> {
  const { isolation, run, mode, workspace, limits, environment, forbidden, secrets, parent } = options
  const { image } = isolation
  const user = await containerUser(workspace)
  const checkout = workspace.kind === 'clone' ? workspace.source : undefined
  const folder = await makeRunFolder(await realpath(parent), run, launcher, checkout)
  try {
    const prepared = await prepareMounted({ ...workspace, target: folder.workspace, user })
    await giveTo(folder.agent, user)
    const plan = planLaunch({
      ...{ run, mode, image, user, limits, environment, forbidden },
      ...{
        workspace: prepared.folder,
        git: prepared.git,
        gatewayFolder: options.door.folder(folder.gateway),
        agentFolder: folder.agent,
      },
    })
    const json = JSON.stringify(plan)
    if (secrets.some((secret) => secret !== '' && json.includes(secret)))
      throw new RunnerError(
        'config_invalid',
        'A credential would stand in the plan: it is in a folder’s name, or in what is handed on.',
      )
    return { plan, folder, place: isolation.place({ plan, launcher, folder: folder.path }) }
  } catch (error) {
    await removeRunFolder(folder.path)
    throw error
  }
}

/** Returns the inner user: the caller, or for root the owner of the mounted folder, else the image's. The group is 0. */
async function containerUser({ kind, source }: LaunchSettings['workspace']): Promise<LaunchPlan['user']> {
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) return { uid, gid: 0 }
  const owner = kind === 'mount' ? (await stat(source)).uid : 0
  return { uid: owner === 0 ? SANDBOX_UID : owner, gid: 0 }
}

/**
 * Starts a runner in its place and waits until it answers. A failure leaves nothing behind.
 *
 * @throws {RunnerError} `sandbox_failed` with the last lines of its log; `config_invalid`.
 */
export async function launch(options: LaunchSettings): Promise<Launched> {
  const { isolation, signal } = options
  await isolation.need(signal)
  const launcher = { pid: process.pid, startedAt: new Date() }
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

/** What this machine has not, such as room on its disk, is told as it is; nobody asked for a wrong thing. */
function failedStart(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof RunnerError || signal.aborted) return error
  return new RunnerError('sandbox_failed', `It cannot be started: ${toMessage(error)}.`, { cause: error })
}

interface Prepared {
  plan: LaunchPlan
  folder: RunFolder
  place: Place
}

class RunningLaunch implements Launched {
  readonly plan: LaunchPlan
  readonly socket: string
  readonly ended: Promise<RunnerError>
  readonly #options: LaunchSettings
  readonly #prepared: Prepared
  readonly #agent: Agent
  readonly #closing = new AbortController()
  #tellEnd: (error: RunnerError) => void = () => undefined
  readonly #pullRequests: string[] = []
  #end: RunnerError | undefined
  #door: LaunchSession | undefined
  #closed: Promise<void> | undefined

  constructor(options: LaunchSettings, prepared: Prepared) {
    this.plan = prepared.plan
    this.#options = options
    this.#prepared = prepared
    this.socket = join(prepared.folder.agent, 'agent.sock')
    // A stream may be silent while the model thinks. The client has its own limit.
    this.#agent = new Agent({ connect: { socketPath: this.socket }, bodyTimeout: 0, headersTimeout: 0 })
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve
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
    this.#tellEnd(this.#end)
  }

  async untilServing(): Promise<void> {
    const { signal } = this.#options
    const until = performance.now() + HEALTH_MS
    // A runner that still loads answers /health, and holds everything else until it can serve.
    while ((await this.#status('/capabilities')) !== 200) {
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
    const ready = await this.#status('/ready', READY_MS)
    if (ready === 200 || this.#closing.signal.aborted) return
    this.#options.say(`the runner is there, and not ready (GET /ready: ${ready ?? 'no answer'})`)
  }

  async #status(path: string, timeoutMs = 5000): Promise<number | undefined> {
    try {
      const response = await this.fetch(`http://localhost${path}`, { signal: AbortSignal.timeout(timeoutMs) })
      await response.body?.cancel()
      return response.status
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
    const { plan, folder, place } = this.#prepared
    this.#closing.abort()
    await place.stop(isUrgent ? 0 : Math.ceil(plan.limits.stopGraceMs / 1000))
    await place.remove()
    await this.#endSession()
    await this.#agent.destroy()
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
