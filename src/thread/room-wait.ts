import { isCode } from '../errors.ts'
import type { ThreadWriter } from './thread-writer.ts'

/** Time between two checks for room on the disk, in milliseconds. */
const RETRY_MS = 5000

/** Checks whether the disk has room for a run, and wakes those who wait for it. */
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
      if (!isCode(error, 'storage_full')) throw error
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
