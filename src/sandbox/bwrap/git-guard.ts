// What git reads of a repository and could execute for whoever uses it later, outside (git-config, gitrepository-layout,
// githooks, gitattributes). All of it is frozen; the rest of `.git` is Claude Code's to work with.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { childrenOf, type Freeze, linkAt, realOf, shapeOf } from './freeze.ts'
import { gitlinksOf, type Setting, settingsIn } from './git-facts.ts'
import { isWithin } from './places.ts'

/** Says "this very folder", in words that git would not choose: a placeholder is known by them. */
const OWN_COMMON_FOLDER = { text: './././.\n' }
const NO_SETTINGS = { text: '' }
const NOTHING_IN_IT = { folder: true } as const

const GITFILE_BYTES_MAX = 4096
/** Mounts of one start; bubblewrap takes 9000 arguments, three for each. */
const MOUNTS_MAX = 1500
const NESTED_MAX = 8
const MODULES_MAX = 64
const WORKTREES_MAX = 64

/** Their values are names of branches, people and addresses. */
const NO_PROGRAMS = /^(?:branch|remote|user|author|committer|url|http|color)\./
/** Their values are one name, without words before or behind it. */
const NAMES_FILE = /^(?:include(?:if\..*)?\.path|core\.(?:hookspath|attributesfile))$/s
/** Of the person's home, or of git's own folder. */
const ELSEWHERE = /^(?:~|%\(prefix\))/
/** Names of branches; not what is made to keep a program from being put there. */
const REFERENCE = /^\+?refs\//
const SEPARATORS = /[\s'"`=;|&()<>!]+/

export interface Guarding {
  readonly freeze: Freeze
  /** Never to be mounted. */
  readonly hidden: readonly string[]
  /** Found so far: folders with a `.git`. */
  readonly worktrees: Set<string>
  /** Found so far: what is writable below a frozen `modules`. */
  readonly thawed: Set<string>
  /** Found so far: folders whose index is too long to be read. */
  readonly unread: Set<string>
  /** Made while something ran inside, and what is found below those. */
  readonly strange: Set<string>
  /** Found so far: folders above the workspace that are repositories. */
  readonly enclosing: Set<string>
  /** Found so far: links that cannot be mounted on, and what they say. */
  readonly links: Map<string, string>
}

/** Freezes what stands at `.git` of a folder, whatever that is. */
export async function guardWorktree(worktree: string, guarding: Guarding, depth = 0): Promise<void> {
  const { freeze } = guarding
  const dotGit = join(worktree, '.git')
  const shape = shapeOf(dotGit)
  if (shape === 'absent' || guarding.worktrees.has(worktree)) return
  guarding.worktrees.add(worktree)
  if (shape === 'link') await guardLinkedGit(dotGit, worktree, guarding, depth)
  else if (freeze.count >= MOUNTS_MAX) freeze.freeze(dotGit)
  else if (shape === 'folder') await guardRepository(dotGit, worktree, guarding, depth)
  else if (freeze.freeze(dotGit) && shape === 'file') await followGitfile(dotGit, worktree, guarding, depth)
}

/** git follows a link. What it leads to is guarded when it lies here; what lies elsewhere nobody inside can change. */
async function guardLinkedGit(
  dotGit: string,
  worktree: string,
  guarding: Guarding,
  depth: number,
): Promise<void> {
  const { freeze, links } = guarding
  const said = linkAt(dotGit)
  if (said !== undefined) links.set(dotGit, said)
  const real = realOf(dotGit)
  if (real === undefined || !freeze.isInside(real)) return
  if (shapeOf(real) === 'folder') await guardRepository(real, worktree, guarding, depth)
  else if (freeze.freeze(real)) await followGitfile(real, worktree, guarding, depth)
}

/**
 * Repositories that the workspace lies in: what their settings name here is frozen. Where the policy lets them be
 * written, they can only be read.
 */
export async function guardEnclosing(
  workspace: string,
  guarding: Guarding,
  isWritable: (path: string) => boolean,
): Promise<void> {
  for (let folder = dirname(workspace); ; folder = dirname(folder)) {
    const gitDirectory = gitDirectoryAt(folder)
    if (gitDirectory !== undefined) await guardAbove(folder, gitDirectory, guarding, isWritable)
    if (folder === '/') return
  }
}

async function guardAbove(
  worktree: string,
  gitDirectory: string,
  guarding: Guarding,
  isWritable: (path: string) => boolean,
): Promise<void> {
  const { freeze } = guarding
  guarding.enclosing.add(worktree)
  const dotGit = join(worktree, '.git')
  if (isWritable(dotGit) && shapeOf(dotGit) !== 'link') freeze.freezeAbove(dotGit)
  const common = commonFolderOf(gitDirectory) ?? gitDirectory
  const settings = [join(common, 'config'), join(gitDirectory, 'config.worktree')]
  const found = await Promise.all(settings.map(settingsIn))
  await guardNamed(
    found.flatMap((each) => each ?? []),
    { from: common, worktree },
    guarding,
  )
  for (const path of (await gitlinksOf(gitDirectory, worktree)) ?? []) {
    const inner = join(worktree, path)
    if (freeze.isInside(inner)) await guardWorktree(inner, guarding, 1)
  }
}

/** The repository that a `.git` file names: there inside, when it names this folder in turn. */
async function followGitfile(
  dotGit: string,
  worktree: string,
  guarding: Guarding,
  depth: number,
): Promise<void> {
  const { freeze, hidden } = guarding
  const gitDirectory = gitDirectoryOf(dotGit)
  if (gitDirectory === undefined || freeze.has(gitDirectory) || shapeOf(gitDirectory) !== 'folder') return
  if (freeze.isInside(gitDirectory)) {
    await guardRepository(gitDirectory, worktree, guarding, depth)
    return
  }
  // Only what Claude Code could not have written proves that somebody else put the two together.
  const isFree = (path: string): boolean => !hidden.some((one) => isWithin(path, one) || isWithin(one, path))
  const common = commonFolderOf(gitDirectory)
  if (common === undefined) {
    const settings = await settingsIn(join(gitDirectory, 'config'))
    const own = settings?.find(({ key }) => key === 'core.worktree')?.value
    if (own === undefined || realOf(resolve(gitDirectory, own)) !== realOf(worktree)) return
    if (!isFree(gitDirectory)) return
    freeze.addRoot(gitDirectory, 'write')
    await guardRepository(gitDirectory, worktree, guarding, depth)
    return
  }
  const back = readShort(join(gitDirectory, 'gitdir'))?.trim()
  const isOfIt = dirname(gitDirectory) === join(common, 'worktrees')
  if (!isOfIt || back === undefined || realOf(resolve(gitDirectory, back)) !== realOf(dotGit)) return
  if (!isFree(common)) return
  freeze.addRoot(common, 'read')
  for (const name of ['objects', 'refs', 'logs']) {
    if (shapeOf(join(common, name)) === 'folder') freeze.addRoot(join(common, name), 'write')
  }
  freeze.addRoot(gitDirectory, 'write')
  const settings = (await settingsIn(join(common, 'config'))) ?? []
  guardLinked(gitDirectory, guarding, hasWorktreeSettings(settings))
  await guardNamed(
    [...settings, ...((await settingsIn(join(gitDirectory, 'config.worktree'))) ?? [])],
    { from: common, worktree },
    guarding,
  )
  await guardGitlinks(gitDirectory, worktree, guarding, depth)
}

function commonFolderOf(gitDirectory: string): string | undefined {
  const named = readShort(join(gitDirectory, 'commondir'))
  if (named === undefined || named === OWN_COMMON_FOLDER.text) return undefined
  return realOf(resolve(gitDirectory, named.trim()))
}

/** Name by name where it looks as git made it; else the whole of it is read-only. */
async function guardRepository(
  gitDirectory: string,
  worktree: string,
  guarding: Guarding,
  depth: number,
): Promise<void> {
  const { freeze } = guarding
  const config = join(gitDirectory, 'config')
  const settings = await settingsIn(config)
  const commonDir = join(gitDirectory, 'commondir')
  const hooks = join(gitDirectory, 'hooks')
  const isOrdinary =
    depth <= NESTED_MAX &&
    freeze.count < MOUNTS_MAX &&
    settings !== undefined &&
    shapeOf(join(gitDirectory, 'HEAD')) === 'file' &&
    ['folder', 'absent'].includes(shapeOf(hooks)) &&
    freeze.freezeOrFill(commonDir, OWN_COMMON_FOLDER) &&
    readShort(commonDir) === OWN_COMMON_FOLDER.text &&
    freeze.freezeOrFill(hooks, NOTHING_IN_IT)
  if (!isOrdinary) {
    freeze.freeze(gitDirectory)
    return
  }
  freeze.freeze(config)
  freeze.freeze(join(gitDirectory, 'info/attributes'))
  const settled = join(gitDirectory, 'config.worktree')
  if (hasWorktreeSettings(settings)) freeze.freezeOrFill(settled, NO_SETTINGS)
  else freeze.freeze(settled)
  await guardNamed(
    [...settings, ...((await settingsIn(settled)) ?? [])],
    { from: gitDirectory, worktree },
    guarding,
  )
  guardLinkedOnes(gitDirectory, guarding, hasWorktreeSettings(settings))
  await guardModules(join(gitDirectory, 'modules'), guarding, depth)
  await guardGitlinks(gitDirectory, worktree, guarding, depth)
}

async function guardGitlinks(
  gitDirectory: string,
  worktree: string,
  guarding: Guarding,
  depth: number,
): Promise<void> {
  if (depth > NESTED_MAX) return
  const paths = await gitlinksOf(gitDirectory, worktree)
  if (paths === undefined) {
    guarding.unread.add(worktree)
    guarding.freeze.freeze(gitDirectory)
    return
  }
  for (const path of paths) {
    const inner = join(worktree, path)
    if (guarding.strange.has(worktree)) guarding.strange.add(inner)
    await guardWorktree(inner, guarding, depth + 1)
  }
}

function hasWorktreeSettings(settings: readonly Setting[] | undefined): boolean {
  return settings?.some(({ key }) => key === 'extensions.worktreeconfig') ?? true
}

/** Files that settings name: what is included, where hooks and attributes are, and programs that lie in the workspace. */
async function guardNamed(
  settings: readonly Setting[],
  { from, worktree }: { from: string; worktree: string },
  guarding: Guarding,
  depth = 0,
): Promise<void> {
  const { freeze } = guarding
  for (const { key, value } of settings) {
    if (freeze.count >= MOUNTS_MAX || depth > NESTED_MAX) return
    if (NAMES_FILE.test(key) && ELSEWHERE.test(value)) continue
    if (/^include(?:if\..*)?\.path$/s.test(key)) {
      const file = resolve(from, value)
      if (!freeze.isInside(file)) continue
      freezeNamed(file, freeze, NO_SETTINGS)
      await guardNamed((await settingsIn(file)) ?? [], { from: dirname(file), worktree }, guarding, depth + 1)
    } else if (key === 'core.hookspath') {
      freezeNamed(resolve(worktree, value), freeze, NOTHING_IN_IT)
    } else if (key === 'core.attributesfile') {
      freezeNamed(resolve(worktree, value), freeze, NO_SETTINGS)
    } else if (!NO_PROGRAMS.test(key)) {
      for (const word of value.split(SEPARATORS)) freezeProgram(word, [worktree, from], freeze)
    }
  }
}

function freezeProgram(word: string, folders: readonly string[], freeze: Freeze): void {
  if (word === '' || word.startsWith('-')) return
  // `$PWD/tools/x`, and what is left of `$(git rev-parse --show-toplevel)/tools/x`.
  const below = word.replace(/^\$\{?\w*\}?(?=\/)/, '').replace(/^\/+/, '')
  if (below !== word && folders[0] !== undefined) {
    const file = resolve(folders[0], below)
    if (['file', 'link'].includes(shapeOf(file))) freezeNamed(file, freeze, undefined)
  }
  for (const folder of folders) {
    const file = resolve(folder, word)
    const shape = shapeOf(file)
    if (shape === 'file' || shape === 'link') freezeNamed(file, freeze, undefined)
    else if (shape === 'absent' && mayBeProgram(word) && folder === folders[0])
      freezeNamed(file, freeze, NO_SETTINGS)
  }
}

function mayBeProgram(word: string): boolean {
  return /^\.{0,2}[^:]*\//.test(word) && !ELSEWHERE.test(word) && !REFERENCE.test(word)
}

/** A link can be exchanged, so the folder that it lies in is frozen, and what it leads to. */
function freezeNamed(
  path: string,
  freeze: Freeze,
  filling: { text: string } | { folder: true } | undefined,
): void {
  if (!freeze.isInside(path)) return
  if (shapeOf(path) === 'link') {
    const real = realOf(path)
    if (real !== undefined && freeze.isInside(real)) freeze.freeze(real)
    if (freeze.isInside(dirname(path))) freeze.freeze(dirname(path))
  } else if (filling === undefined) freeze.freeze(path)
  else freeze.freezeOrFill(path, filling)
}

/** The folders of worktrees that somebody has; new ones may be made. */
function guardLinkedOnes(gitDirectory: string, guarding: Guarding, isSettled: boolean): void {
  const all = join(gitDirectory, 'worktrees')
  if (shapeOf(all) !== 'folder') {
    guarding.freeze.freeze(all)
    return
  }
  const linked = childrenOf(all, readdirSync)
  if (linked.length > WORKTREES_MAX) guarding.freeze.freeze(all)
  else for (const one of linked) guardLinked(one, guarding, isSettled)
}

function guardLinked(gitDirectory: string, { freeze }: Guarding, isSettled: boolean): void {
  if (shapeOf(gitDirectory) !== 'folder') {
    freeze.freeze(gitDirectory)
    return
  }
  for (const name of ['commondir', 'gitdir']) {
    if (!freeze.freeze(join(gitDirectory, name))) freeze.freeze(gitDirectory)
  }
  const settled = join(gitDirectory, 'config.worktree')
  if (isSettled) freeze.freezeOrFill(settled, NO_SETTINGS)
  else freeze.freeze(settled)
}

/** Repositories of submodules: each is guarded as any other, and none can be added. */
async function guardModules(modules: string, guarding: Guarding, depth: number): Promise<void> {
  const { freeze } = guarding
  if (!freeze.freezeOrFill(modules, NOTHING_IN_IT) || shapeOf(modules) !== 'folder') return
  for (const gitDirectory of repositoriesBelow(modules).slice(0, MODULES_MAX)) {
    const settings = await settingsIn(join(gitDirectory, 'config'))
    const own = settings?.find(({ key }) => key === 'core.worktree')?.value
    const worktree = own === undefined ? undefined : resolve(gitDirectory, own)
    if (worktree === undefined || freeze.count >= MOUNTS_MAX) continue
    freeze.thaw(gitDirectory)
    guarding.thawed.add(gitDirectory)
    await guardRepository(gitDirectory, worktree, guarding, depth + 1)
  }
}

/** A submodule's name may have slashes. */
function repositoriesBelow(folder: string, depth = 0): string[] {
  if (depth > NESTED_MAX) return []
  return childrenOf(folder, readdirSync).flatMap((child) => {
    if (shapeOf(child) !== 'folder') return []
    return shapeOf(join(child, 'HEAD')) === 'file' ? [child] : repositoriesBelow(child, depth + 1)
  })
}

/** The repository of a folder, every link followed; undefined when it has none. */
export function gitDirectoryAt(worktree: string): string | undefined {
  const real = realOf(join(worktree, '.git'))
  return real !== undefined && shapeOf(real) === 'file' ? gitDirectoryOf(real) : real
}

/** What a `.git` file names, every link followed. */
export function gitDirectoryOf(dotGit: string): string | undefined {
  const named = readShort(dotGit)?.match(/^gitdir: (.*?)\n*$/s)?.[1]
  return realOf(named === undefined ? undefined : resolve(dirname(dotGit), named))
}

function readShort(path: string): string | undefined {
  if (shapeOf(path) !== 'file') return undefined
  try {
    const text = readFileSync(path, 'utf8')
    return text.length > GITFILE_BYTES_MAX ? undefined : text
  } catch {
    // It went, or cannot be read.
    return undefined
  }
}
