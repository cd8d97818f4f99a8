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
import { nameToText, toPath } from './file-name.ts'

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

export interface FileOwner {
  uid: number
  gid: number
}

/**
 * A folder held open. What is done below it goes through its descriptor (`/proc/self/fd/N/name` is Linux's `openat`,
 * which Node lacks), so it happens in this very folder whatever its path leads to by then. No name is ever followed.
 * Names are taken and given as text (file-name.ts).
 */
export class Folder {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  static async open(path: string | Buffer): Promise<Folder> {
    return new Folder(await open(path, FOLDER_FLAGS))
  }

  /** Leads to this folder while it is open, also as the working directory of a child process. */
  get place(): string {
    return `/proc/self/fd/${this.#handle.fd}`
  }

  /** Where the kernel says it is. */
  async realPath(): Promise<string> {
    return nameToText(await readlink(this.place, 'buffer'))
  }

  /** Fails with ENOTDIR when the name is a link. */
  openFolder(name: string): Promise<Folder> {
    return Folder.open(this.#at(name))
  }

  /** Fails with ELOOP when the name is a link. */
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

  /** False when something of that name is there already. */
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
    // Latin-1 is the bytes themselves; Node's types know of no Buffer here.
    const entries = await opendir(this.place, { encoding: 'latin1' })
    for await (const { name } of entries) yield nameToText(Buffer.from(name, 'latin1'))
  }

  unlink(name: string): Promise<void> {
    return unlink(this.#at(name))
  }

  removeFolder(name: string): Promise<void> {
    return rmdir(this.#at(name))
  }

  /** Replaces what `toName` is, a link itself and not what it leads to. */
  rename(name: string, to: Folder, toName: string): Promise<void> {
    return rename(this.#at(name), to.#at(toName))
  }

  /** Of the entry itself, a link included. */
  giveEntry(name: string, { uid, gid }: FileOwner): Promise<void> {
    return lchown(this.#at(name), uid, gid)
  }

  /** Lets its owner remove what lies in it, as read-only caches do not. */
  async makeWritable(): Promise<void> {
    const { mode } = await this.#handle.stat()
    if ((mode & 0o700) !== 0o700) await this.#handle.chmod((mode & 0o777) | 0o700)
  }

  /** What was renamed in it is on disk. */
  sync(): Promise<void> {
    return this.#handle.sync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  /** Closes it behind the work. */
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

/** Whether it can only be an entry of the folder it is looked up in. */
function isName(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !text.includes('/') && !text.includes('\0')
}

export function hasErrno(error: unknown, ...codes: string[]): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
  )
}
