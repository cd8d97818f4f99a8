import { z } from 'zod'
import { isCode } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { EventLog } from './event-log.ts'

/** Seqs of records that are damaged, both included. */
const Lost = z.object({ first: z.number(), last: z.number() })
export type Lost = z.infer<typeof Lost>

const Expired = z.object({ oldestSeq: z.number(), lost: Lost.optional() })

export interface KeptOptions {
  after: number
  /** The last seq that is wanted. */
  head: number
  signal: AbortSignal
  /** Called where records are damaged; those that retention has removed are passed over. */
  onLost?(lost: Lost): void
}

/** What is still there of a thread's records behind `after`, up to `head`. */
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
      // Dropped, or closed: there is no more.
      return
    } catch (error) {
      const { success, data } = Expired.safeParse(isCode(error, 'replay_expired') ? error.details : undefined)
      // Behind the head it is another thread of this id.
      if (!success || data.oldestSeq - 1 <= at) throw error
      if (data.lost !== undefined) onLost?.(data.lost)
      at = data.oldestSeq - 1
    }
  }
}
