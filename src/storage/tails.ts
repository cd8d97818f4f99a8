import type { Batch } from './batch.ts'

/** Bytes of batches a thread keeps in memory for the readers that keep up. */
const TAIL_BYTES_MAX = 1024 * 1024
/** The same for all threads together; the thread that was quiet longest gives its share up. */
const TAILS_BYTES_MAX = 16 * 1024 * 1024

/** A thread's youngest batches, so that readers who keep up share them without touching the store. */
export class RecentBatches {
  batches: Batch[] = []
  bytes = 0

  /** From the one that holds what follows `seq`; undefined when that is not here. */
  from(seq: number): readonly Batch[] | undefined {
    const [eldest] = this.batches
    if (eldest === undefined || eldest.first > seq + 1) return undefined
    return this.batches.slice(this.batches.findLastIndex((batch) => batch.first <= seq + 1))
  }
}

/** The tails of all threads, which share one limit. */
export class Tails {
  /** Those that hold something, the one that was quiet longest first. */
  readonly #tails = new Set<RecentBatches>()
  #bytes = 0

  add(tail: RecentBatches, batches: readonly Batch[]): void {
    for (const batch of batches) {
      tail.batches.push(batch)
      this.#grow(tail, batch.sse.length)
    }
    while (tail.bytes > TAIL_BYTES_MAX && tail.batches.length > 1) {
      this.#grow(tail, -(tail.batches.shift()?.sse.length ?? 0))
    }
    // To the end of the set: now it is the last one to have been quiet.
    this.#tails.delete(tail)
    this.#tails.add(tail)
    for (const quiet of this.#tails) {
      if (this.#bytes <= TAILS_BYTES_MAX || quiet === tail) break
      this.forget(quiet)
    }
  }

  forget(tail: RecentBatches): void {
    this.#grow(tail, -tail.bytes)
    tail.batches = []
    this.#tails.delete(tail)
  }

  #grow(tail: RecentBatches, bytes: number): void {
    tail.bytes += bytes
    this.#bytes += bytes
  }
}

/** The first batches that are `bytesMax` together, or one that is more. */
export function upTo(
  bytesMax: number,
  batches: Iterable<Batch>,
  toPart: (batch: Batch) => Batch,
): readonly Batch[] {
  const taken: Batch[] = []
  let bytes = 0
  for (const batch of batches) {
    taken.push(toPart(batch))
    bytes += batch.sse.length
    if (bytes >= bytesMax) break
  }
  return taken
}
