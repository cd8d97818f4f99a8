// Freezes the parts of a repository that git could execute for a person later, outside (git-config,
// gitrepository-layout, githooks, gitattributes). Claude Code may change the rest of `.git`.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { childrenOf, type Freeze, linkAt, realOf, shapeOf } from './freeze.ts'
import { gitlinksOf, type Setting, settingsIn } from './git-facts.ts'
import { isWithin } from './places.ts'

/** A `commondir` that names its own folder, in a spelling that git never writes: it marks a placeholder. */
const OWN_COMMON_FOLDER = { text: './././.\n' }
const NO_SETTINGS = { text: '' }
const NOTHING_IN_IT = { folder: true } as const
/** Folders of `.git` that name programs: hooks, and remotes in git's older spellings, to whose hooks a push leads. */
const NAMING_FOLDERS = ['hooks', 'remotes', 'branches']

const GITFILE_BYTES_MAX = 4096
/** Upper bound of the mounts of one start; bubblewrap takes 9000 arguments, three for each mount. */
const MOUNTS_MAX = 1500
const NESTED_MAX = 8
const MODULES_MAX = 64
const WORKTREES_MAX = 64

/** Settings whose values are names of branches, people and addresses. */
const NO_PROGRAMS = /^(?:branch|remote(?!.*pack$)|user|author|committer|url|http|color)\./s
const NAMES_REMOTE = /^remote\..*\.(?:push)?url$/s
/** Settings whose value is one file name, without words before or after it. */
const NAMES_FILE = /^(?:include(?:if\..*)?\.path|core\.(?:hookspath|attributesfile))$/s
/** Values that lead into the person's home or git's own folder. */
const ELSEWHERE = /^(?:~|%\(prefix\))/
/** Names of references. No placeholder is made for them. */
const REFERENCE = /^\+?refs\//
const SEPARATORS = /[\s'"`=;|&()<>!]+/

export interface Guarding {
  readonly freeze: Freeze
  /** Paths that are never mounted. */
  readonly hidden: readonly string[]
  /** Folders with a `.git`, found so far. */
  readonly worktrees: Set<string>
  /** Repositories that stay writable below a frozen `modules`, found so far. */
  readonly thawed: Set<string>
  /** Folders whose index is too long to be read, found so far. */
  readonly unread: Set<string>
  /** Repositories made while something ran inside, and the repositories found below them. */
  readonly strange: Set<string>
  /** Folders above the workspace that are repositories, found so far. */
  readonly enclosing: Set<string>
  /** Links that cannot be mounted on, with their targets as written, found so far. */
  readonly links: Map<string, string>
}

/** Freezes a folder's `.git`, whatever it is: a folder, a file, a link. */
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

/** Guards the target of a linked `.git`, which git follows. A target outside cannot be changed from inside. */
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
 * Guards the repositories that the workspace lies in: freezes what their settings name inside, and makes their `.git`
 * read-only where the policy would let it be written.
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

/** Guards the repository that a `.git` file names. One outside is mounted only when it names this folder in turn. */
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
  // Only files that Claude Code could not have written prove that somebody else linked the two.
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

/** Freezes a repository name by name when it has git's usual layout; otherwise all of it becomes read-only. */
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
  const folders = NAMING_FOLDERS.map((name) => join(gitDirectory, name))
  const isOrdinary =
    depth <= NESTED_MAX &&
    freeze.count < MOUNTS_MAX &&
    settings !== undefined &&
    shapeOf(join(gitDirectory, 'HEAD')) === 'file' &&
    folders.every((folder) => ['folder', 'absent'].includes(shapeOf(folder))) &&
    freeze.freezeOrFill(commonDir, OWN_COMMON_FOLDER) &&
    readShort(commonDir) === OWN_COMMON_FOLDER.text &&
    folders.every((folder) => freeze.freezeOrFill(folder, NOTHING_IN_IT))
  if (!isOrdinary) {
    freeze.freeze(gitDirectory)
    return
  }
  guardLinkedHooks(join(gitDirectory, 'hooks'), freeze)
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

/** Freezes what settings name: included files, hooks, attributes, and programs that lie in the workspace. */
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
      guardLinkedHooks(resolve(worktree, value), freeze)
    } else if (key === 'core.attributesfile') {
      freezeNamed(resolve(worktree, value), freeze, NO_SETTINGS)
    } else if (NAMES_REMOTE.test(key)) {
      await guardRemote(resolve(worktree, value.replace(/^file:\/\//, '')), guarding)
    } else if (!NO_PROGRAMS.test(key)) {
      for (const word of value.split(SEPARATORS)) freezeProgram(word, [worktree, from], freeze)
    }
  }
}

/** Guards a remote that is a repository in the workspace: a push to it executes its hooks. */
async function guardRemote(place: string, guarding: Guarding): Promise<void> {
  for (const path of [place, `${place}.git`]) {
    if (!guarding.freeze.isInside(path) || guarding.freeze.has(join(path, 'config'))) continue
    if (shapeOf(join(path, 'HEAD')) === 'file') await guardRepository(path, path, guarding, 1)
    else await guardWorktree(path, guarding, 1)
  }
}

function freezeProgram(word: string, folders: readonly string[], freeze: Freeze): void {
  if (word === '' || word.startsWith('-')) return
  // Covers `$PWD/tools/x`, and the rest of `$(git rev-parse --show-toplevel)/tools/x`.
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

/** Freezes the programs in the workspace that hooks lead to as links. */
function guardLinkedHooks(folder: string, freeze: Freeze): void {
  for (const hook of childrenOf(folder, readdirSync)) {
    let path = hook
    for (let depth = 0; depth < NESTED_MAX; depth += 1) {
      const said = linkAt(path)
      if (said === undefined) break
      path = resolve(dirname(path), said)
      freezeNamed(path, freeze, NO_SETTINGS)
    }
  }
}

/** Freezes a named path. A link could be exchanged, so its folder and its target are frozen. */
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

/** Guards the folders of existing linked worktrees; new ones may be made. */
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

/** Guards each submodule's repository like any other; new ones cannot be added. */
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

/** Returns the repositories below `folder`, also nested ones: a submodule's name may contain slashes. */
export function repositoriesBelow(folder: string, depth = 0): string[] {
  if (depth > NESTED_MAX) return []
  return childrenOf(folder, readdirSync).flatMap((child) => {
    if (shapeOf(child) !== 'folder') return []
    return shapeOf(join(child, 'HEAD')) === 'file' ? [child] : repositoriesBelow(child, depth + 1)
  })
}

/** Returns the real path of a folder's repository; undefined when the folder has none. */
export function gitDirectoryAt(worktree: string): string | undefined {
  const real = realOf(join(worktree, '.git'))
  return real !== undefined && shapeOf(real) === 'file' ? gitDirectoryOf(real) : real
}

/** Returns the real path that a `.git` file names; undefined when it names none. */
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
    // It has been removed, or cannot be read.
    return undefined
  }
}
