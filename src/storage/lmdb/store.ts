import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Key, RootDatabase } from 'lmdb'
import { RunnerError, toMessage } from '../../errors.ts'
import { Gate } from '../gate.ts'
import { Room } from './room.ts'
import { DATA_FILE, markOpening, prepareStore, type StoreOptions, unusable } from './store-folder.ts'
import { type Codec, StoreTable } from './store-table.ts'

/**
 * Encodes an id as a part of a key. lmdb cuts a long string at a NUL and confuses lone surrogates. JSON has neither,
 * and an id of 256 characters as JSON fits in the longest key.
 */
export function keyText(id: string): string {
  return JSON.stringify(id)
}

export function idOfKey(text: string): string {
  return String(JSON.parse(text))
}

const JSON_CODEC: Codec<unknown> = {
  encode: (value) => [Buffer.from(JSON.stringify(value))],
  decode: (bytes) => JSON.parse(bytes.toString()),
}

/** Loads lmdb on first use: a log in Redis needs none. `require` loads one file, `import` twenty, which is slower. */
function loadLmdb(): typeof import('lmdb') {
  return createRequire(import.meta.url)('lmdb')
}

/** Loads the encoding of keys that lmdb itself has loaded. */
function loadKeyEncoding(): typeof import('ordered-binary') {
  return createRequire(import.meta.url)('ordered-binary')
}

const BYTES_CODEC: Codec<Buffer> = { encode: (bytes) => [bytes], decode: (bytes) => bytes }

/**
 * The one LMDB environment of a state folder. The event log and the thread facts are tables in it, so that all writes
 * of one turn are committed together.
 */
export class Store {
  /** The damaged store that this one replaces, and its problem; undefined when there was none. */
  readonly replaced: { setAside: string; problem: string } | undefined
  readonly #root: RootDatabase
  readonly #encodeKey = loadKeyEncoding().toBufferKey
  readonly #room: Room
  readonly #gate = new Gate()
  readonly #tables = new Map<string, { getStats(): unknown }>()
  #closed: Promise<void> | undefined

  private constructor(root: RootDatabase, room: Room, replaced: Store['replaced']) {
    this.#root = root
    this.#room = room
    this.replaced = replaced
  }

  /**
   * @param directory created when it is missing.
   * @throws {RunnerError} `storage_damaged`, found before anything is mapped; `storage_full`.
   */
  static open(directory: string, { recovery = 'refuse', isReadable = () => true }: StoreOptions = {}): Store {
    const replaced = prepareStore(directory, { recovery, isReadable })
    const path = join(directory, DATA_FILE)
    const opening = markOpening(directory)
    try {
      const root = loadLmdb().open({ path, maxDbs: 8, compression: false })
      const figure = (name: string): number => figureOf(root.getStats(), name)
      const room = new Room({
        path,
        pageBytes: figure('pageSize'),
        lastPage: () => figure('lastPageNumber'),
      })
      reserve(room)
      return new Store(root, room, replaced)
    } catch (error) {
      throw error instanceof RunnerError ? error : unusable(directory, toMessage(error))
    } finally {
      opening.end()
    }
  }

  /** Runs `open` in one transaction, so that creating its tables waits for the disk once, not once per table. */
  opening<T>(open: () => T): T {
    return this.#root.transactionSync(open)
  }

  table<V, K extends Key>(name: string, codec: Codec<V>): StoreTable<V, K> {
    const database = this.#root.openDB<Buffer, K>({ name, encoding: 'binary' })
    const table = new StoreTable<V, K>(database, {
      name,
      codec,
      encodeKey: this.#encodeKey,
      room: this.#room,
      gate: this.#gate,
    })
    this.#tables.set(name, table)
    return table
  }

  bytes<K extends Key>(name: string): StoreTable<Buffer, K> {
    return this.table<Buffer, K>(name, BYTES_CODEC)
  }

  /** Returns a table of JSON values. The reader of a value checks its shape. */
  json<K extends Key>(name: string): StoreTable<unknown, K> {
    return this.table<unknown, K>(name, JSON_CODEC)
  }

  /** @throws {RunnerError} `shutting_down` when the store is closed. */
  checkOpen(): void {
    this.#gate.check()
  }

  /** @throws {RunnerError} `storage_full` when a run would not find room. */
  checkRoom(): void {
    this.#gate.check()
    this.#room.check()
  }

  /** Resolves when all that was committed is on disk. */
  async flushed(): Promise<void> {
    this.#gate.check()
    await this.#root.flushed
  }

  /** Returns the size of the pages that one table uses, in bytes. */
  usedBytes(name: string): number {
    const stats = this.#tables.get(name)?.getStats()
    const pages = ['treeBranchPageCount', 'treeLeafPageCount', 'overflowPages']
    return pages.reduce((sum, page) => sum + figureOf(stats, page), 0) * figureOf(stats, 'pageSize')
  }

  close(): Promise<void> {
    this.#gate.close()
    this.#closed ??= this.#root.close().finally(() => this.#room.close())
    return this.#closed
  }
}

/** Reserves room before the first write. A full disk is no error here, since the stored data can still be read. */
function reserve(room: Room): void {
  try {
    room.check()
  } catch (error) {
    if (!(error instanceof RunnerError)) throw error
  }
}

function figureOf(stats: unknown, name: string): number {
  if (typeof stats !== 'object' || stats === null) return 0
  const value: unknown = Reflect.get(stats, name)
  return typeof value === 'number' ? value : 0
}
