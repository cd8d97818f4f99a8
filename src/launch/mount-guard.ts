// Keeps what somebody's git, or Claude Code, would execute later from being changed in a mounted folder. It is the guard
// that `serve` has (docs/enforcement.md), with the mounts of a launch.
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import { Aftermath } from '../sandbox/bwrap/aftermath.ts'
import { type Filling, type Freeze, Placeholders, removeUnchanged, shapeOf } from '../sandbox/bwrap/freeze.ts'
import { type Guarding, gitDirectoryAt, repositoriesBelow } from '../sandbox/bwrap/git-guard.ts'
import { type Identity, isWithin } from '../sandbox/bwrap/places.ts'
import { protect } from '../sandbox/bwrap/protect.ts'
import type { GuardedPart } from './plan.ts'

export interface GuardRequest {
  /** The mounted folder, as its real path. */
  workspace: string
  isGitHidden: boolean
  /** The run's folder, for the records that `recoverGuard` reads. */
  records: string
  /** The user inside. */
  user: Identity
  /** Called with the paths that were renamed or restored, because git would have executed what was made there. */
  onSetAside(renamed: readonly string[]): void
}

const Placeholder = z.object({
  path: z.string(),
  filling: z.union([z.object({ folder: z.literal(true) }), z.object({ text: z.string() })]),
})

/** The guard of one mounted folder, from before its start until nothing runs in it any more. */
export class MountGuard {
  readonly parts: readonly GuardedPart[]
  readonly #freeze: Freeze
  readonly #aftermath: Aftermath

  private constructor(parts: readonly GuardedPart[], freeze: Freeze, aftermath: Aftermath) {
    this.parts = parts
    this.#freeze = freeze
    this.#aftermath = aftermath
  }

  /** @throws {RunnerError} `config_invalid` for a `.git` in which nothing could be committed. */
  static async open({
    workspace,
    isGitHidden,
    records,
    user,
    onSetAside,
  }: GuardRequest): Promise<MountGuard> {
    const guarding = await protect({
      // No place outside is mounted, such as the repository of a worktree.
      places: { workspace, hidden: ['/'] },
      placeholders: new Placeholders((path, filling) => note(records, path, filling)),
      reader: process.getuid?.() === 0 ? user : undefined,
      strange: [],
      // Nothing above the folder is mounted either.
      isWritable: () => false,
    })
    try {
      const parts = partsOf(guarding, workspace)
      const aftermath = new Aftermath({ workspace, file: recordIn(records), onSetAside })
      const shown = isGitHidden ? withGitHidden(parts, workspace) : withGitShown(parts, workspace)
      aftermath.begin({ ...guarding, workspace })
      return new MountGuard(shown, guarding.freeze, aftermath)
    } catch (error) {
      guarding.freeze.release()
      throw error
    }
  }

  /** Renames what git would execute, and removes the placeholders. Call when nothing runs inside any more. */
  async close(): Promise<void> {
    try {
      await this.#aftermath.finish()
    } finally {
      this.#freeze.release()
    }
  }
}

/** Does what a killed launch left undone. @returns the paths that were renamed or restored. */
export async function recoverGuard(workspace: string, records: string): Promise<string[]> {
  const renamed: string[] = []
  const onSetAside = (paths: readonly string[]): void => void renamed.push(...paths)
  await new Aftermath({ workspace, file: recordIn(records), onSetAside }).recover()
  for (const { path, filling } of madeIn(records)) removeUnchanged(path, filling)
  return renamed
}

const recordIn = (records: string): string => join(records, 'known-repositories.json')
const madeFile = (records: string): string => join(records, 'placeholders.ndjson')

function note(records: string, path: string, filling: Filling): void {
  appendFileSync(madeFile(records), `${JSON.stringify({ path, filling })}\n`, { mode: 0o600 })
}

/** Returns the placeholders, those made last first: some stand in others. */
function madeIn(records: string): z.infer<typeof Placeholder>[] {
  let text: string
  try {
    text = readFileSync(madeFile(records), 'utf8')
  } catch {
    // None was made.
    return []
  }
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => Placeholder.parse(JSON.parse(line))).reverse()
}

/** Returns the guard's mounts as parts of the workspace. Settings are blank inside: they may hold tokens. */
function partsOf(guarding: Guarding, workspace: string): GuardedPart[] {
  const { freeze } = guarding
  const settings = new Set(repositoriesIn(guarding).flatMap(settingsOf))
  const frozen = freeze.mounts.flatMap((mount): GuardedPart[] => {
    if (!('source' in mount) || !isWithin(mount.source, workspace) || settings.has(mount.source)) return []
    const access = mount.kind === 'write' ? 'write' : 'read'
    return [{ path: mount.source.slice(workspace.length + 1), access }]
  })
  const blank = [...settings].filter((path) => isWithin(path, workspace))
  return [
    ...frozen,
    ...blank.map((path): GuardedPart => ({ path: path.slice(workspace.length + 1), access: 'blank' })),
  ]
}

function repositoriesIn({ worktrees }: Guarding): string[] {
  const withModules = (path: string): string[] => [
    path,
    ...repositoriesBelow(join(path, 'modules')).flatMap(withModules),
  ]
  return [...worktrees].flatMap((worktree) => gitDirectoryAt(worktree) ?? []).flatMap(withModules)
}

function settingsOf(gitDirectory: string): string[] {
  const files = ['config', 'config.worktree'].map((name) => join(gitDirectory, name))
  return files.filter((file) => shapeOf(file) === 'file')
}

/** @throws {RunnerError} `config_invalid` unless `.git` is a folder of git's usual layout, or absent. */
function withGitShown(parts: readonly GuardedPart[], workspace: string): readonly GuardedPart[] {
  const shape = shapeOf(join(workspace, '.git'))
  if (shape !== 'absent' && shape !== 'folder')
    throw new RunnerError(
      'config_invalid',
      `${workspace}/.git is not a folder: the repository of a worktree or behind a link cannot be mounted with it. Use --workspace clone, or --git hidden.`,
    )
  if (parts.some(({ path, access }) => path === '.git' && access === 'read'))
    throw new RunnerError(
      'config_invalid',
      `${workspace}/.git is not as git makes it (a HEAD and a config that are files, hooks that are a folder), so it could only be read. Use --workspace clone, or --git hidden.`,
    )
  return parts
}

function withGitHidden(parts: readonly GuardedPart[], workspace: string): readonly GuardedPart[] {
  const shape = shapeOf(join(workspace, '.git'))
  if (shape === 'absent') return parts
  if (shape === 'link')
    throw new RunnerError(
      'config_invalid',
      `${workspace}/.git is a link, which cannot be hidden. Use --workspace clone or none.`,
    )
  const others = parts.filter(({ path }) => !isWithin(path, '.git'))
  return [...others, { path: '.git', access: shape === 'folder' ? 'hidden' : 'blank' }]
}
