import type { Batch } from './batch.ts'

/** Upper bound for all threads together, in bytes. Steps outlive their readers, since others may follow. */
const BYTES_MAX = 4 * 1024 * 1024

/**
 * The steps that replays last took out of the store. Readers that come together, after a lost network or with a page
 * that many open, take the same steps: only the first reader copies and decodes.
 */
export class SharedSteps {
  readonly #steps = new Map<string, readonly Batch[]>()
  #bytes = 0

  /** Returns the step after `seq`: the kept one, else the one that `read` takes out of the store. */
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
