// A repository inside a repository: git runs itself in every one that the index names, with that one's own settings.
// Which ones those are is Claude Code's to change, so what it made there does not stay where git would find it.
import { chmodSync, closeSync, constants, lstatSync, openSync, renameSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { shapeOf } from './freeze.ts'
import { gitlinksOf } from './git-facts.ts'
import { gitDirectoryOf } from './git-guard.ts'
import { isWithin } from './places.ts'

const ASIDE = 'set-aside-by-agui-runner'
/** Linux's O_PATH, which Node does not name: a folder that may not be read can be gone through. */
const O_PATH = 0o10000000
const FOLDER_FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW

export interface KnownRepositories {
  readonly worktrees: ReadonlySet<string>
  readonly thawed: ReadonlySet<string>
  readonly unread: ReadonlySet<string>
}

/**
 * Renames `.git` where an index names a repository that was not there when `known` was found, unless it is a submodule
 * whose own folder nobody inside could write; and an index that became too long to be read. Returns what was renamed.
 */
export function setAside(known: KnownRepositories): string[] {
  return [...known.worktrees].flatMap((worktree) => {
    const dotGit = join(worktree, '.git')
    const gitDirectory = shapeOf(dotGit) === 'file' ? gitDirectoryOf(dotGit) : dotGit
    if (gitDirectory === undefined) return []
    if (known.unread.has(worktree)) return []
    const paths = gitlinksOf(gitDirectory, worktree)
    if (paths === undefined) return moveAway(join(gitDirectory, 'index'), gitDirectory)
    return paths.flatMap((path) => {
      const inner = join(worktree, path)
      const isFine = known.worktrees.has(inner) || shapeOf(join(inner, '.git')) === 'absent'
      if (isFine || isModule(join(inner, '.git'), gitDirectory, known)) return []
      return moveAway(join(inner, '.git'), worktree)
    })
  })
}

function isModule(inner: string, above: string, { thawed }: KnownRepositories): boolean {
  const own = gitDirectoryOf(inner)
  if (own === undefined || !isWithin(own, join(above, 'modules'))) return false
  return ![...thawed].some((one) => own !== one && isWithin(own, one) && !isWithin(own, join(one, 'modules')))
}

/** From folder to folder, so that no link leads it out of `root`. Returns what was renamed. */
function moveAway(path: string, root: string): string[] {
  const names = isWithin(path, root) ? dirname(path).slice(root.length).split('/').slice(1) : ['..']
  if (names.some((name) => name === '' || name === '.' || name === '..')) return []
  let folder: number | undefined
  try {
    folder = openSync(root, FOLDER_FLAGS)
    for (const name of names) {
      const next: number = openSync(`/proc/self/fd/${folder}/${name}`, FOLDER_FLAGS)
      closeSync(folder)
      folder = next
    }
    renameIn(`/proc/self/fd/${folder}`, basename(path))
    return [path]
  } catch {
    // It went, or a link is in the way: git does not follow one either.
    return []
  } finally {
    if (folder !== undefined) closeSync(folder)
  }
}

/** What was made inside may be read-only for its owner too, which keeps git from nothing. */
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
