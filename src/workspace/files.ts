import { randomUUID } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import { type FileOwner, type Folder, NEW_FILE_FLAGS } from './folder.ts'
import { outside, quoted, splitPath, type WorkspaceGuard, type WorkspacePath } from './guard.ts'
import { tooLarge } from './shown-text.ts'

export interface FileEntry {
  /** The name as text, in the encoding of file-name.ts. */
  name: string
  /** The path from the workspace's root, with a leading slash. */
  path: string
  isDir: boolean
  /** In bytes. */
  size: number
  /** ISO 8601, in UTC and whole seconds. */
  modifiedAt: string
}

export interface Listing {
  entries: FileEntry[]
  /** Whether the folder has more than `LIST_ENTRIES_MAX` entries. */
  truncated: boolean
}

export interface OpenedFile {
  /** `size` bytes, or fewer when the file is truncated meanwhile. Closes the file when it ends or is destroyed. */
  stream: Readable
  size: number
  modifiedAt: string
}

export interface FileWriteOptions {
  bytesMax: number
  signal: AbortSignal
}

/** Upper bound of entries listed of one folder. */
const LIST_ENTRIES_MAX = 10_000
/** Entries inspected at the same time: as many as the thread pool can use, and some to spare. */
const LIST_STEP = 64
/** Opens without blocking, because opening a pipe in the place of a file would wait forever. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK
/** Prefix of the names of the runner's unfinished files and folders. */
const UNFINISHED_PREFIX = '.agui-runner-'

/** The files of the workspace, as clients read and write them. */
export class WorkspaceFiles {
  readonly guard: WorkspaceGuard
  readonly #listEntriesMax: number

  constructor(guard: WorkspaceGuard, { listEntriesMax = LIST_ENTRIES_MAX } = {}) {
    this.guard = guard
    this.#listEntriesMax = listEntriesMax
  }

