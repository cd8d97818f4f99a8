import assert from 'node:assert'
import { constants, type Stats } from 'node:fs'
import {
  type FileHandle,
  lchown,
  lstat,
  mkdir,
  open,
  opendir,
  readlink,
  rename,
  rmdir,
  unlink,
} from 'node:fs/promises'
import { hasErrno } from '../errno.ts'
import { nameToText, toPath } from './file-name.ts'

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
/** Of a file that is not there yet. */
export const NEW_FILE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

export interface FileOwner {
  uid: number
  gid: number
}

/**
 * A folder held open. Every operation goes through its descriptor (`/proc/self/fd/N/name` is Linux's `openat`, which
 * Node lacks). It acts on this very folder, even when the folder's path leads elsewhere by then. Links are never
 * followed. Names are text, in the encoding of file-name.ts.
 */
export class Folder {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  static async open(path: string | Buffer): Promise<Folder> {
    return new Folder(await open(path, FOLDER_FLAGS))
  }

  /** A path to this folder while it is open, also valid as the working directory of a child process. */
  get place(): string {
    return `/proc/self/fd/${this.#handle.fd}`
  }

  /** Returns the folder's current path, as the kernel reports it. */
  async realPath(): Promise<string> {
    return nameToText(await readlink(this.place, 'buffer'))
  }

  /** Opens a subfolder; fails with ENOTDIR when the name is a link. */
  openFolder(name: string): Promise<Folder> {
    return Folder.open(this.#at(name))
  }

  /** Opens a file; fails with ELOOP when the name is a link. */
  openFile(name: string, flags: number, mode?: number): Promise<FileHandle> {
    return open(this.#at(name), flags | constants.O_NOFOLLOW, mode)
  }

  async lstat(name: string): Promise<Stats | undefined> {
    try {
      return await lstat(this.#at(name))
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }

  /** Makes a subfolder. Returns false when the name exists already. */
  async makeFolder(name: string): Promise<boolean> {
    try {
      await mkdir(this.#at(name))
      return true
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
      return false
    }
  }

  async *names(): AsyncGenerator<string> {
    // Latin-1 keeps the bytes as they are; Node's types allow no Buffer here.
    const entries = await opendir(this.place, { encoding: 'latin1' })
    for await (const { name } of entries) yield nameToText(Buffer.from(name, 'latin1'))
  }

  unlink(name: string): Promise<void> {
    return unlink(this.#at(name))
  }

  removeFolder(name: string): Promise<void> {
    return rmdir(this.#at(name))
  }

  /** Moves an entry over `toName` in `to`. A link of that name is replaced itself, not its target. */
  rename(name: string, to: Folder, toName: string): Promise<void> {
    return rename(this.#at(name), to.#at(toName))
  }

  /** Writes a file as a whole or not at all, and to the disk. It is for its owner alone. */
  async replaceFile(name: string, text: string, owner?: FileOwner): Promise<void> {
    const unfinished = `${name}.new`
    await this.unlink(unfinished).catch(() => undefined)
    const handle = await this.openFile(unfinished, NEW_FILE_FLAGS, 0o600)
    try {
      await handle.writeFile(text)
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await this.rename(unfinished, this, name)
    await this.sync()
  }

  /** Changes the owner of the entry; of a link, that of the link itself. */
  giveEntry(name: string, { uid, gid }: FileOwner): Promise<void> {
    return lchown(this.#at(name), uid, gid)
  }

  /** Adds the owner's permissions, so that entries can be removed. Read-only caches lack them. */
  async makeWritable(): Promise<void> {
    const { mode } = await this.#handle.stat()
    if ((mode & 0o700) !== 0o700) await this.#handle.chmod((mode & 0o777) | 0o700)
  }

  /** Writes the folder to disk, so that finished renames survive a crash. */
  sync(): Promise<void> {
    return this.#handle.sync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  /** Runs `work` with this folder and closes it afterwards. */
  async use<T>(work: (folder: Folder) => Promise<T>): Promise<T> {
    try {
      return await work(this)
    } finally {
      await this.close()
    }
  }

  #at(name: string): string | Buffer {
    assert(isName(name), 'not the name of one entry')
    return toPath(`${this.place}/${name}`)
  }
}

/** Whether the text can only name an entry of the folder in which it is looked up. */
function isName(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !text.includes('/') && !text.includes('\0')
}
