import type { Batch } from './batch.ts'

/** Upper bound of the batches that one thread keeps in memory for readers that keep up, in bytes. */
const TAIL_BYTES_MAX = 1024 * 1024
/** Upper bound for all threads together, in bytes. The thread that was quiet longest gives up its batches. */
const TAILS_BYTES_MAX = 16 * 1024 * 1024
/** A thread that was quiet for so long, in milliseconds, gives up its batches. Its next reader reads the store. */
const QUIET_MS = 10_000

/** A thread's latest batches. Readers that keep up share them without touching the store. */
export class ThreadTail {
  batches: Batch[] = []
  bytes = 0
  /** When the latest one came, on the clock of `performance`. */
  at = 0

  /** Returns the batches from the one that holds the record after `seq`; undefined when that record is not here. */
  from(seq: number): readonly Batch[] | undefined {
    const [eldest] = this.batches
    if (eldest === undefined || eldest.first > seq + 1) return undefined
    return this.batches.slice(this.batches.findLastIndex((batch) => batch.first <= seq + 1))
  }
}

/** The tails of all threads, which share one limit. */
export class Tails {
  /** The tails that hold batches; the tail that was quiet longest is first. */
  readonly #tails = new Set<ThreadTail>()
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  readonly #quietMs: number

  constructor(quietMs = QUIET_MS) {
    this.#quietMs = quietMs
  }

  add(tail: ThreadTail, batches: readonly Batch[]): void {
    for (const batch of batches) {
      tail.batches.push(batch)
      this.#grow(tail, batch.sse.length)
    }
    while (tail.bytes > TAIL_BYTES_MAX && tail.batches.length > 1) {
      this.#grow(tail, -(tail.batches.shift()?.sse.length ?? 0))
    }
    // Moves this tail to the end of the set: it is the most recently active one.
    this.#tails.delete(tail)
    this.#tails.add(tail)
    tail.at = performance.now()
    this.#timer ??= setTimeout(() => this.#forgetQuiet(), this.#quietMs).unref()
    for (const quiet of this.#tails) {
      if (this.#bytes <= TAILS_BYTES_MAX || quiet === tail) break
      this.forget(quiet)
    }
  }

  forget(tail: ThreadTail): void {
    this.#grow(tail, -tail.bytes)
    tail.batches = []
    this.#tails.delete(tail)
  }

  #forgetQuiet(): void {
    const now = performance.now()
    for (const tail of this.#tails) {
      const restMs = tail.at + this.#quietMs - now
      if (restMs > 0) {
        this.#timer = setTimeout(() => this.#forgetQuiet(), restMs).unref()
        return
      }
      this.forget(tail)
    }
    this.#timer = undefined
  }

  #grow(tail: ThreadTail, bytes: number): void {
    tail.bytes += bytes
    this.#bytes += bytes
  }
}

/** Returns the first batches, each through `toPart`, until they have `bytesMax` bytes; the first may be larger. */
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
