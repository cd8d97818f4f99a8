import type { Key, Table, TableEntry } from '../table.ts'
import { idOfKey, keyText } from './store.ts'
import type { ClaimedWrite, StoreTable, TableWriteOptions } from './store-table.ts'

type LmdbKey = string | [name: string, member: string | number]

/** How names are encoded in keys. */
interface Names {
  write(name: string): string
  read(name: string): string
}
const ANY_TEXT: Names = { write: keyText, read: idOfKey }
/** Names as they are: the encoding from before names could be any text. */
export const PLAIN: Names = { write: (name) => name, read: (name) => name }

/** A table of the port. It translates the port's keys to those of the store. */
export class LmdbTable<V> implements Table<V> {
  readonly #table: StoreTable<V, LmdbKey>
  readonly #names: Names

  constructor(table: StoreTable<V, LmdbKey>, names = ANY_TEXT) {
    this.#table = table
    this.#names = names
  }

  async get(key: Key): Promise<V | undefined> {
    return this.#table.get(this.#keyOf(key))
  }

  async getAll(keys: readonly Key[]): Promise<(V | undefined)[]> {
    return keys.map((key) => this.#table.get(this.#keyOf(key)))
  }

  async has(key: Key): Promise<boolean> {
    return this.#table.doesExist(this.#keyOf(key))
  }

  async entries(name?: string): Promise<TableEntry<V>[]> {
    const { read } = this.#names
    const found = [...this.#table.getStored(name === undefined ? {} : this.#membersOf(name))]
    return found.map(({ key, value }) => ({
      key: typeof key === 'string' ? [read(key)] : [read(key[0]), key[1]],
      value,
    }))
  }

  claim(key: Key, value: V | undefined, options: TableWriteOptions): () => ClaimedWrite {
    const at = this.#keyOf(key)
    return () =>
      value === undefined ? this.#table.claimRemoval(at) : this.#table.claimPut(at, value, options)
  }

  async drop(name: string): Promise<void> {
    await this.#table.removeAll(this.#membersOf(name))
  }

  #keyOf([name, member]: Key): LmdbKey {
    const written = this.#names.write(name)
    return member === undefined ? written : [written, member]
  }

  /** Returns the key range of a name's members. LMDB sorts numbers before texts. */
  #membersOf(name: string): { start: LmdbKey; end: LmdbKey } {
    const written = this.#names.write(name)
    return { start: [written, 0], end: [written, '\uffff'] }
  }
}
