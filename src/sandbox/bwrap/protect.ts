// What others would run or trust later, outside, is not Claude Code's to change: in the workspace, and in each repository
// and workflow in it.
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { childrenOf, Freeze, type Placeholders, shapeOf } from './freeze.ts'
import { type Guarding, guardWorktree } from './git-guard.ts'
import type { Identity, Places } from './places.ts'

const CLAUDE_NAMES = ['.claude/settings.json', '.claude/settings.local.json', '.mcp.json']
/** Looked into; the youngest above this are not, which whoever makes folders in a loop cannot turn to use. */
const FOLDERS_MAX = 500

/** The mounts that one start adds to the view. Whatever the workspace holds, it does not throw.
 * `reader` is whom the files must let in when that is not the runner itself. */
export function protect(
  { workspace, hidden }: Pick<Places, 'workspace' | 'hidden'>,
  placeholders: Placeholders,
  reader: Identity | undefined,
): Guarding {
  const freeze = new Freeze(workspace, placeholders, reader)
  const guarding: Guarding = { freeze, hidden, worktrees: new Set(), thawed: new Set(), unread: new Set() }
  for (const folder of [workspace, ...placesIn(workspace)]) {
    for (const name of CLAUDE_NAMES) freezeClaude(folder, name, freeze)
    guardWorktree(folder, guarding)
  }
  return guarding
}

/** What is no folder at `.claude` is kept as it is. */
function freezeClaude(folder: string, name: string, freeze: Freeze): void {
  const parent = join(folder, '.claude')
  const isBelow = name.startsWith('.claude/')
  if (isBelow && shapeOf(parent) !== 'folder') freeze.freeze(parent)
  else freeze.freeze(join(folder, name))
}

/** Repositories lie directly below the workspace or in `repos`; what is in `workflows` counts without being one. */
function placesIn(workspace: string): string[] {
  const isRepository = (path: string): boolean => shapeOf(join(path, '.git')) !== 'absent'
  return [
    ...foldersIn(join(workspace, 'workflows')),
    ...foldersIn(join(workspace, 'repos')).filter(isRepository),
    ...foldersIn(workspace).filter(isRepository),
  ]
    .map((path) => ({ path, bornMs: birthOf(path) }))
    .sort((left, right) => left.bornMs - right.bornMs)
    .slice(0, FOLDERS_MAX)
    .map(({ path }) => path)
}

/** A mount would follow a link. */
function foldersIn(parent: string): string[] {
  if (shapeOf(parent) !== 'folder') return []
  return childrenOf(parent, readdirSync).filter((path) => shapeOf(path) === 'folder')
}

function birthOf(path: string): number {
  try {
    return lstatSync(path).birthtimeMs
  } catch {
    // It went.
    return Number.POSITIVE_INFINITY
  }
}
