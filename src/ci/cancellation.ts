import { setTimeout as delay } from 'node:timers/promises'

/** What GitHub's runner sends to the step of a cancelled job: SIGINT, and SIGTERM when that was not enough. */
export class Cancellation {
  readonly begun: Promise<unknown>
  readonly isUrgent: Promise<unknown>
  isBegun = false

  constructor() {
    this.begun = new Promise((resolve) => process.on('SIGINT', resolve).on('SIGTERM', resolve))
    this.isUrgent = this.begun.then(() => {
      this.isBegun = true
      return new Promise((resolve) => process.once('SIGTERM', resolve))
    })
  }

  /** Resolves when `work` has ended. When cancelled, `work` has `graceMs` more to put its things in order. */
  async race(work: Promise<unknown>, graceMs: number): Promise<void> {
    const ended = work.catch(() => undefined)
    await Promise.race([ended, this.begun.then(() => delay(graceMs)), this.isUrgent])
  }
}
