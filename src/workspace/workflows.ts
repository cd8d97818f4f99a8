import { z } from 'zod'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { unfinishedName, type WorkspaceFiles } from './files.ts'
import { quoted } from './guard.ts'
import { emptySubmodules, type Repositories } from './repositories.ts'
import { type Head, isMissing } from './repository.ts'
import type { GitProtocol, GivenTokens } from './repository-url.ts'
import {
  isSameRepository,
  parseRepositoryName,
  parseRepositoryUrl,
  withoutCredentials,
} from './repository-url.ts'
import { branchOf } from './revision.ts'
import { removeTree } from './tree.ts'
import { readWorkflowPrompts, type WorkflowPrompts } from './workflow-prompts.ts'

export interface WorkflowsOptions {
  repositories: Repositories
  files: WorkspaceFiles
  protocols: readonly GitProtocol[]
  /** Storage that keeps the choice across restarts; without it the choice ends with the process. */
  memory?: WorkflowMemory
}

/** Storage for the active workflow across restarts. */
export interface WorkflowMemory {
  /** The value that an earlier process saved last; undefined when there is none. It is not validated yet. */
  readonly saved: unknown
  save(value: unknown): Promise<void>
}

export interface WorkflowChoice {
  /** The repository's URL; empty when no workflow is to be active. */
  gitUrl: string
  /** A revision, as in `RemoteRequest.branch`; the remote's default when empty. */
  branch: string
  /** The folder of the repository to install; the whole repository when empty. */
  path: string
}

export interface ActiveWorkflow extends WorkflowChoice, WorkflowPrompts {
  /** The name of its folder in `workflows`; undefined when no workflow is active. */
  name?: string | undefined
  /** The revision that was checked out; undefined when it is unknown. */
  head?: Head | undefined
  /** Problems found in the workflow, as sentences. */
  problems?: string[] | undefined
}

interface ChangeRequest {
  tokens: GivenTokens
  signal: AbortSignal
}

/** Schema that validates the stored data. URLs are stored without credentials. */
const Choice = z.object({ gitUrl: z.string(), branch: z.string(), path: z.string() })
const Stored = z.object({
  active: Choice.extend({
    name: z.string().optional(),
    startupPrompt: z.string().optional(),
    systemPrompt: z.string().optional(),
    head: z.object({ branch: z.string(), commit: z.string().optional(), isDetached: z.boolean() }).optional(),
    problems: z.array(z.string()).optional(),
  }).optional(),
  /** The environment's choice that was activated last. While it is unchanged, it does not undo a later choice. */
  followed: Choice.optional(),
})
type Stored = z.infer<typeof Stored>

const UNREAD =
  'What the store remembers of the active workflow is not what this version writes: none is active, and the one of the environment is followed anew.'

export const WORKFLOWS_FOLDER = 'workflows'

/** The active workflow of the workspace. Changes are made one after the other. */
export class Workflows {
  readonly #options: WorkflowsOptions
  #stored: Stored
  /** Why the saved data could not be used, as sentences; reported by the next `start`. */
  #unread: string[] = []
  #revision = 0
  #changing: Promise<unknown> = Promise.resolve()

  constructor(options: WorkflowsOptions) {
    this.#options = options
    const loaded = Stored.optional().safeParse(options.memory?.saved)
    this.#stored = loaded.data ?? {}
    if (!loaded.success) this.#unread = [`${UNREAD} (${z.prettifyError(loaded.error)})`]
  }

  /** The last choice, even a choice of no workflow; undefined before the first choice on this store. */
  get active(): ActiveWorkflow | undefined {
    // JSON cannot hold `undefined`, which zod's types allow.
    return this.#stored.active as ActiveWorkflow | undefined
  }

  isActive(choice: WorkflowChoice): boolean {
    const { active } = this.#stored
    return active?.name !== undefined && isSame(active, choice)
  }

  /** The number of changes of the active workflow's folder since the process started. */
  get revision(): number {
    return this.#revision
  }

