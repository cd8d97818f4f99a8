import type { Database, Key, RangeOptions } from 'lmdb'
import { RunnerError, toMessage } from '../../errors.ts'
import { storeDamaged } from '../damage.ts'
import type { Gate } from '../gate.ts'
import { isFull, type Room, storageFull } from './room.ts'
import { seal, unseal, type ValuePlace } from './seal.ts'

export interface Codec<V> {
  /** Encodes a value in parts, so that a large value is copied only once. */
  encode(value: V): readonly Uint8Array[]
  decode(bytes: Buffer): V
}

export interface TableWriteOptions {
  /** Whether the write ends something, such as a run: it may use the room that is kept for that on a full disk. */
  isLast?: boolean
}

/** An entry as stored, and its size in bytes. `value` is undefined when it is not what was written. */
export interface StoredEntry<V, K> {
  key: K
  value: V | undefined
  bytes: number
}

/** A write whose room is claimed. One of the two methods is called, once. */
export interface ClaimedWrite {
  /** Writes; resolves when committed. All writes of one turn are committed together. */
  write(): Promise<void>
  release(): void
}

/**
 * Makes all writes in one transaction; resolves when they are committed.
 *
 * @throws {RunnerError} `storage_full`, before it returns: then none of them is written.
 */
export function writeTogether(claims: Iterable<() => ClaimedWrite>): Promise<unknown> {
  const claimed: ClaimedWrite[] = []
  try {
    for (const claim of claims) claimed.push(claim())
  } catch (error) {
    for (const write of claimed) write.release()
    throw error
  }
  return Promise.all(claimed.map((write) => write.write()))
}

export interface StoreTableOptions<V> {
  name: string
  codec: Codec<V>
  /** Encodes a key as LMDB has it. */
  encodeKey(key: Key): Uint8Array
  room: Room
  gate: Gate
}

/** Removals that are committed together; the event loop turns in between. */
const REMOVALS_TOGETHER = 128

/**
 * One database of the store. Every value has a checksum, and every write claims its room first. All methods throw
 * `shutting_down` when the store is closed: lmdb itself would hang, or end the process.
 */
export class StoreTable<V, K extends Key> {
  readonly name: string
  readonly #database: Database<Buffer, K>
  readonly #codec: Codec<V>
  readonly #encodeKey: StoreTableOptions<V>['encodeKey']
  readonly #room: Room
  readonly #gate: Gate

  constructor(database: Database<Buffer, K>, options: StoreTableOptions<V>) {
    this.#database = database
    this.name = options.name
    this.#codec = options.codec
    this.#encodeKey = options.encodeKey
    this.#room = options.room
    this.#gate = options.gate
  }

  /** Returns undefined when there is no entry. @throws {RunnerError} `storage_damaged`. */
  get(key: K): V | undefined {
    const stored = this.#reading(() => this.#database.get(key))
    return stored === undefined ? undefined : this.#whole(key, this.#decode(key, stored))
  }

  doesExist(key: K): boolean {
    return this.#reading(() => this.#database.doesExist(key))
  }

  getKeys(range?: RangeOptions): Iterable<K> {
    this.#gate.check()
    return this.#each(this.#database.getKeys(range))
  }

  *getStored(range?: RangeOptions): Generator<StoredEntry<V, K>> {
    this.#gate.check()
    try {
      for (const { key, value } of this.#database.getRange(range))
        yield { key, value: this.#decode(key, value), bytes: value.length }
    } catch (error) {
      throw this.#unreadable(error)
    }
  }

  /**
   * Writes a value; resolves when committed. The room is claimed before this returns: `storage_full` is thrown at once.
   *
   * @throws {RunnerError} `storage_full`.
   */
  put(key: K, value: V, options: TableWriteOptions = {}): Promise<void> {
    return this.claimPut(key, value, options).write()
  }

  /** Removes an entry; resolves when committed. @throws {RunnerError} `storage_full`, as `put`. */
  remove(key: K): Promise<void> {
    return this.claimRemoval(key).write()
  }

  /** @throws {RunnerError} `storage_full`. */
  claimPut(key: K, value: V, { isLast = false }: TableWriteOptions = {}): ClaimedWrite {
    const bytes = seal(this.#placeOf(key), this.#codec.encode(value))
    return this.#claim(bytes.length, isLast, () => this.#database.put(key, bytes))
  }

  /** @throws {RunnerError} `storage_full`. */
  claimRemoval(key: K): ClaimedWrite {
    return this.#claim(0, true, () => this.#database.remove(key))
  }

  /** Removes a range of entries in steps, as many at once as have room. @throws {RunnerError} `storage_full`. */
  async removeAll(range: RangeOptions): Promise<void> {
    this.#gate.check()
    await this.#database.committed
    for (;;) {
      const limit = this.#room.removals(REMOVALS_TOGETHER)
      const keys = [...this.getKeys({ ...range, limit })]
      if (keys.length === 0) return
      await Promise.all(keys.map((key) => this.remove(key)))
    }
  }

  getStats(): unknown {
    this.#gate.check()
    return this.#database.getStats()
  }

  #claim(bytes: number, isLast: boolean, work: () => Promise<unknown>): ClaimedWrite {
    this.#gate.check()
    const claimed = this.#room.claim(bytes, isLast)
    const settle = (): void => this.#room.settle(claimed)
    return {
      release: settle,
      write: () => {
        try {
          return work().then(settle, async (error: unknown) => {
            settle()
            throw await commitFailure(error, this.name)
          })
        } catch (error) {
          // lmdb does not accept this key.
          settle()
          throw error
        }
      },
    }
  }

  #placeOf(key: K): ValuePlace {
    return { table: this.name, key: this.#encodeKey(key) }
  }

  #decode(key: K, stored: Buffer): V | undefined {
    const bytes = unseal(this.#placeOf(key), stored)
    if (bytes === undefined) return undefined
    try {
      return this.#codec.decode(bytes)
    } catch {
      // Only this shows that a value without a checksum is damaged.
      return undefined
    }
  }

  #whole(key: K, value: V | undefined): V {
    if (value !== undefined) return value
    throw storeDamaged(`the entry ${JSON.stringify(key)} of "${this.name}" is not what was written`)
  }

  *#each<T>(entries: Iterable<T>): Generator<T> {
    try {
      yield* entries
    } catch (error) {
      throw this.#unreadable(error)
    }
  }

  /** Runs a read. Reports the damage that LMDB itself notices. */
  #reading<T>(work: () => T): T {
    this.#gate.check()
    try {
      return work()
    } catch (error) {
      throw this.#unreadable(error)
    }
  }

  #unreadable(error: unknown): RunnerError {
    return storeDamaged(`"${this.name}" cannot be read: ${toMessage(error)}`, error)
  }
}

/** Returns the error of a failed commit. lmdb has its cause in a second promise, which rejects as well. */
async function commitFailure(error: unknown, name: string): Promise<RunnerError> {
  const reported = error instanceof Error && 'commitError' in error ? error.commitError : error
  const cause = await Promise.resolve(reported).catch((reason: unknown) => reason)
  // lmdb keeps only the system's error number, so the text of that error decides.
  const isNoRoom = isFull(cause) || /No space left|Disk quota|File too large/.test(toMessage(cause))
  if (isNoRoom) return storageFull(name, cause)
  return new RunnerError('internal', `The store cannot be written: ${toMessage(cause)}`, { cause })
}
