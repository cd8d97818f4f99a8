import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
import { unfinishedName, type WorkspaceFiles } from './files.ts'
import { hasErrno } from './folder.ts'
import type { Repositories } from './repositories.ts'
import { isMissing } from './repository.ts'
import type { GitProtocol, GivenTokens } from './repository-url.ts'
import {
  isBranchName,
  parseRepositoryName,
  parseRepositoryUrl,
  withoutCredentials,
} from './repository-url.ts'
import { removeTree } from './tree.ts'
import { readWorkflowPrompts, type WorkflowPrompts } from './workflow-prompts.ts'

export interface WorkflowsOptions {
  repositories: Repositories
  files: WorkspaceFiles
  protocols: readonly GitProtocol[]
  /** Where the choice outlives the process; without one it does not. */
  memory?: WorkflowMemory
}

export interface WorkflowMemory {
  load(): unknown
  save(value: unknown): Promise<void>
}

export interface WorkflowChoice {
  /** None: the workflow that was active is no more. */
  gitUrl: string
  branch: string
  /** A folder of the repository; all of it when empty. */
  path: string
}

export interface ActiveWorkflow extends WorkflowChoice, WorkflowPrompts {
  /** The folder's name in `workflows`; none when no workflow is active. */
  name?: string | undefined
}

interface ChangeRequest {
  tokens: GivenTokens
  signal: AbortSignal
}

/** Door of stored data. URLs are stored without credentials. */
const Choice = z.object({ gitUrl: z.string(), branch: z.string(), path: z.string() })
const Stored = z.object({
  active: Choice.extend({
    name: z.string().optional(),
    startupPrompt: z.string().optional(),
    systemPrompt: z.string().optional(),
  }).optional(),
  /** The environment's choice that was followed last: one that is still the same does not undo a later change. */
  followed: Choice.optional(),
})
type Stored = z.infer<typeof Stored>

export const WORKFLOWS_FOLDER = 'workflows'

/** Which workflow is active. Changes are made one after the other. */
export class Workflows {
  readonly #options: WorkflowsOptions
  #stored: Stored
  #revision = 0
  #changing: Promise<unknown> = Promise.resolve()

  constructor(options: WorkflowsOptions) {
    this.#options = options
    const loaded = Stored.safeParse(options.memory?.load())
    this.#stored = loaded.success ? loaded.data : {}
  }

  /** Undefined until one was chosen on this state folder. */
  get active(): ActiveWorkflow | undefined {
    // JSON has no `undefined`, which zod's types allow for.
    return this.#stored.active as ActiveWorkflow | undefined
  }

  isActive(choice: WorkflowChoice): boolean {
    const { active } = this.#stored
    return active?.name !== undefined && isSame(active, choice)
  }

  /** Another number after every change of what lies in the active workflow's folder. */
  get revision(): number {
    return this.#revision
  }

