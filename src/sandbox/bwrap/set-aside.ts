// A repository inside a repository: git runs itself in every one that the index names, with that one's own settings.
// Which ones those are is Claude Code's to change, so what it made there does not stay where git would find it.
import { closeSync, constants, lstatSync, openSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { shapeOf } from './freeze.ts'
import { gitlinksOf } from './git-facts.ts'
import { gitDirectoryOf } from './git-guard.ts'
import { isWithin } from './places.ts'

const ASIDE = '.git.set-aside-by-agui-runner'
const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

export interface Known {
  readonly worktrees: ReadonlySet<string>
  readonly thawed: ReadonlySet<string>
}

/**
 * Renames `.git` where an index names a repository that was not there when `known` was found, unless it is a submodule
 * whose own folder nobody inside could write. Returns what was renamed.
 */
export function setAside(known: Known): string[] {
  return [...known.worktrees].flatMap((worktree) => {
    const dotGit = join(worktree, '.git')
    const gitDirectory = shapeOf(dotGit) === 'file' ? gitDirectoryOf(dotGit) : dotGit
    if (gitDirectory === undefined) return []
    return gitlinksOf(gitDirectory, worktree).flatMap((path) => {
      const inner = join(worktree, path)
      const isFine = known.worktrees.has(inner) || shapeOf(join(inner, '.git')) === 'absent'
      if (isFine || isModule(join(inner, '.git'), gitDirectory, known)) return []
      return moveAway(join(inner, '.git'), worktree) ? [join(inner, '.git')] : []
    })
  })
}

function isModule(inner: string, above: string, { thawed }: Known): boolean {
  const own = gitDirectoryOf(inner)
  if (own === undefined || !isWithin(own, join(above, 'modules'))) return false
  return ![...thawed].some((one) => own !== one && isWithin(own, one) && !isWithin(own, join(one, 'modules')))
}

/** From folder to folder, so that no link leads it out of the worktree. */
function moveAway(dotGit: string, worktree: string): boolean {
  const names = isWithin(dotGit, worktree)
    ? dirname(dotGit)
        .slice(worktree.length + 1)
        .split('/')
    : []
  if (names.length === 0 || names.some((name) => name === '' || name === '.' || name === '..')) return false
  let folder: number | undefined
  try {
    folder = openSync(worktree, FOLDER_FLAGS)
    for (const name of names) {
      const next: number = openSync(`/proc/self/fd/${folder}/${name}`, FOLDER_FLAGS)
      closeSync(folder)
      folder = next
    }
    const place = `/proc/self/fd/${folder}`
    renameSync(`${place}/.git`, `${place}/${freeName(place)}`)
    return true
  } catch {
    // It went, or a link is in the way: git does not follow one either.
    return false
  } finally {
    if (folder !== undefined) closeSync(folder)
  }
}

function freeName(place: string): string {
  for (let index = 0; ; index += 1) {
    const name = index === 0 ? ASIDE : `${ASIDE}-${index}`
    if (lstatSync(`${place}/${name}`, { throwIfNoEntry: false }) === undefined) return name
  }
}
