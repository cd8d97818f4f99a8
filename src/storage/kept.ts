import { z } from 'zod'
import { isCode } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { EventLog } from './event-log.ts'

/** A range of damaged records: its first and its last seq. */
const Lost = z.object({ first: z.number(), last: z.number() })
export type Lost = z.infer<typeof Lost>

const Expired = z.object({ oldestSeq: z.number(), lost: Lost.optional() })

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
