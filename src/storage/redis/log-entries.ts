import { Batch } from '../batch.ts'

/** Bytes one step of a replay takes out of Redis, about. */
export const READ_BYTES_MAX = 256 * 1024
/** No step of more than `ENTRIES_MIN` entries is larger, whatever comes. */
const READ_BYTES_LIMIT = 8 * 1024 * 1024
export const ENTRIES_MIN = 8
const ENTRIES_MAX = 2048

/** How many are asked for next: about `READ_BYTES_MAX` as those before were, and not far above if each were the largest. */
export function entriesFor(before: readonly Buffer[], largest: number): number {
  const bytes = before.reduce((sum, each) => sum + each.length, 0)
  const wanted = Math.round((READ_BYTES_MAX * before.length) / bytes)
  return Math.max(ENTRIES_MIN, Math.min(wanted, ENTRIES_MAX, Math.floor(READ_BYTES_LIMIT / largest)))
}

/** From the one that holds what follows `seq`, up to the first that is not whole. */
export function wholeFrom(stored: readonly Buffer[], seq: number): readonly Batch[] {
  const batches: Batch[] = []
  let next = seq + 1
  for (const bytes of stored) {
    const batch = decoded(bytes)
    if (batch === undefined || batch.first > next || batch.last < next) break
    batches.push(batch.after(seq))
    next = batch.last + 1
  }
  return batches
}

export function decoded(bytes: Buffer): Batch | undefined {
  try {
    return Batch.decode(bytes)
  } catch {
    return undefined
  }
}
