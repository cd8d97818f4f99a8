import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../src/agui/event.ts'
import type { Batch, LogRecord } from '../../src/storage/batch.ts'
import type { EventLog } from '../../src/storage/event-log.ts'
import { LmdbStorage, type LmdbStorageOptions } from '../../src/storage/lmdb/lmdb-storage.ts'
import type { Commit, Storage } from '../../src/storage/storage.ts'

/** Appends to one log and nothing else. */
export function appendTo(
  storage: Storage,
  threadId: string,
  runId: string,
  events: readonly AguiEvent[],
  options: Pick<Commit, 'isLast'> = {},
): Promise<Batch> {
  return storage.commit({ threadId, append: { runId, events }, ...options })
}

/** A folder for stores, removed at the end together with whatever is still open on it. */
export class StoreFolder {
  readonly directory = mkdtempSync(join(tmpdir(), 'agui-log-test-'))
  readonly #opened: Storage[] = []

  /** Another process on the same folder, when what was opened before is closed. */
  async open(options: Partial<LmdbStorageOptions> = {}): Promise<LmdbStorage> {
    const storage = await LmdbStorage.open(this.directory, { retentionBytes: 1024 ** 3, ...options })
    this.#opened.push(storage)
    return storage
  }

  async remove(): Promise<void> {
    for (const opened of this.#opened) await opened.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export function delta(text: string): AguiEvent {
  return { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta: text }
}

export function deltas(count: number, text = 'delta'): AguiEvent[] {
  return Array.from({ length: count }, (_, index) => delta(`${text} ${index}`))
}

export interface ReadOptions {
  after?: number
  /** Stops behind this seq; without it at the log's present head. */
  upTo?: number
  signal?: AbortSignal
  /** Awaited between two steps: the reader's pace. */
  pace?: () => Promise<void>
}

/** Everything from `after` to `upTo`, as batches. */
export async function readBatches(
  log: EventLog,
  threadId: string,
  { after = 0, upTo, signal, pace }: ReadOptions = {},
): Promise<Batch[]> {
  const last = upTo ?? (await log.head(threadId))
  const all: Batch[] = []
  if (last <= after) return all
  for await (const batches of log.read(threadId, after, signal ?? new AbortController().signal)) {
    all.push(...batches)
    if ((batches.at(-1)?.last ?? 0) >= last) break
    await pace?.()
  }
  return all
}

export async function readRecords(
  log: EventLog,
  threadId: string,
  options: ReadOptions = {},
): Promise<LogRecord[]> {
  return (await readBatches(log, threadId, options)).flatMap((batch) => batch.records())
}

export function seqsOf(records: readonly { seq: number }[]): number[] {
  return records.map(({ seq }) => seq)
}

/** `from` to `to`, both included. */
export function span(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** Of the bytes that the batches send. */
export function hashOf(batches: readonly Batch[]): string {
  const hash = createHash('sha256')
  for (const { sse } of batches) hash.update(sse)
  return hash.digest('hex')
}

/** The next turn of the event loop, timers and I/O done. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
