import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WorkspaceFiles } from '../../src/workspace/files.ts'
import { WorkspaceGuard } from '../../src/workspace/guard.ts'

export interface Place {
  /** Holds both, and nothing else. */
  directory: string
  workspace: string
  outside: string
  guard: WorkspaceGuard
  files: WorkspaceFiles
  close(): void
}

/** A workspace and a folder beside it that nothing may touch. */
export async function openPlace(): Promise<Place> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'agui-runner-workspace-')))
  const [workspace, outside] = [join(directory, 'workspace'), join(directory, 'outside')]
  mkdirSync(workspace)
  mkdirSync(outside)
  const guard = await WorkspaceGuard.open(workspace)
  return {
    directory,
    workspace,
    outside,
    guard,
    files: new WorkspaceFiles(guard),
    close: () => rmSync(directory, { recursive: true, force: true }),
  }
}

export const NO_SIGNAL = new AbortController().signal
