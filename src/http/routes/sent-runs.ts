import type { RunRequest } from '../../agent/agent.ts'
import type { Dialect } from '../../agui/dialect.ts'
import { inBackground } from '../../background.ts'
import type { Batch } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import type { Submitted } from '../../thread/submitted.ts'
import { catchUpOf, caughtUp } from '../stream/catch-up.ts'
import { framesFor, framesOf, type Reader, type SentFrame } from '../stream/encoding.ts'

export interface SentRunsOptions {
  threads: ServedThreads
  log: EventLog
}

interface SentRun {
  dialect: Dialect
  /** Whether the run ends when its sender stops reading the thread. */
  endsWithReader: boolean
  /** Resolves with undefined when the run was refused. */
  submitted: Promise<Submitted | undefined>
  isCaughtUp: boolean
}

/** The runs that one socket has sent, each until its last event. Their events are sent as in the answer of `POST /`. */
export class SentRuns {
  readonly #options: SentRunsOptions
  readonly #threads = new Map<string, Map<string, SentRun>>()

  constructor(options: SentRunsOptions) {
    this.#options = options
  }

  /** Submits a run. As `Threads.submit`. */
  async submit(input: RunRequest, how: Pick<SentRun, 'dialect' | 'endsWithReader'>): Promise<Submitted> {
    const { threadId, runId } = input
    const runs = this.#threads.get(threadId) ?? new Map<string, SentRun>()
    this.#threads.set(threadId, runs)
    const before = runs.get(runId)
    const submitting = this.#options.threads.submit(input)
    // Registered before the submit resolves, because the run's first event may be read earlier.
    const run = { ...how, submitted: submitting.catch(() => undefined), isCaughtUp: false }
    runs.set(runId, run)
    const submitted = await run.submitted
    // A steered run has no events of its own, and another run with this id may be in progress.
    const isOver = submitted === undefined || submitted.steeredInto !== undefined
    if (isOver && this.#threads.get(threadId)?.get(runId) === run) {
      if (before === undefined) this.#forget(threadId, runId)
      else runs.set(runId, before)
    }
    return await submitting
  }

  /** Returns the frames of a batch for this socket. */
  async frames(reader: Reader, batch: Batch, signal: AbortSignal): Promise<readonly SentFrame[]> {
    const { threadId } = reader
    const { runId } = batch
    const run = this.#threads.get(threadId)?.get(runId)
    if (run === undefined) return framesFor(reader, batch)
    if (batch.terminal) this.#forget(threadId, runId)
    const own = { threadId, dialect: run.dialect }
    const { held, after = 0 } = (await run.submitted) ?? {}
    if (held === undefined || run.isCaughtUp || batch.first <= after) return framesFor(own, batch)
    run.isCaughtUp = true
    const catchUp = catchUpOf(held, { ...this.#options, threadId, signal })
    const { events, seq, rest } = await caughtUp(batch, catchUp)
    return [...framesOf(own, events, seq), ...framesFor(own, rest)]
  }

  /** Notes that the socket has stopped reading the thread, and leaves the runs that end with their reader. */
  leave(threadId: string): void {
    const runs = this.#threads.get(threadId) ?? []
    this.#threads.delete(threadId)
    for (const [runId, { endsWithReader, submitted }] of runs) {
      if (!endsWithReader) continue
      const leaving = submitted.then((known) => {
        const isOwn = known !== undefined && known.steeredInto === undefined
        if (isOwn) this.#options.threads.leave(threadId, runId)
      })
      inBackground({ name: 'leaving a run', threadId, runId }, leaving)
    }
  }

  leaveAll(): void {
    for (const threadId of [...this.#threads.keys()]) this.leave(threadId)
  }

  #forget(threadId: string, runId: string): void {
    const runs = this.#threads.get(threadId)
    runs?.delete(runId)
    if (runs?.size === 0) this.#threads.delete(threadId)
  }
}
