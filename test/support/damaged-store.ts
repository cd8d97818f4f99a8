import { readFileSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { RunnerError } from '../../src/errors.ts'
import type { LogRecord } from '../../src/storage/batch.ts'
import type { EventLog } from '../../src/storage/event-log.ts'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { readKept } from '../../src/storage/replay.ts'
import { isReadable } from '../../src/thread/stored-threads.ts'
import { putFacts, putRun, ThreadTable } from '../../src/thread/thread-table.ts'
import { appendTo, deltas, span } from './event-log.ts'

export const PAGE = 4096
const THREADS = ['small', 'mixed', 'twin', 'large']

/** What a seeded store holds, thread by thread. */
export type Held = Map<string, readonly LogRecord[]>

/** Threads of inline values, of values of some pages, and of both; with free pages in between, as a life leaves them. */
export async function seed(directory: string): Promise<Held> {
  const storage = await LmdbStorage.open(directory, { retentionBytes: 1024 ** 3 })
  const bytes: Record<string, (index: number) => number> = {
    gone: () => 3000,
    small: () => 60,
    mixed: (index) => (index % 3 === 0 ? 9000 : 500),
    twin: (index) => (index % 3 === 0 ? 9000 : 500),
    large: () => 30_000,
  }
  for (const [threadId, sizeOf] of Object.entries(bytes)) {
    const now = Date.now()
    const facts = { createdAt: now, updatedAt: now, lastOutcome: 'success', memory: {} } as const
    const writes = [putFacts(threadId, { ...facts, usage: [] }), putRun(threadId, 'r')]
    await storage.commit({ threadId, writes })
    for (const index of span(1, 60)) {
      await appendTo(storage, threadId, 'r', deltas(2, `${index} ${'x'.repeat(sizeOf(index) / 2)}`))
    }
  }
  await storage.drop('gone')
  const held: Held = new Map()
  for (const threadId of THREADS) held.set(threadId, (await readAll(storage.log, threadId)).records)
  await storage.close()
  return held
}

interface ReadAll {
  records: LogRecord[]
  /** Seqs told as damaged. */
  lost: number[]
}

async function readAll(log: EventLog, threadId: string): Promise<ReadAll> {
  const result: ReadAll = { records: [], lost: [] }
  const { signal } = new AbortController()
  const head = await log.head(threadId)
  const onLost = ({ first, last }: { first: number; last: number }): void => {
    // Behind a last batch that is damaged many seqs are left out.
    result.lost.push(...span(first, Math.min(last, first + 1000)))
  }
  for await (const batches of readKept(log, threadId, { after: 0, head, signal, onLost }))
    for (const batch of batches) result.records.push(...batch.records())
  return result
}

/** What a damaged store gives. Everything else is a defect, and thrown. */
export type Outcome = 'whole' | 'gap' | 'refused'

/** Opens what was damaged, reads all of it, and goes on with it. */
export async function outcomeOf(directory: string, held: Held): Promise<Outcome> {
  const storage = await openOrRefuse(directory)
  if (storage === undefined) return 'refused'
  try {
    let outcome: Outcome = 'whole'
    for (const { threadId } of await new ThreadTable(storage).all())
      if (!held.has(threadId)) throw new Error(`what is ${threadId}?`)
    for (const [threadId, records] of held) {
      const read = await readAll(storage.log, threadId)
      const lost = new Set(read.lost)
      if (lost.size > 0) outcome = 'gap'
      const wanted = records.filter(({ seq }) => !lost.has(seq))
      if (!isDeepStrictEqual(read.records, wanted)) {
        const seqs = read.records.map(({ seq }) => seq)
        throw new Error(
          `${threadId} gave ${seqs.length} records and ${lost.size} lost, not ${records.length}`,
        )
      }
      const last = records.at(-1)?.seq ?? 0
      const next = await appendTo(storage, threadId, 'next', deltas(1))
      if (next.first <= last) throw new Error(`seq ${next.first} was given out before`)
      await storage.drop(threadId)
    }
    return outcome
  } finally {
    await storage.close()
  }
}

async function openOrRefuse(directory: string): Promise<LmdbStorage | undefined> {
  try {
    return await LmdbStorage.open(directory, { retentionBytes: 1024 ** 3, isReadable })
  } catch (error) {
    const isTold =
      error instanceof RunnerError &&
      error.code === 'storage_damaged' &&
      error.message.includes(directory) &&
      /STATE_RECOVERY=reset|Give user/.test(error.message)
    if (!isTold) throw error
    return undefined
  }
}

export class DataFile {
  readonly path: string
  readonly bytes: Buffer

  constructor(path: string) {
    this.path = path
    this.bytes = readFileSync(path)
  }

  save(bytes = this.bytes): void {
    writeFileSync(this.path, bytes)
  }

  page(number: number): Buffer {
    return this.bytes.subarray(number * PAGE, (number + 1) * PAGE)
  }

  /** Pages in use by the youngest snapshot. */
  get used(): number {
    return Math.max(...[0, PAGE].map((at) => Number(this.bytes.readBigUInt64LE(at + 144)))) + 1
  }

  /** The root of the list of free pages, and of databases. */
  get roots(): { free: number; main: number } {
    const txnOf = (at: number): bigint => this.bytes.readBigUInt64LE(at + 152)
    const at = txnOf(0) > txnOf(PAGE) ? 0 : PAGE
    return { free: this.number(at + 88), main: this.number(at + 136) }
  }

  /** The root of one table. */
  rootOf(table: string): number {
    const main = this.page(this.roots.main)
    return Number(main.readBigUInt64LE(main.indexOf(`${table}\0`, 0, 'latin1') + table.length + 1 + 40))
  }

  /** The pages below the root of a tree, by what they are. */
  below(root: number): { branches: number[]; leaves: number[] } {
    const page = this.page(root)
    if (page.readUInt16LE(18) !== 1) return { branches: [], leaves: [root] }
    const found = { branches: [root], leaves: [] as number[] }
    for (let at = 0; at < page.readUInt16LE(20); at += 2) {
      const child = this.below(page.readUInt32LE(page.readUInt16LE(24 + at) + 24))
      found.branches.push(...child.branches)
      found.leaves.push(...child.leaves)
    }
    return found
  }

  number(at: number): number {
    return Number(this.bytes.readBigUInt64LE(at))
  }

  /** Where a text stands: the last in the file, or in a page. */
  placeOf(text: string, page?: number): number {
    const at =
      page === undefined ? this.bytes.lastIndexOf(text) : this.page(page).lastIndexOf(text) + page * PAGE
    if (at < 0) throw new Error(`"${text}" is not in the file`)
    return at
  }
}
