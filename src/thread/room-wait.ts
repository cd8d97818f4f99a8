import { isCode } from '../errors.ts'
import type { ThreadWriter } from './thread-writer.ts'

/** Time between two checks for room in the store, in milliseconds. */
const RETRY_MS = 5000

/** Whether the store takes nothing for now, because it is full or does not answer. */
export const isForNow = (error: unknown): boolean => isCode(error, 'storage_full', 'storage_unavailable')

/** Checks whether the store has room for a run, and wakes those who wait for it. */
export class RoomWait {
  readonly #writer: ThreadWriter
  readonly #again: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(writer: ThreadWriter, again: () => void) {
    this.#writer = writer
    this.#again = again
  }

  async isThere(): Promise<boolean> {
    try {
      await this.#writer.checkRoom()
      return true
    } catch (error) {
      if (!isForNow(error)) throw error
      this.later()
      return false
    }
  }

  later(): void {
    this.close()
    this.#timer = setTimeout(this.#again, RETRY_MS).unref()
  }

  close(): void {
    clearTimeout(this.#timer)
  }
}
