import { RunnerError } from '../../errors.ts'
import type { Lease } from '../../lease.ts'
import type { ClaudeProcess } from './process.ts'

/** A process, with the settings that only a new process could change, as JSON. */
export interface Kept {
  claude: Pick<ClaudeProcess, 'running' | 'exited' | 'close'>
  startKey: string
}

export interface KeeperOptions {
  /** Claims a slot for one process. `signal` is aborted when the conversation closes: nobody then waits for a start. */
  claim(signal: AbortSignal): Promise<Lease>
  /** Called when the process is given up, before it ends. */
  onLeave(): void
  /** Called with the cleanup after each process. Nobody else need await it. */
  onClearing(clearing: Promise<void>): void
}

/**
 * Keeps the one process of a conversation. There are never two at a time. Each holds its slot until the process and
 * everything it started have ended.
 */
export class Keeper<Process extends Kept> {
  readonly #options: KeeperOptions
  #kept: Process | undefined
  /** Settles when the last queued start or end of a process is done. The next one goes behind it. */
  #changing: Promise<unknown> = Promise.resolve()
  /** Settles when the last process has ended and its slot is free. */
  #gone: Promise<void> = Promise.resolve()
  #starting = 0
  readonly #closing = new AbortController()

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** The living process, if there is one. */
  get current(): Process | undefined {
    return this.#kept?.claude.running === true ? this.#kept : undefined
  }

  /** Whether a caller waits for a process. */
  get isStarting(): boolean {
    return this.#starting > 0
  }

  /** Returns the living process when it was started with these settings. Otherwise ends it and launches another. */
  async ensure(
    startKey: () => Promise<string>,
    launch: () => Promise<Process>,
  ): Promise<{ kept: Process; isNew: boolean }> {
    this.#starting += 1
    try {
      return await this.#change(async () => {
        const key = await startKey()
        const { current } = this
        if (current?.startKey === key) return { kept: current, isNew: false }
        await this.#stop()
        return { kept: await this.#start(launch), isNew: true }
      })
    } finally {
      this.#starting -= 1
    }
  }

  /**
   * Ends the process. `current` is undefined at once. Resolves when the process and all that it started have ended and
   * the slot is free.
   */
  rest(): Promise<void> {
    const leaving = this.#letGo()
    return this.#change(async () => {
      await leaving?.claude.close()
      // A start may have been in progress.
      await this.#stop()
    })
  }

  /** Like `rest`, and no process starts afterwards. Safe to call twice. */
  close(): Promise<void> {
    this.#closing.abort()
    return this.rest()
  }

  async #start(launch: () => Promise<Process>): Promise<Process> {
    const { signal } = this.#closing
    const lease = await this.#options.claim(signal)
    try {
      if (signal.aborted)
        throw new RunnerError('shutting_down', 'The conversation is closed; no process starts.')
      const kept = await launch()
      this.#kept = kept
      this.#gone = this.#clear(kept).finally(lease.release)
      this.#options.onClearing(this.#gone)
      return kept
    } catch (error) {
      lease.release()
      throw error
    }
  }

  /** Cleans up after a process, also after one that ended by itself: processes that it started may live on. */
  async #clear(kept: Process): Promise<void> {
    await kept.claude.exited
    if (this.#kept === kept) this.#letGo()
    await kept.claude.close()
  }

  async #stop(): Promise<void> {
    await this.#letGo()?.claude.close()
    await this.#gone.catch(() => {
      // `onClearing` was called with it, and reports the failure.
    })
  }

  #letGo(): Process | undefined {
    const kept = this.#kept
    this.#kept = undefined
    if (kept !== undefined) this.#options.onLeave()
    return kept
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(work)
    this.#changing = result.catch(() => undefined)
    return result
  }
}
