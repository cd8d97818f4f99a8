import type { Batch } from '../batch.ts'
import type { Commit, Storage } from '../storage.ts'
import type { Tables, Write } from '../table.ts'
import { SOLE_TENANT } from '../tenancy.ts'
import { LmdbBlobs } from './blobs.ts'
import { LmdbEventLog } from './lmdb-event-log.ts'
import { LmdbTable, PLAIN } from './lmdb-table.ts'
import { Store } from './store.ts'
import type { StoreOptions } from './store-folder.ts'
import { type ClaimedWrite, writeTogether } from './store-table.ts'

export interface LmdbStorageOptions extends StoreOptions {
  /** Size in bytes above which the oldest records, and a thread's oldest blobs, are removed. */
  retentionBytes: number
  /** Returns milliseconds since the epoch; `Date.now` when left out. */
  now?: () => number
}

/** The storage port on the LMDB environment of one folder. All writes of one turn are one transaction. */
export class LmdbStorage implements Storage {
  /** The damaged store that this one replaces, and its problem; undefined when there was none. */
  readonly replaced: Store['replaced']
  readonly log: LmdbEventLog
  readonly blobs: LmdbBlobs
  readonly tables: Tables
  readonly tenancy = SOLE_TENANT
  readonly #store: Store
  readonly #json: Record<Exclude<keyof Tables, 'queue'>, LmdbTable<unknown>>
  readonly #queue: LmdbTable<Buffer>

  private constructor(store: Store, options: LmdbStorageOptions) {
    this.replaced = store.replaced
    this.#store = store
    this.log = new LmdbEventLog({ ...options, store })
    this.blobs = new LmdbBlobs({ ...options, store })
    const named = (name: string): LmdbTable<unknown> => new LmdbTable(store.json(name))
    this.#json = {
      threads: named('threads'),
      runs: named('runs'),
      messages: named('messages'),
      workspace: new LmdbTable(store.json('workspace'), PLAIN),
    }
    this.#queue = new LmdbTable(store.bytes('queue'))
    this.tables = { ...this.#json, queue: this.#queue }
  }

  /**
   * @param directory created when it is missing.
   * @throws {RunnerError} `storage_damaged`, found before anything is mapped; `storage_full`.
   */
  static async open(directory: string, options: LmdbStorageOptions): Promise<LmdbStorage> {
    const store = Store.open(directory, options)
    return store.opening(() => new LmdbStorage(store, options))
  }

  commit(commit: Commit & Required<Pick<Commit, 'append'>>): Promise<Batch>
  commit(commit: Commit): Promise<Batch | undefined>
  async commit(commit: Commit): Promise<Batch | undefined> {
    this.#store.checkOpen()
    const { threadId, append, isLast = false } = commit
    if (append !== undefined) {
      const { runId, events } = append
      return await this.log.append(threadId, runId, events, { isLast, others: this.#claims(commit) })
    }
    await writeTogether(this.#claims(commit))
    return undefined
  }

  flushed(): Promise<void> {
    return this.#store.flushed()
  }

  async checkRoom(): Promise<void> {
    this.#store.checkRoom()
  }

  async drop(threadId: string): Promise<void> {
    this.#store.checkOpen()
    await Promise.all([this.log.drop(threadId), this.blobs.drop(threadId), this.#queue.drop(threadId)])
    await Promise.all([this.#json.runs.drop(threadId), this.#json.messages.drop(threadId)])
    await writeTogether([this.#json.threads.claim([threadId], undefined, {})])
    await this.flushed()
  }

  async close(): Promise<void> {
    await this.log.close()
    await this.#store.close()
  }

  *#claims({ threadId, blobs = [], writes = [], isLast = false }: Commit): Generator<() => ClaimedWrite> {
    for (const blob of blobs) yield* this.blobs.claims(threadId, blob)
    for (const write of writes) yield this.#claim(write, isLast)
  }

  #claim(write: Write, isLast: boolean): () => ClaimedWrite {
    const { key } = write
    return write.table === 'queue'
      ? this.#queue.claim(key, write.value, { isLast })
      : this.#json[write.table].claim(key, write.value, { isLast })
  }
}
