import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { RunnerError, toMessage } from '../errors.ts'
import { within } from '../within.ts'
import type { Repositories } from './repositories.ts'
import { folderNameOf, type GivenTokens } from './repository-url.ts'
import type { WorkflowChoice, Workflows } from './workflows.ts'

export interface WantedRepository {
  url: string
  /** A revision, as in `RemoteRequest.branch`; the remote's default when undefined. */
  branch: string | undefined
  /** The name of its folder in `repos`; the last part of the URL when undefined. */
  name: string | undefined
}

export interface SetupOptions {
  repositories: Repositories
  workflows: Workflows
  wanted: {
    repositories: readonly WantedRepository[]
    workflow: WorkflowChoice | undefined
    tokens: GivenTokens
  }
  /** Time limit of the whole setup, in milliseconds. A part that is not done by then is reported as a problem. */
  timeoutMs: number
  /** How often a failed git call is retried: a sandbox's network may be ready later than the sandbox. */
  retriesMax: number
  retryDelayMs: number
  /** Called when a repository or the workflow is in place. */
  onDone(facts: { repository: string; newlyCloned: boolean } | { workflow: string }): void
  /** Called when a repository or the workflow is missing, or differs from what was wanted. */
  onProblem(problem: SetupProblem): void
}

export interface SetupProblem {
  /** `repository 2 (app)` or `workflow`. Never a URL, which may hold a password. */
  what: string
  message: string
}

/** Upper bound of clones that run at the same time. */
const CLONES_MAX = 4

/** Brings the environment's workflow and repositories into the workspace. Failures are reported, never thrown. */
export class WorkspaceSetup {
  readonly problems: SetupProblem[] = []
  readonly #options: SetupOptions
  readonly #closing = new AbortController()
  #done: Promise<void> | undefined
  #isDone = false

  constructor(options: SetupOptions) {
    this.#options = options
  }

  /** Starts the setup; safe to call twice. The promise resolves when every part was tried. */
  start(): Promise<void> {
    this.#done ??= this.#run().finally(() => {
      this.#isDone = true
    })
    return this.#done
  }

  /** Whether the setup has ended, with or without problems. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Whether the environment names a repository or a workflow. */
  get isWanted(): boolean {
    const { repositories, workflow } = this.#options.wanted
    return repositories.length > 0 || workflow !== undefined
  }

  /** Waits for the setup, which it starts if necessary. Resolves when every part was tried or `signal` is aborted. */
  async finished(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const waiting = new AbortController()
    const aborted = once(signal, 'abort', { signal: waiting.signal }).catch(() => undefined)
    await Promise.race([this.start(), aborted])
    waiting.abort()
  }

  /** Stops the parts in progress and waits for their end. Safe to call twice. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#done ??= Promise.resolve()
    await this.#done
  }

  async #run(): Promise<void> {
    const { timeoutMs } = this.#options
    await within({ signal: this.#closing.signal, timeoutMs }, (signal) => this.#bringAll(signal))
  }

  async #bringAll(signal: AbortSignal): Promise<void> {
    const { repositories } = this.#options.wanted
    const left = this.#withOwnNames()
    const cloneNext = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        await this.#clone(next.wanted, next.index, signal)
      }
    }
    const clones = Array.from({ length: Math.min(CLONES_MAX, repositories.length) }, cloneNext)
    await Promise.all([this.#startWorkflow(signal), ...clones])
  }

  /** Leaves out entries whose folder an earlier entry has. Reports those that differ in URL or branch. */
  #withOwnNames(): { wanted: WantedRepository; index: number }[] {
    const taken = new Map<string, { url: string; branch: string | undefined; index: number }>()
    return this.#options.wanted.repositories.flatMap((wanted, index) => {
      const { url, branch } = wanted
      const name = wanted.name ?? folderNameOf(url)
      const first = taken.get(name)
      if (first === undefined) {
        taken.set(name, { url, branch, index })
        return [{ wanted, index }]
      }
      if (first.url !== url || first.branch !== branch) {
        const message = `Repository ${first.index + 1} has the folder "${name}"; give this one a "name" of its own.`
        this.#report({ what: whatOf(wanted, index), message })
      }
      return []
    })
  }

  async #startWorkflow(signal: AbortSignal): Promise<void> {
    const { workflows, wanted, onDone } = this.#options
    const { workflow, tokens } = wanted
    await this.#attempt('workflow', signal, async () => {
      const problems = await workflows.start(workflow, { tokens, signal })
      for (const message of problems) this.#report({ what: 'workflow', message })
      const name = workflows.active?.name
      if (name !== undefined) onDone({ workflow: name })
    })
  }

  async #clone(repository: WantedRepository, index: number, signal: AbortSignal): Promise<void> {
    const { repositories, wanted, onDone } = this.#options
    const what = whatOf(repository, index)
    await this.#attempt(what, signal, async () => {
      const { tokens } = wanted
      const added = await repositories.add({ ...repository, tokens, signal, keep: true })
      for (const message of added.problems) this.#report({ what, message })
      onDone({ repository: added.name, newlyCloned: added.newlyCloned })
    })
  }

  async #attempt(what: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { retriesMax, retryDelayMs, timeoutMs } = this.#options
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        if (this.#closing.signal.aborted) return
        const isLate = signal.aborted
        const mayPass = error instanceof RunnerError && error.code === 'git_failed'
        if (!isLate && mayPass && attempt < retriesMax) {
          await delay(retryDelayMs, undefined, { signal }).catch(() => undefined)
          continue
        }
        const late = `It was not there within WORKSPACE_SETUP_TIMEOUT_MS (${timeoutMs} ms).`
        this.#report({ what, message: isLate ? late : toMessage(error) })
        return
      }
    }
  }

  #report(problem: SetupProblem): void {
    this.problems.push(problem)
    this.#options.onProblem(problem)
  }
}

function whatOf({ name }: WantedRepository, index: number): string {
  return `repository ${index + 1}${name === undefined ? '' : ` (${name})`}`
}
