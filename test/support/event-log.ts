import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../src/agui/event.ts'
import type { Batch, LogRecord } from '../../src/storage/batch.ts'
import type { EventLog } from '../../src/storage/event-log.ts'
import { LmdbEventLog, type LmdbEventLogOptions } from '../../src/storage/lmdb/lmdb-event-log.ts'
import { Store } from '../../src/storage/lmdb/store.ts'

export interface OpenedLog {
  readonly log: LmdbEventLog
  readonly store: Store
  close(): Promise<void>
}

/** A folder for stores, removed at the end together with whatever is still open on it. */
export class LogFolder {
  readonly directory = mkdtempSync(join(tmpdir(), 'agui-log-test-'))
  readonly #opened: OpenedLog[] = []

  open(options: Partial<Omit<LmdbEventLogOptions, 'store'>> = {}): OpenedLog {
    const store = Store.open(this.directory)
    const log = new LmdbEventLog({ store, retentionBytes: 1024 ** 3, ...options })
    const opened = {
      log,
      store,
      async close() {
        await log.close()
        await store.close()
      },
    }
    this.#opened.push(opened)
    return opened
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
  { after = 0, upTo = log.head(threadId), signal, pace }: ReadOptions = {},
): Promise<Batch[]> {
  const all: Batch[] = []
  if (upTo <= after) return all
  for await (const batches of log.read(threadId, after, signal ?? new AbortController().signal)) {
    all.push(...batches)
    if ((batches.at(-1)?.last ?? 0) >= upTo) break
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
