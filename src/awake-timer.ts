/** Bounds of a step, in milliseconds. A limit has at least STEPS steps, unless they were shorter than STEP_MS_MIN. */
const STEP_MS_MAX = 1000
const STEP_MS_MIN = 50
const STEPS = 20

/**
 * A time limit that counts only the time in which this process runs. Clocks cannot measure that: the wall clock can be
 * set, and monotonic clocks also continue while the process is stopped (SIGSTOP, a frozen cgroup, a sleeping virtual
 * machine). With a clock, a healthy peer would count as late at the moment of waking, before its answer is read from
 * the pipe.
 *
 * The timer counts in steps. A step that took twice its length or more was slept through and does not count. So the
 * limit is never early, and late in a process that gets little processor time.
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

  /** Starts the whole time again. Cheap, because the running timer stays. */
  restart(): void {
    // The current step will be counted in full, so the part of it that has passed is added.
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
