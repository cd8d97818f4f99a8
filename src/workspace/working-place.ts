import { join, relative } from 'node:path'
import type { WorkspaceGuard } from './guard.ts'
import type { SetupProblem } from './setup.ts'
import { WORKFLOWS_FOLDER, type Workflows } from './workflows.ts'

export interface WorkingPlaceOptions {
  /** As it was configured; the guard's root is where that leads. */
  workspace: string
  guard: WorkspaceGuard
  workflows: Workflows
  setup: { readonly problems: readonly SetupProblem[] }
}

/** Where the agent works. */
export interface WorkingDirectory {
  /** Absolute, and a folder when it was looked at. */
  directory: string
  additionalDirectories: readonly string[]
  /** A part of the system prompt. */
  instructions: string | undefined
  /** Whoever has begun under another key should begin anew. */
  key: string
  /** What is not there although the environment wanted it. */
  problems: readonly string[]
}

/** The active workflow's folder with the workspace beside it, else the workspace. */
export class WorkingPlace {
  readonly #options: WorkingPlaceOptions

  constructor(options: WorkingPlaceOptions) {
    this.#options = options
  }

  /** @param stay a directory of an earlier start that cannot be left; it is, when it is no folder of the workspace's any more. */
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

  /** A folder of the workspace itself: the agent may have put a link to elsewhere in its place. */
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