  /**
   * Lists a folder, or a file as its only entry.
   *
   * @throws {RunnerError} `not_found`, `path_outside_workspace`, `invalid_input`.
   */
  async list(path: string): Promise<Listing> {
    const place = await this.guard.resolve(path)
    if (place !== '') {
      const { folder: parent, name } = splitPath(place)
      const stats = await (await this.guard.openFolder(parent)).use((folder) => folder.lstat(name))
      if (stats === undefined) throw missing(path)
      if (!stats.isDirectory()) return { entries: [toEntry(parent, name, stats)], truncated: false }
    }
    return await (await this.guard.openFolder(place)).use((folder) => this.#listFolder(place, folder))
  }

  /**
   * Opens a file to read it once.
   *
   * @throws {RunnerError} `not_found`, `path_outside_workspace`, `invalid_input` for a folder.
   */
  async read(path: string): Promise<OpenedFile> {
    const { handle, stats } = await this.#openFile(path)
    const { size } = stats
    const modifiedAt = toTime(stats)
    // Bytes appended meanwhile are not sent, because the length was announced already.
    if (size > 0) return { stream: handle.createReadStream({ start: 0, end: size - 1 }), size, modifiedAt }
    // The range of a stream cannot be empty. Without a range the stream would send bytes appended meanwhile.
    await handle.close()
    return { stream: Readable.from([]), size, modifiedAt }
  }

  /** Opens a file or lists a folder. @throws {RunnerError} as `read` and `list`. */
  async open(path: string): Promise<OpenedFile | Listing> {
    const place = await this.guard.resolve(path)
    const { folder: parent, name } = splitPath(place)
    if (place === '') return await this.list(path)
    const stats = await (await this.guard.openFolder(parent)).use((folder) => folder.lstat(name))
    return stats?.isDirectory() ? await this.list(path) : await this.read(path)
  }

  /** Reads a small text file as UTF-8. @throws {RunnerError} as `read`, and `too_large`. */
  async readText(path: string, limit: { bytesMax: number }): Promise<string> {
    return (await this.readBytes(path, limit)).toString('utf8')
  }

  /** Reads a small file. @throws {RunnerError} as `read`, and `too_large`. */
  async readBytes(path: string, { bytesMax }: { bytesMax: number }): Promise<Buffer> {
    const { handle, stats } = await this.#openFile(path)
    try {
      if (stats.size > bytesMax) throw tooLarge(path, bytesMax)
      const buffer = Buffer.alloc(stats.size)
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  }

  /**
   * Writes or replaces a file, and makes the folders above it. A file is replaced completely or not at all. Returns the
   * size in bytes.
   *
   * @throws {RunnerError} `too_large`, `storage_full`, `path_outside_workspace`, `invalid_input` for a folder.
   */
  async write(
    path: string,
    source: AsyncIterable<Buffer> | Iterable<Buffer>,
    options: FileWriteOptions,
  ): Promise<number> {
    const place = await this.guard.resolve(path)
    if (place === '')
      throw new RunnerError('invalid_input', 'This names the workspace itself; name a file in it.')
    const { folder: parent, name } = splitPath(place)
    try {
      const folder = await this.guard.openFolder(parent, { create: true })
      return await folder.use(async () => {
        const before = await folder.lstat(name)
        refuseSpecial(before, path)
        if (before?.isDirectory()) throw isFolder(path)
        const owner = await this.guard.ownerOf(before)
        return await this.#replace({ folder, name, path, mode: before?.mode, owner }, source, options)
      })
    } catch (error) {
      throw hasErrno(error, 'ENOSPC', 'EDQUOT') ? noRoom(path, error) : error
    }
  }

  /** Removes a file, or a link itself. @throws {RunnerError} `not_found`, `path_outside_workspace`, `invalid_input`. */
  async remove(path: string): Promise<void> {
    const entry = await this.guard.resolveEntry(path)
    const folder = await this.guard.openFolder(entry.folder)
    await folder.use(async () => {
      const stats = await folder.lstat(entry.name)
      if (stats === undefined) throw missing(path)
      if (stats.isDirectory()) throw isFolder(path)
      await folder.unlink(entry.name).catch((error: unknown) => {
        if (hasErrno(error, 'ENOENT')) throw missing(path)
        if (hasErrno(error, 'EISDIR')) throw isFolder(path)
        throw error
      })
    })
  }

  async #listFolder(place: WorkspacePath, folder: Folder): Promise<Listing> {
    const names: string[] = []
    let truncated = false
    for await (const name of folder.names()) {
      if (this.guard.isHidden({ folder: place, name })) continue
      if (names.length === this.#listEntriesMax) {
        truncated = true
        break
      }
      names.push(name)
    }
    names.sort()
    const entries: FileEntry[] = []
    for (let start = 0; start < names.length; start += LIST_STEP) {
      const step = names.slice(start, start + LIST_STEP)
      const found = await Promise.all(step.map((name) => this.#entry(place, folder, name)))
      entries.push(...found.filter((entry) => entry !== undefined))
    }
    return { entries, truncated }
  }

  /** Describes an entry. A link is described as its target when that is in the workspace, else as the link. */
  async #entry(place: WorkspacePath, folder: Folder, name: string): Promise<FileEntry | undefined> {
    const stats = await folder.lstat(name)
    if (stats === undefined) return undefined
    const target = stats.isSymbolicLink()
      ? await this.#target(place === '' ? name : `${place}/${name}`)
      : undefined
    return toEntry(place, name, target ?? stats)
  }

  async #target(path: string): Promise<Stats | undefined> {
    try {
      const place = await this.guard.resolve(path)
      if (place === '') return undefined
      const { folder: parent, name } = splitPath(place)
      return await (await this.guard.openFolder(parent)).use((folder) => folder.lstat(name))
    } catch (error) {
      if (error instanceof RunnerError) return undefined
      throw error
    }
  }

  async #openFile(path: string): Promise<{ handle: FileHandle; stats: Stats }> {
    const place = await this.guard.resolve(path)
    if (place === '') throw isFolder(path)
    const { folder: parent, name } = splitPath(place)
    const folder = await this.guard.openFolder(parent)
    return await folder.use(async () => {
      // The entry is inspected before it is opened, because opening a device may already have an effect.
      const before = await folder.lstat(name)
      if (before === undefined) throw missing(path)
      refuseSpecial(before, path)
      if (before.isDirectory()) throw isFolder(path)
      const handle = await folder.openFile(name, READ_FLAGS).catch((error: unknown) => {
        if (hasErrno(error, 'ELOOP')) throw outside(path)
        if (hasErrno(error, 'ENOENT')) throw missing(path)
        throw error
      })
      try {
        const stats = await handle.stat()
        if (!stats.isFile()) throw outside(path)
        return { handle, stats }
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async #replace(
    target: {
      folder: Folder
      name: string
      path: string
      mode: number | undefined
      owner: FileOwner | undefined
    },
    source: AsyncIterable<Buffer> | Iterable<Buffer>,
    { bytesMax, signal }: FileWriteOptions,
  ): Promise<number> {
    const { folder, name, path, mode, owner } = target
    const unfinished = unfinishedName()
    const handle = await folder.openFile(unfinished, NEW_FILE_FLAGS, 0o666).catch((error: unknown) => {
      // The folder was removed after it was opened.
      throw hasErrno(error, 'ENOENT') ? missing(path) : error
    })
    try {
      try {
        if (owner !== undefined) await handle.chown(owner.uid, owner.gid)
        if (mode !== undefined) await handle.chmod(mode & 0o777)
        await writeFile(handle, bounded(source, bytesMax), { signal })
      } finally {
        await handle.close()
      }
      const { size } = (await folder.lstat(unfinished)) ?? { size: 0 }
      // The folder may have been moved out of the workspace while the content arrived.
      if (!isBelow(await folder.realPath(), this.guard.root)) throw outside(path)
      await folder.rename(unfinished, folder, name)
      return size
    } catch (error) {
      // A failure to clean up must not hide the error that is thrown.
      await folder.unlink(unfinished).catch(() => undefined)
      if (hasErrno(error, 'EISDIR')) throw isFolder(path)
      if (hasErrno(error, 'ENOENT')) throw missing(path)
      throw error
    }
  }
}

/** Returns a unique name for an unfinished file or folder. */
export function unfinishedName(): string {
  return `${UNFINISHED_PREFIX}${randomUUID()}`
}

async function* bounded(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  bytesMax: number,
): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (bytes > bytesMax) {
      throw new RunnerError('too_large', `A file may have at most ${bytesMax} bytes (FILE_BYTES_MAX).`)
    }
    yield chunk
  }
}

function refuseSpecial(stats: Stats | undefined, path: string): void {
  if (stats === undefined || stats.isFile() || stats.isDirectory()) return
  if (stats.isSymbolicLink()) throw outside(path)
  throw new RunnerError(
    'path_outside_workspace',
    `"${quoted(path)}" is a device, a pipe or a socket: what is behind it is not in the workspace.`,
  )
}

function toEntry(parent: WorkspacePath, name: string, stats: Stats): FileEntry {
  const path = parent === '' ? `/${name}` : `/${parent}/${name}`
  return { name, path, isDir: stats.isDirectory(), size: stats.size, modifiedAt: toTime(stats) }
}

function toTime({ mtime }: Stats): string {
  return mtime.toISOString().replace(/\.\d+Z$/, 'Z')
}

function missing(path: string): RunnerError {
  return new RunnerError('not_found', `There is no "${quoted(path)}" in the workspace.`)
}

function noRoom(path: string, cause: unknown): RunnerError {
  const message = `The disk of the workspace is full, or its quota used up: "${quoted(path)}" was not written. Remove what is not needed there.`
  return new RunnerError('storage_full', message, { cause })
}

function isFolder(path: string): RunnerError {
  return new RunnerError('invalid_input', `"${quoted(path)}" is a folder; name a file.`)
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root === '/' ? '/' : `${root}/`)
}