  /**
   * Whether anything changed.
   *
   * @throws {RunnerError} `invalid_input`, `git_failed`, `not_found` for a folder that the repository lacks; then the
   * workflow before stays.
   */
  async change(choice: WorkflowChoice, request: ChangeRequest): Promise<boolean> {
    return await this.#inTurn(async () => {
      const { active } = this.#stored
      const isLost = active?.name !== undefined && !(await this.#isThere(active.name))
      if (active !== undefined && isSame(active, choice) && !isLost) return false
      await this.#activate(choice, request)
      return true
    })
  }

  /**
   * What a start has to do: follows the environment's choice, once, and brings back a folder that is gone. Returns
   * what stayed wrong, in words.
   */
  async start(wanted: WorkflowChoice | undefined, request: ChangeRequest): Promise<string[]> {
    return await this.#inTurn(async () => {
      const { active, followed } = this.#stored
      if (wanted === undefined || (followed !== undefined && isSame(followed, wanted))) {
        if (active?.name === undefined || (await this.#isThere(active.name))) return []
        // Only the environment's URL may hold what the server asks for.
        const again = wanted !== undefined && isSame(wanted, active) ? wanted : active
        return await this.#activate(again, request)
      }
      const problems = await this.#activate(wanted, request).catch((error: unknown) =>
        this.#adopt(wanted, error),
      )
      await this.#save({ ...this.#stored, followed: stripped(wanted) })
      return problems
    })
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(work)
    this.#changing = turn.catch(() => undefined)
    return await turn
  }

  /** Returns what is wrong with the workflow itself, if anything. */
  async #activate(choice: WorkflowChoice, request: ChangeRequest): Promise<string[]> {
    const { gitUrl, branch, path } = choice
    if (gitUrl === '') {
      this.#revision += 1
      await this.#save({ ...this.#stored, active: { ...choice } })
      return []
    }
    if (!isBranchName(branch)) {
      throw new RunnerError('invalid_input', 'The branch is none that git could have.')
    }
    const remote = parseRepositoryUrl(gitUrl, this.#options.protocols)
    const name = parseRepositoryName(remote.name)
    const unfinished = unfinishedName()
    try {
      const { repositories } = this.#options
      const clone = { url: gitUrl, branch, ...request, into: WORKFLOWS_FOLDER, name: unfinished }
      await repositories.clone(remote, { ...clone, shallow: true })
      await this.#install(unfinished, { name, path, signal: request.signal })
    } finally {
      await this.#discard(unfinished)
    }
    return await this.#remember(choice, name)
  }

  /** The control plane may have put it there itself, where git has no way out. */
  async #adopt(choice: WorkflowChoice, error: unknown): Promise<string[]> {
    const isOffline = error instanceof RunnerError && error.code === 'git_failed'
    const name = isOffline ? parseRepositoryUrl(choice.gitUrl, this.#options.protocols).name : undefined
    if (name === undefined || !(await this.#isThere(name))) throw error
    const problems = await this.#remember(choice, name)
    return [`It could not be fetched, so the folder that was there is used: ${toMessage(error)}`, ...problems]
  }

  async #remember(choice: WorkflowChoice, name: string): Promise<string[]> {
    const { files } = this.#options
    // Now, and not when they are needed: by then the agent may have written others.
    const { prompts, problem } = await readWorkflowPrompts(files, `${WORKFLOWS_FOLDER}/${name}`)
    this.#revision += 1
    await this.#save({ ...this.#stored, active: { ...stripped(choice), ...prompts, name } })
    return problem === undefined ? [] : [problem]
  }

  async #save(stored: Stored): Promise<void> {
    this.#stored = stored
    await this.#options.memory?.save(stored)
  }

  async #isThere(name: string): Promise<boolean> {
    return (await this.#options.files.guard.findFolder(`${WORKFLOWS_FOLDER}/${name}`)) !== undefined
  }

  /** Puts the clone, or the folder of it, where the workflow before was. */
  async #install(
    unfinished: string,
    { name, path, signal }: { name: string; path: string; signal: AbortSignal },
  ): Promise<void> {
    const { guard } = this.#options.files
    const clone = await guard.resolve(`${WORKFLOWS_FOLDER}/${unfinished}`)
    const wanted = await guard.resolve(`${clone}/${path}`)
    // A link of the repository's may lead to somebody else's folder in the workspace.
    if (wanted !== clone && !wanted.startsWith(`${clone}/`)) {
      throw new RunnerError('path_outside_workspace', 'The workflow is not in its own repository.')
    }
    await (await guard.openFolder(wanted)).close()
    const entry = await guard.resolveEntry(wanted)
    const source = await guard.openFolder(entry.folder)
    await source.use(async () => {
      const target = await guard.openFolder(await guard.resolve(WORKFLOWS_FOLDER))
      await target.use(async () => {
        // Two steps of the file system apart, not a clone's length.
        const before = unfinishedName()
        await target.rename(name, target, before).catch((error: unknown) => {
          if (!hasErrno(error, 'ENOENT')) throw error
        })
        await source.rename(entry.name, target, name)
        await removeTree(target, before, { signal })
      })
    })
  }

  async #discard(unfinished: string): Promise<void> {
    const { guard } = this.#options.files
    try {
      const folder = await guard.openFolder(await guard.resolve(WORKFLOWS_FOLDER))
      await folder.use(() => removeTree(folder, unfinished, { signal: new AbortController().signal }))
    } catch (error) {
      // Nothing was made.
      if (!isMissing(error)) throw error
    }
  }
}

function isSame(one: WorkflowChoice, other: WorkflowChoice): boolean {
  const [a, b] = [stripped(one), stripped(other)]
  return a.gitUrl === b.gitUrl && a.branch === b.branch && a.path === b.path
}

function stripped({ gitUrl, branch, path }: WorkflowChoice): WorkflowChoice {
  return { gitUrl: withoutCredentials(gitUrl), branch, path }
}
