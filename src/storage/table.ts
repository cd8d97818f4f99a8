/**
 * A thread's id, or another name, and a member of it. Where a name has one value only, there is no member. Names may be
 * any text; a member is a number, or at most 256 characters of ASCII.
 */
export type Key = readonly [name: string, member?: string | number]

/** Of a damaged one nothing but its key is known. */
export interface TableEntry<V> {
  key: Key
  value: V | undefined
}

/** Small values under keys. They are written by `Storage.commit`. */
export interface Table<V> {
  /** @throws {RunnerError} `storage_damaged`. */
  get(key: Key): Promise<V | undefined>
  /** In the order of the keys, in one step. @throws {RunnerError} `storage_damaged`. */
  getAll(keys: readonly Key[]): Promise<readonly (V | undefined)[]>
  /** Whether there is one, damaged or not. */
  has(key: Key): Promise<boolean>
  /**
   * Those of one name, in the order of their members; without a name all of a table that has one value a name. For tables
   * that another limit bounds. One that is damaged hides no other.
   */
  entries(name?: string): Promise<readonly TableEntry<V>[]>
}

/** JSON values, but for the queue; whoever reads them checks their shape. */
export interface Tables {
  /** Facts by thread. */
  readonly threads: Table<unknown>
  /** Runs that each thread has seen. */
  readonly runs: Table<unknown>
  /** Messages that each thread has seen. */
  readonly messages: Table<unknown>
  /** Runs that wait, by thread and place. */
  readonly queue: Table<Buffer>
  /** What the workspace remembers, by name. It belongs to no thread. */
  readonly workspace: Table<unknown>
}

/** What a commit changes in a table; without a value the entry is removed. */
export type Write =
  | { table: 'queue'; key: Key; value: Buffer | undefined }
  | { table: Exclude<keyof Tables, 'queue'>; key: Key; value: unknown }
