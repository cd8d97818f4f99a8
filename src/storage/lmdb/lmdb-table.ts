import type { Database, Key, RangeOptions } from 'lmdb'
import { RunnerError, toMessage } from '../../errors.ts'
import { storeDamaged } from '../damage.ts'
import type { Gate } from '../gate.ts'
import { isFull, type Room, storageFull } from './room.ts'
import { seal, unseal } from './seal.ts'

export interface Codec<V> {
  /** In parts, so that a large value is copied once. */
  encode(value: V): readonly Uint8Array[]
  decode(bytes: Buffer): V
}

export interface TableWriteOptions {
  /** Belongs to the end of something: may use the room that is kept for it when the disk is full. */
  isLast?: boolean
}

/** An entry as it lies in the store; `value` is `undefined` when it is not what was written. */
export interface StoredEntry<V, K> {
  key: K
  value: V | undefined
  bytes: number
}

/** A write that has its room. Either of the two is called, once. */
export interface ClaimedWrite {
  /** Resolves when committed; what is written in one turn is committed together. */
  write(): Promise<void>
  release(): void
}

/**
 * Resolves when all of them are committed, in one transaction.
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

/** Removals that are committed together; the event loop turns in between. */
const REMOVALS_TOGETHER = 128

/**
 * One database of the store: every value under a checksum, every write with its room claimed first. All of its verbs throw
 * `shutting_down` when the store is closed: lmdb itself would hang, or end the process.
 */
export class StoreTable<V, K extends Key> {
  readonly name: string
  readonly #database: Database<Buffer, K>
  readonly #codec: Codec<V>
  readonly #room: Room
  readonly #gate: Gate

  constructor(
    database: Database<Buffer, K>,
    options: { name: string; codec: Codec<V>; room: Room; gate: Gate },
  ) {
    this.#database = database
    this.name = options.name
    this.#codec = options.codec
    this.#room = options.room
    this.#gate = options.gate
  }

  /** @throws {RunnerError} `storage_damaged`. */
  get(key: K): V | undefined {
    const stored = this.#reading(() => this.#database.get(key))
    return stored === undefined ? undefined : this.#whole(key, this.#decode(stored))
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
        yield { key, value: this.#decode(value), bytes: value.length }
    } catch (error) {
      throw this.#unreadable(error)
    }
  }

  /**
   * Resolves when committed. The room is claimed at once: what this throws, it throws before it returns.
   *
   * @throws {RunnerError} `storage_full`.
   */
  put(key: K, value: V, options: TableWriteOptions = {}): Promise<void> {
    return this.claimPut(key, value, options).write()
  }

  /** Resolves when committed. @throws {RunnerError} `storage_full`, as `put`. */
  remove(key: K): Promise<void> {
    return this.claimRemoval(key).write()
  }

  /** @throws {RunnerError} `storage_full`. */
  claimPut(key: K, value: V, { isLast = false }: TableWriteOptions = {}): ClaimedWrite {
    const bytes = seal(...this.#codec.encode(value))
    return this.#claim(bytes.length, isLast, () => this.#database.put(key, bytes))
  }

  /** @throws {RunnerError} `storage_full`. */
  claimRemoval(key: K): ClaimedWrite {
    return this.#claim(0, true, () => this.#database.remove(key))
  }

  /** Removes the entries in steps, as many at once as there is room for. @throws {RunnerError} `storage_full`. */
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
          // lmdb takes no such key.
          settle()
          throw error
        }
      },
    }
  }

  #decode(stored: Buffer): V | undefined {
    const bytes = unseal(stored)
    if (bytes === undefined) return undefined
    try {
      return this.#codec.decode(bytes)
    } catch {
      // In a value without a checksum this shows that it is damaged.
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

  /** LMDB notices some damage itself. */
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

/** lmdb gives the cause of a failed commit by a second promise, which rejects as well. */
async function commitFailure(error: unknown, name: string): Promise<RunnerError> {
  const told = error instanceof Error && 'commitError' in error ? error.commitError : error
  const cause = await Promise.resolve(told).catch((reason: unknown) => reason)
  // The system's error number is all that lmdb keeps of it.
  const isNoRoom = isFull(cause) || /No space left|Disk quota|File too large/.test(toMessage(cause))
  if (isNoRoom) return storageFull(name, cause)
  return new RunnerError('internal', `The store cannot be written: ${toMessage(cause)}`, { cause })
}
