import { lstat, realpath } from 'node:fs/promises'
import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import { nameToText, toBytes, toPath } from './file-name.ts'
import { type FileOwner, Folder } from './folder.ts'

declare const proven: unique symbol

/**
 * A path relative to the workspace, as text (file-name.ts) and without links; `''` is the workspace itself. Only the
 * guard makes such paths. A path was proven when it was made; `openFolder` detects later changes.
 */
export type WorkspacePath = string & { readonly [proven]: true }

/** An entry of a proven folder. The name itself may be a link, which is not followed. */
export interface WorkspaceEntry {
  folder: WorkspacePath
  name: string
}

/** Linux's limits, in bytes. */
const NAME_BYTES_MAX = 255
const PATH_BYTES_MAX = 4096
/** Upper bound of a path quoted in a message, in UTF-16 code units. */
const QUOTED_CHARS_MAX = 200

/**
 * Proves that a client's path lies in the workspace, as the kernel sees it. Links are followed before the path is
 * judged, and a link that leads out or nowhere is refused. Files are then opened without following any other link.
 */
export class WorkspaceGuard {
  /** The absolute path of the workspace, without links. */
  readonly root: string
  readonly #hidden: ReadonlySet<string>

  private constructor(root: string, hidden: Iterable<string>) {
    this.root = root
    this.#hidden = new Set(hidden)
  }

  /**
   * Opens the guard of a workspace.
   *
   * @param hidden names in the workspace that belong to the control plane. They are not listed; paths to or below them
   * are refused.
   */
  static async open(
    root: string,
    { hidden = [] }: { hidden?: Iterable<string> } = {},
  ): Promise<WorkspaceGuard> {
    return new WorkspaceGuard(await realpath(root), hidden)
  }

  /** Whether the entry is directly in the workspace and has a hidden name. */
  isHidden({ folder, name }: WorkspaceEntry): boolean {
    return folder === '' && this.#hidden.has(name)
  }

  /**
   * Resolves a path and follows its links. The part behind the deepest existing entry is taken as it is written.
   *
   * @throws {RunnerError} `path_outside_workspace`; `invalid_input` for a path that no file can have; `not_found` for a
   * path through a file.
   */
  async resolve(path: string): Promise<WorkspacePath> {
    const names = this.#parse(path)
    const missing: string[] = []
    for (;;) {
      const place = [this.root, ...names].join('/')
      const real = await this.#realpath(place, path)
      if (real !== undefined) return this.#prove(missing.length === 0 ? real : joined(real, missing), path)
      // The entry is a dangling link. To write through it would make a file where it points.
      if (await exists(place)) throw outside(path)
      const name = names.pop()
      if (name === undefined) throw new RunnerError('not_found', 'The workspace folder is gone.')
      missing.unshift(name)
    }
  }

  /**
   * Returns the entry that a path names. The entry may be a link and need not exist.
   *
   * @throws {RunnerError} as `resolve`, and `path_outside_workspace` for the workspace itself.
   */
  async resolveEntry(path: string): Promise<WorkspaceEntry> {
    const names = this.#parse(path)
    const name = names.pop()
    if (name === undefined) {
      throw new RunnerError(
        'path_outside_workspace',
        'This names the workspace itself; name something in it.',
      )
    }
    const entry = { folder: await this.resolve(names.join('/')), name }
    if (this.isHidden(entry)) throw outside(path)
    return entry
  }

  /** Opens a folder name by name, each through the descriptor of the folder above it. No link is followed. */
  async openFolder(path: WorkspacePath, { create = false } = {}): Promise<Folder> {
    let folder = await this.#openRoot()
    const owner = create ? await this.foreignOwner() : undefined
    for (const name of path.split('/').filter(Boolean)) {
      const parent = folder
      folder = await parent.use(() => step(parent, name, { create, owner, path }))
    }
    try {
      // The folder may have been moved out of the workspace meanwhile.
      this.#prove(await folder.realPath(), path)
      return folder
    } catch (error) {
      await folder.close()
      throw error
    }
  }

  /** Returns the folder of exactly this path, without links; undefined when there is none. */
  async findFolder(path: string): Promise<WorkspacePath | undefined> {
    try {
      const place = await this.resolve(path)
      if (place !== path) return undefined
      await (await this.openFolder(place)).close()
      return place
    } catch (error) {
      if (error instanceof RunnerError) return undefined
      throw error
    }
  }

  /** Returns the absolute path, for messages and for arguments of git. */
  absolute(path: WorkspacePath): string {
    return path === '' ? this.root : joined(this.root, [path])
  }

  /** Returns the workspace's owner when a root runner works for another user. New files must get that owner. */
  async foreignOwner(): Promise<FileOwner | undefined> {
    if (process.getuid?.() !== 0) return undefined
    const { uid, gid } = await lstat(this.root)
    return uid === 0 ? undefined : { uid, gid }
  }

