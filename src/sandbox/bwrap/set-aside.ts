// Handles repositories inside a repository: git runs itself in each one that the index names, with its own settings.
// Claude Code can change the index, so a repository that it made does not stay where git would find it.
import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  lstatSync,
  openSync,
  renameSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { linkAt, shapeOf } from './freeze.ts'
import { gitlinksOf } from './git-facts.ts'
import { gitDirectoryAt, gitDirectoryOf } from './git-guard.ts'
import type { KnownRepositories } from './known-repositories.ts'
import { isWithin } from './places.ts'

const ASIDE = 'set-aside-by-agui-runner'
/** Linux's O_PATH, which Node does not name: it opens a folder that may be passed through but not read. */
const O_PATH = 0o10000000
const FOLDER_FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Sets aside what was made inside for git to run outside, and returns the paths that were renamed or restored. Renames:
 * - `.git` where an index names a repository that is not the person's, unless it is a submodule whose own folder could
 *   not be written inside;
 * - an index that became too long to be read;
 * - below an enclosing repository, what makes the workspace a repository of its own.
 *
 * Restores links that were changed.
 */
export async function setAside(known: KnownRepositories): Promise<string[]> {
  const renamed = restoreLinks(known)
  for (const worktree of [...known.worktrees, ...known.enclosing])
    renamed.push(...(await setAsideBelow(worktree, known)))
  return [...renamed, ...setAsideTop(known)]
}

async function setAsideBelow(worktree: string, known: KnownRepositories): Promise<string[]> {
  const { workspace, enclosing } = known
  const gitDirectory = gitDirectoryAt(worktree)
  if (gitDirectory === undefined || known.unread.has(worktree)) return []
  const isAbove = enclosing.has(worktree)
  const paths = await gitlinksOf(gitDirectory, worktree)
  // The index of an enclosing repository could not be written inside.
  if (paths === undefined) return isAbove ? [] : moveAway(join(gitDirectory, 'index'), gitDirectory)
  return paths.flatMap((path) => {
    const inner = join(worktree, path)
    const dotGit = join(inner, '.git')
    const isOwn = known.worktrees.has(inner) && !known.strange.has(inner)
    if (isOwn || shapeOf(dotGit) === 'absent' || isModule(dotGit, gitDirectory, known)) return []
    return isAbove && !isWithin(inner, workspace) ? [] : moveAway(dotGit, worktree)
  })
}

/** Renames what would make the workspace a repository, which git would find before the enclosing one. */
function setAsideTop({ workspace, enclosing, worktrees }: KnownRepositories): string[] {
  if (enclosing.size === 0 || worktrees.has(workspace)) return []
  const isThere = (name: string): boolean => shapeOf(join(workspace, name)) !== 'absent'
  // git takes a folder that holds these for a repository, without a `.git`.
  const isBare = ['HEAD', 'objects', 'refs'].every(isThere)
  const names = [...(isThere('.git') ? ['.git'] : []), ...(isBare ? ['HEAD'] : [])]
  return names.flatMap((name) => moveAway(join(workspace, name), workspace))
}

function restoreLinks({ links, workspace }: KnownRepositories): string[] {
  return [...links].flatMap(([path, target]) => {
    if (linkAt(path) === target) return []
    if (shapeOf(path) !== 'absent') moveAway(path, workspace)
    const isBack = inFolder(path, workspace, (place) => {
      const owner = statSync(place)
      symlinkSync(target, `${place}/${basename(path)}`)
      if (process.getuid?.() === 0) lchownSync(`${place}/${basename(path)}`, owner.uid, owner.gid)
    })
    return isBack ? [path] : []
  })
}

function isModule(dotGit: string, above: string, { thawed }: KnownRepositories): boolean {
  const own = gitDirectoryOf(dotGit)
  if (own === undefined || !isWithin(own, join(above, 'modules'))) return false
  return ![...thawed].some((one) => own !== one && isWithin(own, one) && !isWithin(own, join(one, 'modules')))
}

/** Renames `path` and returns it; returns an empty list when that is not possible. */
function moveAway(path: string, root: string): string[] {
  return inFolder(path, root, (place) => renameIn(place, basename(path))) ? [path] : []
}

/** Opens the parent of `path` folder by folder, so no link leads out of `root`. Returns whether `work` ran there. */
function inFolder(path: string, root: string, work: (place: string) => void): boolean {
  const names = isWithin(path, root) ? dirname(path).slice(root.length).split('/').slice(1) : ['..']
  if (names.some((name) => name === '' || name === '.' || name === '..')) return false
  let folder: number | undefined
  try {
    folder = openSync(root, FOLDER_FLAGS)
    for (const name of names) {
      const next: number = openSync(`/proc/self/fd/${folder}/${name}`, FOLDER_FLAGS)
      closeSync(folder)
      folder = next
    }
    work(`/proc/self/fd/${folder}`)
    return true
  } catch {
    // It has been removed, or a link is in the way, which git does not follow either.
    return false
  } finally {
    if (folder !== undefined) closeSync(folder)
  }
}

/** Renames in a folder that may be read-only even for its owner: git would use its contents all the same. */
function renameIn(place: string, name: string): void {
  const { mode } = statSync(place)
  const isWritable = (mode & 0o300) === 0o300
  if (!isWritable) chmodSync(place, mode | 0o300)
  renameSync(`${place}/${name}`, `${place}/${freeName(place, name)}`)
  if (!isWritable) chmodSync(place, mode)
}

function freeName(place: string, name: string): string {
  for (let index = 0; ; index += 1) {
    const free = index === 0 ? `${name}.${ASIDE}` : `${name}.${ASIDE}-${index}`
    if (lstatSync(`${place}/${free}`, { throwIfNoEntry: false }) === undefined) return free
  }
}
