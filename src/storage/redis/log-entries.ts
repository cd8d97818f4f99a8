import { Batch } from '../batch.ts'

/** Approximate size of one replay step out of Redis, in bytes. */
export const READ_BYTES_MAX = 256 * 1024
/** Upper bound of a step of more than `ENTRIES_MIN` entries, in bytes, even if each entry is the largest one. */
const READ_BYTES_LIMIT = 8 * 1024 * 1024
export const ENTRIES_MIN = 8
const ENTRIES_MAX = 2048

/**
 * Returns how many entries to request next: about `READ_BYTES_MAX` if they are like those before, and at most
 * `READ_BYTES_LIMIT` if each has `largest` bytes.
 */
export function entriesFor(before: readonly Buffer[], largest: number): number {
  const bytes = before.reduce((sum, each) => sum + each.length, 0)
  const wanted = Math.round((READ_BYTES_MAX * before.length) / bytes)
  return Math.max(ENTRIES_MIN, Math.min(wanted, ENTRIES_MAX, Math.floor(READ_BYTES_LIMIT / largest)))
}

/** Returns the batches from the one that holds the record after `seq`, up to the first damaged or missing one. */
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
