import { z } from 'zod'
import { isCode, RunnerError } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { EventLog } from './event-log.ts'

/** A range of damaged records: its first and its last seq. */
const Lost = z.object({ first: z.number(), last: z.number() })
export type Lost = z.infer<typeof Lost>

/** The details of `replay_expired`. `oldestSeq` is the first seq to go on with. */
const Expired = z.object({ oldestSeq: z.number(), lost: Lost.optional() })

/** @throws {RunnerError} `replay_expired` when retention removed records after `after`, or `after` is past the head. */
export function checkKept({ oldest, head }: { oldest: number; head: number }, after: number): void {
  if (after + 1 < oldest) {
    const message = `Records up to ${oldest - 1} of this thread are gone by retention; read after ${oldest - 1}, or connect anew.`
    throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
  }
  if (after > head) {
    // The thread was deleted and made anew, or its store lost records: the reader would silently miss those up to `after`.
    const message = `This thread goes on after record ${head}: record ${after} was another thread's of this id, or the store has lost it; read after 0, or connect anew.`
    throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
  }
}

/** Returns the error for damaged or missing records after `seq`; `oldestSeq` is the first seq to go on with. */
export function damagedGap(seq: number, oldestSeq: number): RunnerError {
  const lost = { first: seq + 1, last: oldestSeq - 1 }
  const message = `Records ${lost.first} to ${lost.last} of this thread are damaged in the store; read after ${lost.last}, or connect anew.`
  return new RunnerError('replay_expired', message, { details: { oldestSeq, lost } })
}

export interface KeptOptions {
  after: number
  /** The last seq to read. */
  head: number
  signal: AbortSignal
  /** Called for each range of damaged records. Records that retention has removed are skipped without a call. */
  onLost?(lost: Lost): void
}

/** Yields the records after `after`, up to `head`, that the store still has. */
export async function* readKept(
  log: EventLog,
  threadId: string,
  { after, head, signal, onLost }: KeptOptions,
): AsyncGenerator<readonly Batch[]> {
  let at = after
  while (at < head && !signal.aborted) {
    try {
      for await (const batches of log.read(threadId, at, signal)) {
        yield batches
        at = batches.at(-1)?.last ?? at
        if (at >= head) return
      }
      // The thread was dropped or the log closed: no more records follow.
      return
    } catch (error) {
      const { success, data } = Expired.safeParse(isCode(error, 'replay_expired') ? error.details : undefined)
      // Nothing to skip: `at` is past the head, so this is another thread of the same id.
      if (!success || data.oldestSeq - 1 <= at) throw error
      if (data.lost !== undefined) onLost?.(data.lost)
      at = data.oldestSeq - 1
    }
  }
}
