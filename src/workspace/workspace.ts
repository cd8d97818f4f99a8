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
  /** The path of the workspace, a folder that exists. */
  directory: string
  /** The environment, from which git gets its path, proxies and certificates, and nothing else. */
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

/** The control plane's folder in the workspace, with its launcher, cursor and authority (control-plane.md 2.1). */
export const PLATFORM_FOLDER = '.acp-runtime'

const PROTOCOLS: readonly GitProtocol[] = ['https', 'http']
/** Time limit of one git call, in milliseconds: enough for a large clone over a slow line, but it ends a hang. */
const GIT_TIMEOUT_MS = 300_000

/** Opens the workspace. The setup with the environment's repositories and workflow is made, but not started. */
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
