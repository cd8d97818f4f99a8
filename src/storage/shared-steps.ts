import type { Batch } from './batch.ts'

/** Of all threads together, and kept when the readers have gone: they come one behind the other. */
const BYTES_MAX = 4 * 1024 * 1024

/**
 * What replays took out of the store last. Readers that come together, after a lost network or with a page that many
 * open, take the same steps: the second one copies and decodes nothing.
 */
export class SharedSteps {
  readonly #steps = new Map<string, readonly Batch[]>()
  #bytes = 0

  /** The step behind `seq`: the one of whoever took it last, else what `read` takes out of the store. */
  take(threadId: string, seq: number, read: () => readonly Batch[]): readonly Batch[] {
    const known = this.known(threadId, seq)
    if (known !== undefined) return known
    const batches = read()
    this.#steps.set(keyOf(threadId, seq), batches)
    this.#bytes += bytesOf(batches)
    for (const [eldest, step] of this.#steps) {
      if (this.#bytes <= BYTES_MAX) break
      this.#steps.delete(eldest)
      this.#bytes -= bytesOf(step)
    }
    return batches
  }

  known(threadId: string, seq: number): readonly Batch[] | undefined {
    return this.#steps.get(keyOf(threadId, seq))
  }

  clear(): void {
    this.#steps.clear()
    this.#bytes = 0
  }
}

function keyOf(threadId: string, seq: number): string {
  return `${seq} ${threadId}`
}

function bytesOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, batch) => sum + batch.sse.length, 0)
}
