// Keeps Claude Code from changing what others would run or trust later, outside: in the workspace, and in each
// repository and workflow in it.
import { lstatSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { childrenOf, Freeze, linkAt, type Placeholders, realOf, shapeOf } from './freeze.ts'
import { type Guarding, guardEnclosing, guardWorktree } from './git-guard.ts'
import type { Identity, Places } from './places.ts'

const CLAUDE_NAMES = ['.claude/settings.json', '.claude/settings.local.json', '.mcp.json']
/** Upper bound of the folders looked into. The oldest count first, so new folders cannot displace older ones. */
const FOLDERS_MAX = 500

interface Protecting {
  places: Pick<Places, 'workspace' | 'hidden'>
  placeholders: Placeholders
  /** The user whose access rights on the disk count; undefined when that is the runner itself. */
  reader: Identity | undefined
  /** Repositories that were made while something ran inside. */
  strange: Iterable<string>
  /** Whether the view, without the mounts added here, lets a path be written. */
  isWritable(path: string): boolean
}

/** Plans the mounts that one start adds to the view. Does not throw, whatever the workspace holds. */
export async function protect({
  places,
  placeholders,
  reader,
  strange,
  isWritable,
}: Protecting): Promise<Guarding> {
  const { workspace, hidden } = places
  const guarding: Guarding = {
    freeze: new Freeze(workspace, placeholders, reader),
    hidden,
    worktrees: new Set(),
    thawed: new Set(),
    unread: new Set(),
    strange: new Set(strange),
    enclosing: new Set(),
    links: new Map(),
  }
  for (const folder of [workspace, ...placesIn(workspace)]) {
    for (const name of CLAUDE_NAMES) freezeClaude(folder, name, guarding)
    await guardWorktree(folder, guarding)
  }
  await guardEnclosing(workspace, guarding, isWritable)
  return guarding
}

/** Returns the repositories directly below the workspace, in `repos` and in `workflows`. */
export function repositoriesOf(workspace: string): string[] {
  return placesIn(workspace).filter((path) => shapeOf(join(path, '.git')) !== 'absent')
}

/** Freezes one of Claude Code's files. A `.claude` that is not a folder is frozen itself, and a link is followed. */
function freezeClaude(folder: string, name: string, guarding: Guarding): void {
  const parent = join(folder, '.claude')
  if (!name.startsWith('.claude/')) freezeFollowed(join(folder, name), guarding)
  else if (shapeOf(parent) === 'folder') freezeFollowed(join(folder, name), guarding)
  else {
    const real = freezeFollowed(parent, guarding)
    if (real !== undefined && shapeOf(real) === 'folder') freezeFollowed(join(real, basename(name)), guarding)
  }
}

/**
 * Freezes `path`. A link is recorded, to be restored later, and its target is frozen unless it is a folder. Returns the
 * target of a link that leads to a place inside.
 */
function freezeFollowed(path: string, { freeze, links }: Guarding): string | undefined {
  const said = linkAt(path)
  if (said === undefined) {
    freeze.freeze(path)
    return undefined
  }
  links.set(path, said)
  const real = realOf(path)
  if (real === undefined || !freeze.isInside(real)) return undefined
  if (shapeOf(real) !== 'folder') freeze.freeze(real)
  return real
}

/** Returns the folders in `workflows`, and the repositories in `repos` and below the workspace, oldest first. */
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

/** Returns the folders in `parent`; links are left out because a mount would follow them. */
function foldersIn(parent: string): string[] {
  if (shapeOf(parent) !== 'folder') return []
  return childrenOf(parent, readdirSync).filter((path) => shapeOf(path) === 'folder')
}

function birthOf(path: string): number {
  try {
    return lstatSync(path).birthtimeMs
  } catch {
    // It has been removed.
    return Number.POSITIVE_INFINITY
  }
}
