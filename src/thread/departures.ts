import { inBackground } from '../background.ts'

export interface DeparturesOptions {
  /** How long a sender may stay away before its run ends with it. */
  graceMs: number
  /** Ends the run, or keeps it from beginning; resolves when it has ended. */
  withdraw(threadId: string, runId: string): Promise<void>
}

interface Departure {
  threadId: string
  /** Runs while the sender may still come back. */
  grace: NodeJS.Timeout | undefined
  /** Ends the run now; the second call waits for the first. */
  end(): Promise<void>
}

/**
 * Senders who asked that their run ends with their stream, and have left. A button that says Stop does no more in many
 * clients than to close the stream, and what follows is the person's next message.
 */
export class Departures {
  readonly #options: DeparturesOptions
  readonly #departures = new Set<Departure>()
  #isClosed = false

  constructor(options: DeparturesOptions) {
    this.#options = options
  }

  /** The stream of the run was closed before its end. */
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

  /** Somebody reads the thread again, as a page that was reloaded does: what has not been ended goes on. */
  return(threadId: string): void {
    for (const departure of this.#of(threadId)) {
      if (departure.grace === undefined) continue
      clearTimeout(departure.grace)
      this.#departures.delete(departure)
    }
  }

  /** Whoever left has said something new: nothing is waited for but the end of what was left. */
  async settle(threadId: string): Promise<void> {
    await Promise.all(this.#of(threadId).map((departure) => departure.end()))
  }

  /** Nobody comes back to a runner that stops. */
  close(): void {
    this.#isClosed = true
    for (const { grace } of this.#departures) clearTimeout(grace)
    this.#departures.clear()
  }

  #of(threadId: string): Departure[] {
    return [...this.#departures].filter((departure) => departure.threadId === threadId)
  }
}
