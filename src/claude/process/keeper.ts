import { RunnerError } from '../../errors.ts'
import type { Lease } from '../../lease.ts'
import type { ClaudeProcess } from './process.ts'

/** A process with the settings that only another one could have, as JSON. */
export interface Kept {
  claude: Pick<ClaudeProcess, 'running' | 'exited' | 'close'>
  startKey: string
}

export interface KeeperOptions {
  /** A slot for one process. `signal` is aborted when the conversation closes: a start is then waited for no more. */
  claim(signal: AbortSignal): Promise<Lease>
  /** Called when the process is let go of, before it ends. */
  onLeave(): void
  /** Called with the clearing up after each process, which nobody else need await. */
  onClearing(clearing: Promise<void>): void
}

/** Keeps the one process of a conversation: never two at a time, each in a slot until all that it started is gone. */
export class Keeper<Process extends Kept> {
  readonly #options: KeeperOptions
  #kept: Process | undefined
  /** What starts or ends a process goes one behind the other. */
  #changing: Promise<unknown> = Promise.resolve()
  /** When the last process is gone and its slot free. */
  #gone: Promise<void> = Promise.resolve()
  #starting = 0
  readonly #closing = new AbortController()

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** The process that lives. */
  get current(): Process | undefined {
    return this.#kept?.claude.running === true ? this.#kept : undefined
  }

  /** Whether somebody waits for a process. */
  get isStarting(): boolean {
    return this.#starting > 0
  }

  /** The process that lives when it was started with these settings, else the one that is launched. */
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

  /** Ends the process, at once for whoever asks for it. Resolves when all of it is gone and its slot is free. */
  rest(): Promise<void> {
    const leaving = this.#letGo()
    return this.#change(async () => {
      await leaving?.claude.close()
      // What was being started meanwhile.
      await this.#stop()
    })
  }

  /** The same for ever. Idempotent. */
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

  /** Also after a process that ended by itself: what it had started may live on. */
  async #clear(kept: Process): Promise<void> {
    await kept.claude.exited
    if (this.#kept === kept) this.#letGo()
    await kept.claude.close()
  }

  async #stop(): Promise<void> {
    await this.#letGo()?.claude.close()
    await this.#gone.catch(() => {
      // `onClearing` is called.
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
