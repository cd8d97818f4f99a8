/** Longest and shortest step, in milliseconds; a limit has at least this many of them where they are not too short. */
const STEP_MS_MAX = 1000
const STEP_MS_MIN = 50
const STEPS = 20

/**
 * A limit that counts only the time in which this process ran. Neither the wall clock nor a monotonic one can: the first
 * is set, and both go on while the process is stopped (SIGSTOP, a frozen cgroup, a virtual machine that sleeps). What
 * is healthy would be judged late at the moment of waking, before its answer that waits in a pipe is read.
 *
 * It counts in steps. A step that took twice its length was slept through, and counts nothing. So the limit is never
 * early; a process that has no time to run meets it late.
 */
export class AwakeTimer {
  readonly #ms: number
  readonly #onEnd: () => void
  #left: number
  #step = 0
  #since = 0
  #timer: NodeJS.Timeout | undefined

  /** @param onEnd called once, after `ms` milliseconds without `restart()`. */
  constructor(ms: number, onEnd: () => void) {
    this.#ms = ms
    this.#onEnd = onEnd
    this.#left = ms
    this.#arm()
  }

  /** The whole time again. Cheap: the timer under way stays. */
  restart(): void {
    // The step under way will be counted whole, with the part of it that is over.
    this.#left = this.#ms + Math.min(performance.now() - this.#since, this.#step)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #arm(): void {
    this.#step = Math.min(this.#left, STEP_MS_MAX, Math.max(STEP_MS_MIN, this.#ms / STEPS))
    this.#since = performance.now()
    this.#timer = setTimeout(() => this.#count(), this.#step)
  }

  #count(): void {
    const isSlept = performance.now() - this.#since >= 2 * this.#step
    if (!isSlept) this.#left -= this.#step
    if (this.#left > 0) this.#arm()
    else this.#onEnd()
  }
}