  /** Returns the owner that a file replacing `before` must get; undefined when it may stay the runner's. */
  async ownerOf(before: FileOwner | undefined): Promise<FileOwner | undefined> {
    if (process.getuid?.() !== 0) return undefined
    return before ?? (await this.foreignOwner())
  }

  async #openRoot(): Promise<Folder> {
    try {
      return await Folder.open(this.root)
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) {
        throw new RunnerError('not_found', 'The workspace folder is gone.', { cause: error })
      }
      if (hasErrno(error, 'ENOTDIR', 'ELOOP')) throw outside('')
      throw error
    }
  }

  #parse(path: string): string[] {
    // Node would replace each half with the same replacement character.
    if (/\p{Surrogate}/u.test(path)) {
      throw new RunnerError('invalid_input', 'A path cannot hold half a character (a lone surrogate).')
    }
    if (path.includes('\0')) throw new RunnerError('invalid_input', 'A path cannot hold a NUL character.')
    if (toBytes(path).length > PATH_BYTES_MAX) {
      throw new RunnerError('invalid_input', `A path has at most ${PATH_BYTES_MAX} bytes.`)
    }
    let relative = path
    if (path.startsWith('/')) {
      if (path !== this.root && !path.startsWith(`${this.root}/`)) throw outside(path)
      relative = path.slice(this.root.length)
    }
    const names = relative.split('/').filter((name) => name !== '' && name !== '.')
    // `..` is not normalized away, because `a/..` is elsewhere when `a` is a link.
    if (names.includes('..')) throw outside(path)
    if (names.some((name) => toBytes(name).length > NAME_BYTES_MAX)) {
      throw new RunnerError('invalid_input', `The name of a file has at most ${NAME_BYTES_MAX} bytes.`)
    }
    return names
  }

  /** Returns the path without links; undefined when nothing is there. */
  async #realpath(place: string, path: string): Promise<string | undefined> {
    try {
      return nameToText(await realpath(toPath(place), 'buffer'))
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined
      if (hasErrno(error, 'ENOTDIR')) {
        throw new RunnerError('not_found', `"${quoted(path)}" goes through a file as if it were a folder.`)
      }
      if (hasErrno(error, 'ENAMETOOLONG')) throw new RunnerError('invalid_input', 'The path is too long.')
      // A path that cannot be read cannot be shown to be inside.
      if (hasErrno(error, 'ELOOP', 'EACCES', 'EPERM')) throw outside(path)
      throw error
    }
  }

  #prove(real: string, path: string): WorkspacePath {
    if (real === this.root) return '' as WorkspacePath
    const prefix = this.root === '/' ? '/' : `${this.root}/`
    if (!real.startsWith(prefix)) throw outside(path)
    const within = real.slice(prefix.length)
    if (this.#hidden.has(within.split('/', 1)[0] ?? '')) throw outside(path)
    return within as WorkspacePath
  }
}

/** Splits a proven path. Its folder is proven too. */
export function splitPath(path: WorkspacePath): WorkspaceEntry {
  const slash = path.lastIndexOf('/')
  return { folder: path.slice(0, Math.max(slash, 0)) as WorkspacePath, name: path.slice(slash + 1) }
}

export function outside(path: string): RunnerError {
  return new RunnerError(
    'path_outside_workspace',
    `"${quoted(path)}" leads out of the workspace, or cannot be shown to stay in it; give a path inside.`,
  )
}

export function quoted(path: string): string {
  return path.length > QUOTED_CHARS_MAX ? `${path.slice(0, QUOTED_CHARS_MAX)}…` : path
}

async function step(
  parent: Folder,
  name: string,
  { create, owner, path }: { create: boolean; owner: FileOwner | undefined; path: string },
): Promise<Folder> {
  if (create && (await parent.makeFolder(name)) && owner !== undefined) await parent.giveEntry(name, owner)
  try {
    return await parent.openFolder(name)
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) {
      throw new RunnerError('not_found', `There is no "${quoted(path)}" in the workspace.`, { cause: error })
    }
    if (!hasErrno(error, 'ENOTDIR', 'ELOOP')) throw error
    const stats = await parent.lstat(name)
    // The path was proven a moment ago and is a link now, so it was swapped.
    if (stats === undefined || stats.isSymbolicLink()) throw outside(path)
    throw new RunnerError('invalid_input', `"${quoted(name)}" is not a folder.`, { cause: error })
  }
}

function joined(first: string, rest: readonly string[]): string {
  return [first === '/' ? '' : first, ...rest].join('/')
}

async function exists(place: string): Promise<boolean> {
  return await lstat(toPath(place)).then(
    () => true,
    () => false,
  )
}
