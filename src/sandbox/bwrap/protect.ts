// What others would run or trust later, outside, is not Claude Code's to change: in the workspace, and in each repository
// and workflow in it.
import { lstatSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { childrenOf, Freeze, linkAt, type Placeholders, realOf, shapeOf } from './freeze.ts'
import { type Guarding, guardEnclosing, guardWorktree } from './git-guard.ts'
import type { Identity, Places } from './places.ts'

const CLAUDE_NAMES = ['.claude/settings.json', '.claude/settings.local.json', '.mcp.json']
/** Looked into; the youngest above this are not, which whoever makes folders in a loop cannot turn to use. */
const FOLDERS_MAX = 500

interface Protecting {
  places: Pick<Places, 'workspace' | 'hidden'>
  placeholders: Placeholders
  /** Whom the files must let in when that is not the runner itself. */
  reader: Identity | undefined
  /** Repositories that were made while something ran inside. */
  strange: Iterable<string>
  /** Whether the view, without what is added here, lets a path be written. */
  isWritable(path: string): boolean
}

/** The mounts that one start adds to the view. Whatever the workspace holds, it does not throw. */
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

/** Repositories where a person has them: directly below the workspace or in `repos`. */
export function repositoriesOf(workspace: string): string[] {
  return placesIn(workspace).filter((path) => shapeOf(join(path, '.git')) !== 'absent')
}

/** What is no folder at `.claude` is kept as it is. */
function freezeClaude(folder: string, name: string, guarding: Guarding): void {
  const parent = join(folder, '.claude')
  if (!name.startsWith('.claude/')) freezeFollowed(join(folder, name), guarding)
  else if (shapeOf(parent) === 'folder') freezeFollowed(join(folder, name), guarding)
  else {
    const real = freezeFollowed(parent, guarding)
    if (real !== undefined && shapeOf(real) === 'folder') freezeFollowed(join(real, basename(name)), guarding)
  }
}

/** A link is put back later, and what it leads to is frozen unless it is a folder. Returns where a link leads. */
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
