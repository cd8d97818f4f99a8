import { WorkspaceChanges } from './changes.ts'
import { WorkspaceFiles } from './files.ts'
import { Git, type GitEnv } from './git.ts'
import { WorkspaceGuard } from './guard.ts'
import { Repositories } from './repositories.ts'
import type { GitProtocol, TokenHosts } from './repository-url.ts'
import { type SetupOptions, WorkspaceSetup } from './setup.ts'
import { type WorkflowMemory, Workflows } from './workflows.ts'
import { WorkingPlace } from './working-place.ts'

export interface WorkspaceOptions extends Omit<SetupOptions, 'repositories' | 'workflows'> {
  /** There already. */
  directory: string
  /** git takes the way out from it, nothing else. */
  env: GitEnv
  tokenHosts: TokenHosts
  memory: WorkflowMemory
}

export interface Workspace {
  guard: WorkspaceGuard
  files: WorkspaceFiles
  repositories: Repositories
  changes: WorkspaceChanges
  workflows: Workflows
  setup: WorkspaceSetup
  place: WorkingPlace
}

/** A control plane's own, in the workspace: its launcher, its cursor and its authority (control-plane.md 2.1). */
export const PLATFORM_FOLDER = '.acp-runtime'

const PROTOCOLS: readonly GitProtocol[] = ['https', 'http']
/** A clone of something large over a slow line; a hang is not waited for. */
const GIT_TIMEOUT_MS = 300_000

/** The workspace, and what the environment wants in it on its way. */
export async function openWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const { directory, env, tokenHosts, memory } = options
  const guard = await WorkspaceGuard.open(directory, { hidden: [PLATFORM_FOLDER] })
  const files = new WorkspaceFiles(guard)
  const git = new Git({ env, protocols: PROTOCOLS, timeoutMs: GIT_TIMEOUT_MS })
  const repositories = new Repositories({ git, files, tokenHosts })
  const changes = new WorkspaceChanges({ repositories, files })
  const workflows = new Workflows({ repositories, files, protocols: PROTOCOLS, memory })
  const setup = new WorkspaceSetup({ ...options, repositories, workflows })
  const place = new WorkingPlace({ workspace: directory, guard, workflows, setup })
  return { guard, files, repositories, changes, workflows, setup, place }
}
