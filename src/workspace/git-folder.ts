import { RunnerError } from '../errors.ts'
import type { WorkspaceFiles } from './files.ts'
import { outside, type WorkspacePath } from './guard.ts'

const POINTER_BYTES_MAX = 8192

/** Returns the folder in which git keeps a repository's data; undefined when `place` is no repository. */
export async function findGitFolder(
  files: WorkspaceFiles,
  place: WorkspacePath,
): Promise<WorkspacePath | undefined> {
  const folder = await files.guard.openFolder(place).catch((error: unknown) => {
    if (error instanceof RunnerError && error.code !== 'path_outside_workspace') return undefined
    throw error
  })
  const stats = await folder?.use(() => folder.lstat('.git'))
  if (stats === undefined) return undefined
  const path = below(place, '.git')
  if (stats.isDirectory()) return await files.guard.resolve(path)
  if (!stats.isFile()) throw outside(path)
  // In a worktree or a submodule, `.git` is a file that names the folder.
  return await followPointer(files, place, '.git')
}

/** Returns the folder that a pointer file of git names; undefined when there is no such file. */
export async function followPointer(
  files: WorkspaceFiles,
  folder: WorkspacePath,
  name: string,
): Promise<WorkspacePath | undefined> {
  const path = below(folder, name)
  const text = await files.readText(path, { bytesMax: POINTER_BYTES_MAX }).catch((error: unknown) => {
    if (error instanceof RunnerError && error.code === 'not_found') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const target = text.replace(/^gitdir: /, '').trimEnd()
  if (target.startsWith('/')) return await files.guard.resolve(target)
  // A relative path may climb from its own folder, which has no link in it. Behind a name `..` is refused, as the guard
  // refuses it: the name may be a link, whose parent is elsewhere.
  const parts = target.split('/').filter((part) => part !== '.' && part !== '')
  const climbed = parts.findIndex((part) => part !== '..')
  const ups = climbed === -1 ? parts.length : climbed
  const names = folder.split('/').filter(Boolean)
  if (ups > names.length) throw outside(path)
  return await files.guard.resolve([...names.slice(0, names.length - ups), ...parts.slice(ups)].join('/'))
}

/** Joins a folder and a name. The workspace itself has no name to write in front. */
export function below(folder: WorkspacePath, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}
