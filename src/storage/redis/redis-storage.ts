import assert from 'node:assert'
import type { Batch } from '../batch.ts'
import { type Blob, type Blobs, decodeBlob } from '../blob.ts'
import { closedStore } from '../gate.ts'
import type { Commit, Storage } from '../storage.ts'
import type { Key, Tables, Write } from '../table.ts'
import { checkServer } from './check.ts'
import { RedisClient } from './client.ts'
import { type ThreadKey, threadKey, threadKeys, workspaceKey } from './keys.ts'
import { Lanes } from './lanes.ts'
import { RedisEventLog } from './redis-event-log.ts'
import { parsePlace } from './redis-place.ts'
import { RedisTable, ThreadsTable } from './redis-table.ts'
import { RedisTranscripts } from './redis-transcripts.ts'
import { damagedEntry } from './reply.ts'
import { PROBE } from './scripts.ts'
import { tenantOf } from './tenant.ts'

export interface RedisStorageOptions {
  /** The value of `EVENT_LOG_URL`. */
  url: string
  /** Id of this runner, kept across restarts. */
  runnerId: string
  /** URL that other runners name to clients that ask for this runner's threads. */
  runnerUrl: string
  /** Milliseconds for which a thread stays with a runner that does not renew its lease. */
  leaseMs: number
  /** Size in bytes above which a thread's oldest records are removed; the same limit applies to its blobs. */
  retentionBytes: number
  /**
   * Age in milliseconds above which records and blobs are removed: all of them when nothing was written to the thread
   * for so long. 0 for never.
   */
  retentionMs?: number
  now?: () => number
}

/** Milliseconds for which `close` waits for pending commits. */
const LAST_COMMITS_MS = 5000

/** The storage port on one Redis that many runners share. docs/redis.md describes the keys. */
export class RedisStorage implements Storage {
  readonly log: RedisEventLog
  readonly blobs: Blobs
  readonly tables: Tables
  readonly tenancy: Lanes
  readonly transcripts: RedisTranscripts
  readonly #client: RedisClient
  readonly #workspaceKey: string
  #closed: Promise<void> | undefined

  private constructor(options: RedisStorageOptions) {
    const { url, runnerId, runnerUrl, leaseMs, retentionBytes, retentionMs = 0, now = Date.now } = options
    this.#client = RedisClient.open(parsePlace(url), {
      onBack: () => this.tenancy.renewAll(),
      onMissed: () => this.log.refreshAll(),
    })
    const client = this.#client
    this.log = new RedisEventLog(client, () => this.tenancy.bytes)
    const tenant = tenantOf(runnerId, runnerUrl, leaseMs)
    this.tenancy = new Lanes({ client, tenant, log: this.log, retentionBytes, retentionMs, now })
    this.transcripts = new RedisTranscripts(client, this.tenancy)
    this.#workspaceKey = workspaceKey(runnerId)
    this.blobs = { get: (threadId, id) => this.#blob(threadId, id) }
    const json = (table: ThreadKey): RedisTable<unknown> => new RedisTable({ ...jsonIn(client, table) })
    this.tables = {
      threads: new ThreadsTable(client),
      runs: json('runs'),
      messages: json('messages'),
      queue: new RedisTable({ ...jsonIn(client, 'queue'), decode: (stored: Buffer) => stored }),
      workspace: new RedisTable<unknown>({
        client,
        keyOf: () => this.#workspaceKey,
        fieldOf: ([name]) => name,
        decode: (stored) => JSON.parse(stored.toString()),
      }),
    }
  }

  /** Opens the storage. @throws {RunnerError} `config_invalid`, `storage_unavailable`: nothing was stored then. */
  static async open(options: RedisStorageOptions): Promise<RedisStorage> {
    await checkServer(parsePlace(options.url), workspaceKey(options.runnerId))
    return new RedisStorage(options)
  }

  commit(commit: Commit & Required<Pick<Commit, 'append'>>): Promise<Batch>
  commit(commit: Commit): Promise<Batch | undefined>
  async commit(commit: Commit): Promise<Batch | undefined> {
    if (this.#closed !== undefined || (commit.append !== undefined && this.log.isClosed)) throw closedStore()
    const { writes = [] } = commit
    if (writes.some(({ table }) => table === 'workspace')) return await this.#writeWorkspace(commit)
    return await this.tenancy.laneOf(commit.threadId).commit(commit)
  }

  flushed(): Promise<void> {
    return this.#client.settle()
  }

  async checkRoom(): Promise<void> {
    await this.#client.askScript(PROBE, threadKeys(''), [])
  }

  async drop(threadId: string): Promise<void> {
    if (this.#closed !== undefined) throw closedStore()
    await this.tenancy.drop(threadId)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.log.close()
    const written = Promise.all(this.tenancy.writing.map((lane) => lane.settled()))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_COMMITS_MS)
    })
    await Promise.race([written.then(() => this.tenancy.close()), late])
    clearTimeout(timer)
    this.tenancy.stop()
    this.#client.close()
  }

  async #blob(threadId: string, id: string): Promise<Blob | undefined> {
    const stored = await this.#client.ask('HGET', threadKey(threadId, 'blobs'), id)
    if (!Buffer.isBuffer(stored)) return undefined
    try {
      return decodeBlob(stored)
    } catch {
      throw damagedEntry([threadId, id])
    }
  }

  async #writeWorkspace({ append, blobs = [], writes = [] }: Commit): Promise<undefined> {
    assert(append === undefined && blobs.length === 0, 'the workspace belongs to no thread')
    for (const write of writes) await this.#writeWorkspaceEntry(write)
  }

  async #writeWorkspaceEntry({ table, key: [name], value }: Write): Promise<void> {
    assert(table === 'workspace', 'the workspace belongs to no thread')
    if (value === undefined) await this.#client.ask('HDEL', this.#workspaceKey, name)
    else await this.#client.ask('HSET', this.#workspaceKey, name, JSON.stringify(value))
  }
}

/** Returns the options of a table with JSON values by member, in one hash per thread. */
function jsonIn(client: RedisClient, table: ThreadKey) {
  return {
    client,
    keyOf: (name: string) => threadKey(name, table),
    fieldOf: ([, member = '']: Key) => String(member),
    decode: (stored: Buffer): unknown => JSON.parse(stored.toString()),
  }
}
