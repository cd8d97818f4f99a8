import { join, relative } from 'node:path'
import type { WorkspaceGuard } from './guard.ts'
import type { SetupProblem } from './setup.ts'
import { WORKFLOWS_FOLDER, type Workflows } from './workflows.ts'

export interface WorkingPlaceOptions {
  /** The configured path of the workspace; the guard's root is the same path without links. */
  workspace: string
  guard: WorkspaceGuard
  workflows: Workflows
  setup: { readonly problems: readonly SetupProblem[] }
}

/** The agent's working directory, with the facts that a start needs. */
export interface WorkingDirectory {
  /** The absolute path. It was a folder at the time of the check. */
  directory: string
  additionalDirectories: readonly string[]
  /** The part of the system prompt that describes the place. */
  instructions: string | undefined
  /** The identity of the place. A process that was started under another key should be started again. */
  key: string
  /** Problems of the setup: parts that the environment wants and that are missing or different. */
  problems: readonly string[]
}

/** Chooses the working directory: the active workflow's folder with the workspace beside it, else the workspace. */
export class WorkingPlace {
  readonly #options: WorkingPlaceOptions

  constructor(options: WorkingPlaceOptions) {
    this.#options = options
  }

  /**
   * Returns the working directory for a start.
   *
   * @param stay the directory of an earlier start, to be kept. It is ignored when it is no longer a folder of the
   * workspace.
   */
  async current(stay?: string): Promise<WorkingDirectory> {
    const { workspace, workflows, setup } = this.#options
    const { active, revision } = workflows
    const folder = active?.name === undefined ? undefined : join(workspace, WORKFLOWS_FOLDER, active.name)
    const wanted = folder !== undefined && (await this.#isOwn(folder)) ? folder : workspace
    const directory = stay !== undefined && (await this.#isOwn(stay)) ? stay : wanted
    const isElsewhere = wanted !== workspace
    return {
      directory,
      additionalDirectories: directory === workspace ? [] : [workspace],
      instructions: isElsewhere ? describePlace(workspace, wanted, active?.systemPrompt) : undefined,
      key: JSON.stringify([directory, isElsewhere ? revision : 0]),
      problems: setup.problems.map(({ what, message }) => `${what}: ${message}`),
    }
  }

  /** Whether it is a folder of the workspace itself: the agent may have replaced it with a link to elsewhere. */
  async #isOwn(directory: string): Promise<boolean> {
    const { workspace, guard } = this.#options
    if (directory === workspace) return true
    const path = relative(workspace, directory)
    return !path.startsWith('..') && (await guard.findFolder(path)) !== undefined
  }
}

function describePlace(workspace: string, workflow: string, systemPrompt: string | undefined): string {
  const where = [
    '# Workspace',
    '',
    `A workflow is active; its folder is ${workflow}. It holds the workflow's own files: put nothing of your own there.`,
    `Repositories are in ${workspace}/repos, files from the user in ${workspace}/file-uploads. Results go to ${workspace}/artifacts.`,
  ]
  const words = systemPrompt === undefined ? [] : ['', '# Workflow', '', systemPrompt]
  return [...where, ...words].join('\n')
}
