/**
 * A thread's id or another name, and a member under it. There is no member where a name has only one value. A name is
 * any text; a member is a number, or ASCII text of at most 256 characters.
 */
export type Key = readonly [name: string, member?: string | number]

/** An entry of a table. `value` is undefined when the entry is damaged. */
export interface TableEntry<V> {
  key: Key
  value: V | undefined
}

/** Small values under keys. `Storage.commit` writes them. */
export interface Table<V> {
  /** Returns undefined when there is no entry. @throws {RunnerError} `storage_damaged`. */
  get(key: Key): Promise<V | undefined>
  /** Returns the values in the order of `keys`, in one step. @throws {RunnerError} `storage_damaged`. */
  getAll(keys: readonly Key[]): Promise<readonly (V | undefined)[]>
  /** Whether there is an entry, damaged or not. */
  has(key: Key): Promise<boolean>
  /**
   * Returns the entries of one name, in the order of their members; without a name, all entries of a table that has one
   * value per name. Only for tables that another limit bounds. A damaged entry hides no other.
   */
  entries(name?: string): Promise<readonly TableEntry<V>[]>
}

/** The tables. Values are JSON, except in the queue; the reader of a value checks its shape. */
export interface Tables {
  /** Facts about each thread, by thread id. */
  readonly threads: Table<unknown>
  /** Runs that each thread has seen, and the digests of its replies. */
  readonly runs: Table<unknown>
  /** Messages that each thread has seen. */
  readonly messages: Table<unknown>
  /** Pending runs, by thread and place in the queue. */
  readonly queue: Table<Buffer>
  /** Facts about the workspace, by name. They belong to no thread. */
  readonly workspace: Table<unknown>
}

/** One change to a table. Without a value the entry is removed. */
export type Write =
  | { table: 'queue'; key: Key; value: Buffer | undefined }
  | { table: Exclude<keyof Tables, 'queue'>; key: Key; value: unknown }