  /**
   * Activates a workflow. Returns whether anything changed.
   *
   * @throws {RunnerError} `invalid_input`, `git_failed`, `path_outside_workspace`; `not_found` for a revision or folder
   * that the repository lacks. The previous workflow then stays active.
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
   * Activates the environment's choice once, and fetches the active workflow again when its folder is missing. Called
   * when the runner starts. Returns the problems that remain, as sentences.
   *
   * @throws {RunnerError} as `change`.
   */
  async start(wanted: WorkflowChoice | undefined, request: ChangeRequest): Promise<string[]> {
    return await this.#inTurn(async () => {
      const problems = await this.#follow(wanted, request)
      return [...this.#unread.splice(0), ...problems]
    })
  }

  async #follow(wanted: WorkflowChoice | undefined, request: ChangeRequest): Promise<string[]> {
    const { active, followed } = this.#stored
    if (wanted === undefined || (followed !== undefined && isSame(followed, wanted))) {
      if (active?.name === undefined || (await this.#isThere(active.name))) return []
      // The stored URL has no credentials; the environment's URL may hold them.
      const again = wanted !== undefined && isSame(wanted, active) ? wanted : active
      return await this.#activate(again, request)
    }
    const problems = await this.#activate(wanted, request).catch((error: unknown) =>
      this.#adopt(wanted, error, request.signal),
    )
    await this.#save({ ...this.#stored, followed: stripped(wanted) })
    return problems
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(work)
    this.#changing = turn.catch(() => undefined)
    return await turn
  }

  /** Fetches and installs the workflow. Returns the problems found in it. */
  async #activate(choice: WorkflowChoice, request: ChangeRequest): Promise<string[]> {
    const { gitUrl, branch, path } = choice
    if (gitUrl === '') {
      this.#revision += 1
      await this.#save({ ...this.#stored, active: { ...choice } })
      return []
    }
    const name = parseRepositoryName(parseRepositoryUrl(gitUrl, this.#options.protocols).name)
    const unfinished = unfinishedName()
    try {
      const cloned = await this.#options.repositories.clone({
        url: gitUrl,
        branch: branch === '' ? undefined : branch,
        ...request,
        into: WORKFLOWS_FOLDER,
        name: unfinished,
        shallow: true,
      })
      await this.#install(unfinished, { name, path, signal: request.signal })
      return await this.#remember(choice, { name, head: cloned?.head, submodules: cloned?.submodules })
    } finally {
      await this.#discard(unfinished)
    }
  }

  /**
   * Uses the folder that is already there when git cannot fetch: the control plane may have put it there itself.
   * Throws `error` again when that folder is not the chosen workflow.
   */
  async #adopt(choice: WorkflowChoice, error: unknown, signal: AbortSignal): Promise<string[]> {
    const isOffline = error instanceof RunnerError && error.code === 'git_failed'
    const name = isOffline ? parseRepositoryUrl(choice.gitUrl, this.#options.protocols).name : undefined
    if (name === undefined || !(await this.#isThere(name))) throw error
    const { active } = this.#stored
    // A folder that was fetched for another choice is not the chosen workflow.
    if (active?.name === name && !isSame(active, choice)) throw error
    const found = await this.#recognize(choice, name, signal)
    if (found === undefined) throw error
    const problems = await this.#remember(choice, { name, ...found })
    return [`It could not be fetched, so the folder that was there is used: ${toMessage(error)}`, ...problems]
  }

  /**
   * Inspects a folder that this runner did not fetch. Returns undefined when it is not the chosen workflow. Plain files
   * show no commit, so they are accepted only for a choice that can be a branch.
   */
  async #recognize(
    { gitUrl, branch }: WorkflowChoice,
    name: string,
    signal: AbortSignal,
  ): Promise<{ head?: Head } | undefined> {
    const repository = await this.#options.repositories.find(`${WORKFLOWS_FOLDER}/${name}`)
    if (repository === undefined) return branchOf(branch) === undefined ? undefined : {}
    if (!isSameRepository(await repository.origin(signal), gitUrl)) return undefined
    const head = await repository.head(signal)
    const isIt = branch === '' || head.branch === branchOf(branch) || (await repository.isAt(branch, signal))
    return isIt ? { head } : undefined
  }

  /** Saves the choice as the active workflow. Returns the problems found in it. */
  async #remember(
    choice: WorkflowChoice,
    {
      name,
      head,
      submodules = [],
    }: { name: string; head?: Head | undefined; submodules?: string[] | undefined },
  ): Promise<string[]> {
    const { files } = this.#options
    // The prompts are read now, not when they are needed: by then the agent may have changed the file.
    const { prompts, problem } = await readWorkflowPrompts(files, `${WORKFLOWS_FOLDER}/${name}`)
    const below = `${choice.path.split('/').filter(Boolean).join('/')}/`
    const empty = submodules.filter((folder) => below === '/' || `${folder}/`.startsWith(below))
    const problems = [...(problem === undefined ? [] : [problem]), ...emptySubmodules(empty)]
    this.#revision += 1
    const active = { ...stripped(choice), ...prompts, name, head, problems }
    await this.#save({ ...this.#stored, active })
    return problems
  }

  async #save(stored: Stored): Promise<void> {
    this.#stored = stored
    await this.#options.memory?.save(stored)
  }

  async #isThere(name: string): Promise<boolean> {
    return (await this.#options.files.guard.findFolder(`${WORKFLOWS_FOLDER}/${name}`)) !== undefined
  }

  /** Moves the clone, or the chosen folder of it, to `workflows/<name>` and removes the folder that was there. */
  async #install(
    unfinished: string,
    { name, path, signal }: { name: string; path: string; signal: AbortSignal },
  ): Promise<void> {
    const { guard } = this.#options.files
    const clone = await guard.resolve(`${WORKFLOWS_FOLDER}/${unfinished}`)
    const wanted = await guard.resolve(`${clone}/${path}`)
    // A link in the repository may lead to another folder of the workspace.
    if (wanted !== clone && !wanted.startsWith(`${clone}/`)) {
      throw new RunnerError('path_outside_workspace', 'The workflow is not in its own repository.')
    }
    const found = await guard.openFolder(wanted).catch((error: unknown) => {
      if (!isMissing(error)) throw error
      throw new RunnerError('not_found', `The repository has no folder "${quoted(path)}".`)
    })
    await found.close()
    const entry = await guard.resolveEntry(wanted)
    const source = await guard.openFolder(entry.folder)
    await source.use(async () => {
      const target = await guard.openFolder(await guard.resolve(WORKFLOWS_FOLDER))
      await target.use(async () => {
        // The folder is missing only between two renames, not for the length of a clone.
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
      // The `workflows` folder was never made.
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
