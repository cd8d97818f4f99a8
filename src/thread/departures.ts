import { inBackground } from '../background.ts'

export interface DeparturesOptions {
  /** How long a sender may be absent before its run ends, in milliseconds. */
  graceMs: number
  /** Ends the run, or keeps it from starting. Resolves when it has ended. */
  withdraw(threadId: string, runId: string): Promise<void>
}

interface Departure {
  threadId: string
  /** Active while the sender may still return. */
  grace: NodeJS.Timeout | undefined
  /** Ends the run now. A second call waits for the first. */
  end(): Promise<void>
}

/**
 * Senders that have left and whose run ends with their stream. In many clients the Stop button only closes the stream,
 * and the person's next message follows.
 */
export class Departures {
  readonly #options: DeparturesOptions
  readonly #departures = new Set<Departure>()
  #isClosed = false

  constructor(options: DeparturesOptions) {
    this.#options = options
  }

  /** Notes that the stream of a run was closed before the run's end. */
  leave(threadId: string, runId: string): void {
    if (this.#isClosed) return
    const { graceMs, withdraw } = this.#options
    let ended: Promise<void> | undefined
    const departure: Departure = {
      threadId,
      grace: undefined,
      end: () => {
        clearTimeout(departure.grace)
        departure.grace = undefined
        ended ??= withdraw(threadId, runId).finally(() => this.#departures.delete(departure))
        return ended
      },
    }
    this.#departures.add(departure)
    const end = (): void =>
      inBackground({ name: 'ending a run that was left', threadId, runId }, departure.end())
    if (graceMs === 0) end()
    else departure.grace = setTimeout(end, graceMs)
  }

  /** Notes that a client reads the thread again, as a reloaded page does: a run that has not ended continues. */
  return(threadId: string): void {
    for (const departure of this.#of(threadId)) {
      if (departure.grace === undefined) continue
      clearTimeout(departure.grace)
      this.#departures.delete(departure)
    }
  }

  /** Ends the abandoned run at once, because its sender has sent something new. Resolves when it has ended. */
  async settle(threadId: string): Promise<void> {
    await Promise.all(this.#of(threadId).map((departure) => departure.end()))
  }

  /** Stops waiting for returns, because the runner stops. */
  close(): void {
    this.#isClosed = true
    for (const { grace } of this.#departures) clearTimeout(grace)
    this.#departures.clear()
  }

  #of(threadId: string): Departure[] {
    return [...this.#departures].filter((departure) => departure.threadId === threadId)
  }
}
