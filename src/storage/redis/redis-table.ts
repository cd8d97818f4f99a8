import { isCode } from '../../errors.ts'
import type { Key, Table, TableEntry } from '../table.ts'
import type { RedisClient } from './client.ts'
import { idOfName, THREADS_KEY, threadKey } from './keys.ts'
import { damagedEntry, textsOfReply, valuesOfReply } from './reply.ts'

export interface RedisTableOptions<V> {
  client: RedisClient
  /** Returns the Redis key that holds the values of one name. */
  keyOf(name: string): string
  /** Returns the hash field of a key's value. */
  fieldOf(key: Key): string
  /** @throws when the bytes are not what was stored. */
  decode(stored: Buffer): V
}

/** A table in Redis. The values of one name are a hash. */
export class RedisTable<V> implements Table<V> {
  protected readonly options: RedisTableOptions<V>

  constructor(options: RedisTableOptions<V>) {
    this.options = options
  }

  async get(key: Key): Promise<V | undefined> {
    return (await this.getAll([key]))[0]
  }

  async getAll(keys: readonly Key[]): Promise<readonly (V | undefined)[]> {
    const { client, keyOf, fieldOf } = this.options
    client.checkOpen()
    // One command per name: in a cluster, only the keys of one thread are on one node.
    const names = new Set(keys.map(([name]) => name))
    const found = await Promise.all(
      [...names].map(async (name) => {
        const members = keys.filter(([each]) => each === name)
        const values = valuesOfReply(await client.ask('HMGET', keyOf(name), ...members.map(fieldOf)))
        return members.map((key, index) => [key, values[index]] as const)
      }),
    )
    const stored = new Map(found.flat())
    return keys.map((key) => this.#decode(key, stored.get(key)))
  }

  async has(key: Key): Promise<boolean> {
    const { client, keyOf, fieldOf } = this.options
    return Number(await client.ask('HEXISTS', keyOf(key[0]), fieldOf(key))) === 1
  }

  async entries(name?: string): Promise<readonly TableEntry<V>[]> {
    const { client, keyOf } = this.options
    const pairs = valuesOfReply(await client.ask('HGETALL', keyOf(name ?? '')))
    const entries: TableEntry<V>[] = []
    for (let at = 0; at < pairs.length; at += 2) {
      const member = String(pairs[at])
      const key: Key = name === undefined ? [member] : [name, /^\d+$/.test(member) ? Number(member) : member]
      entries.push({ key, value: this.#wholeOf(pairs[at + 1]) })
    }
    return entries.sort(({ key: [, a] }, { key: [, b] }) => (Number(a) < Number(b) ? -1 : 1))
  }

  #decode(key: Key, stored: Buffer | undefined): V | undefined {
    const value = this.#wholeOf(stored)
    if (value === undefined && stored !== undefined) throw damagedEntry(key)
    return value
  }

  /** Returns undefined for a missing or damaged value. */
  #wholeOf(stored: Buffer | undefined): V | undefined {
    if (stored === undefined) return undefined
    try {
      return this.options.decode(stored)
    } catch {
      return undefined
    }
  }
}

/** Facts by thread. The list of threads is on one node, and may name threads that no longer exist. */
export class ThreadsTable extends RedisTable<unknown> {
  constructor(client: RedisClient) {
    super({
      client,
      keyOf: (name) => threadKey(name, 'meta'),
      fieldOf: () => 'facts',
      decode: (stored) => JSON.parse(stored.toString()),
    })
  }

  override async entries(): Promise<readonly TableEntry<unknown>[]> {
    const names = textsOfReply(await this.options.client.ask('SMEMBERS', THREADS_KEY))
    const ids = names.map(idOfName).filter((id) => id !== undefined)
    return (await Promise.all(ids.map((id) => this.#entryOf([id])))).flat()
  }

  /** Returns one entry, or none when there is no value. */
  async #entryOf(key: Key): Promise<TableEntry<unknown>[]> {
    try {
      const value = await this.get(key)
      return value === undefined ? [] : [{ key, value }]
    } catch (error) {
      if (isCode(error, 'storage_damaged')) return [{ key, value: undefined }]
      throw error
    }
  }
}
