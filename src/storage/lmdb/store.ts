import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, type Key, open } from 'lmdb'

/** Keys to JSON values; their shape is checked by whoever reads them. */
export type Table<K extends Key> = Database<unknown, K>

/** Keys to bytes. */
export type Records<K extends Key> = Database<Buffer, K>

/**
 * An id as a part of a key: lmdb cuts a long string at a NUL and takes half characters for one another. JSON has
 * neither, and holds an id of 256 characters within the longest key.
 */
export function keyText(id: string): string {
  return JSON.stringify(id)
}

export function idOfKey(text: string): string {
  return String(JSON.parse(text))
}

/**
 * The state folder's one LMDB environment; the event log and the thread facts are databases in it, so that what
 * is written in one turn is committed together.
 */
export class Store {
  readonly #root: ReturnType<typeof open>
  readonly #databases = new Map<string, { getStats(): unknown }>()
  #closed: Promise<void> | undefined

  private constructor(root: ReturnType<typeof open>) {
    this.#root = root
  }

  /** @param directory made when it is not there. */
  static open(directory: string): Store {
    mkdirSync(directory, { recursive: true, mode: 0o770 })
    return new Store(open({ path: join(directory, 'log.mdb'), maxDbs: 8, compression: false }))
  }

  bytes<K extends Key>(name: string): Records<K> {
    return this.#keep(name, this.#root.openDB<Buffer, K>({ name, encoding: 'binary' }))
  }

  json<K extends Key>(name: string): Table<K> {
    return this.#keep(name, this.#root.openDB<unknown, K>({ name, encoding: 'json' }))
  }

  /** Resolves when all that was committed is on disk. */
  async flushed(): Promise<void> {
    await this.#root.flushed
  }

  /** Bytes of the pages in use by one database. */
  usedBytes(name: string): number {
    return pagesInUse(this.#databases.get(name)?.getStats())
  }

  close(): Promise<void> {
    this.#closed ??= this.#root.close()
    return this.#closed
  }

  #keep<T extends { getStats(): unknown }>(name: string, database: T): T {
    this.#databases.set(name, database)
    return database
  }
}

function pagesInUse(stats: unknown): number {
  if (typeof stats !== 'object' || stats === null) return 0
  const figure = (name: string): number => {
    const value: unknown = Reflect.get(stats, name)
    return typeof value === 'number' ? value : 0
  }
  const pages = figure('treeBranchPageCount') + figure('treeLeafPageCount') + figure('overflowPages')
  return pages * figure('pageSize')
}
