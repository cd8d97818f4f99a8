import { isCode } from '../errors.ts'
import type { EventLog } from '../storage/event-log.ts'

/** What waits for room on the disk asks for it this often. */
const RETRY_MS = 5000

/** Whether there is room for a run; and who waits for it is called again. */
export class RoomWait {
  readonly #log: EventLog
  readonly #again: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(log: EventLog, again: () => void) {
    this.#log = log
    this.#again = again
  }

  isThere(): boolean {
    try {
      this.#log.checkRoom()
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
