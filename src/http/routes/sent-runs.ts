import type { RunAgentInput } from '@ag-ui/core'
import type { Dialect } from '../../agui/dialect.ts'
import { inBackground } from '../../background.ts'
import type { Batch } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import type { Submitted } from '../../thread/told.ts'
import { catchUpOf, openingOf } from '../stream/catch-up.ts'
import { framesFor, framesOf, type Reader, type ToldFrame } from '../stream/encoding.ts'

export interface SentRunsOptions {
  threads: ServedThreads
  log: EventLog
}

interface SentRun {
  dialect: Dialect
  /** It ends when its sender reads the thread no more. */
  endsWithReader: boolean
  /** Undefined when it was refused. */
  submitted: Promise<Submitted | undefined>
  isCaughtUp: boolean
}

/** The runs that one socket has sent, each until its last event. They are read as the answer of `POST /` would be. */
export class SentRuns {
  readonly #options: SentRunsOptions
  readonly #threads = new Map<string, Map<string, SentRun>>()

  constructor(options: SentRunsOptions) {
    this.#options = options
  }

  /** As `Threads.submit`. */
  async submit(input: RunAgentInput, how: Pick<SentRun, 'dialect' | 'endsWithReader'>): Promise<Submitted> {
    const { threadId, runId } = input
    const runs = this.#threads.get(threadId) ?? new Map<string, SentRun>()
    this.#threads.set(threadId, runs)
    const before = runs.get(runId)
    const submitting = this.#options.threads.submit(input)
    // Known before its first event is: that may be read before this resolves.
    const run = { ...how, submitted: submitting.catch(() => undefined), isCaughtUp: false }
    runs.set(runId, run)
    const submitted = await run.submitted
    // One that was steered has no events of its own, and another of that id may be under way.
    const isOver = submitted === undefined || submitted.steeredInto !== undefined
    if (isOver && this.#threads.get(threadId)?.get(runId) === run) {
      if (before === undefined) this.#forget(threadId, runId)
      else runs.set(runId, before)
    }
    return await submitting
  }

  /** A batch of a thread as this socket gets it. */
  async frames(reader: Reader, batch: Batch, signal: AbortSignal): Promise<readonly ToldFrame[]> {
    const { threadId } = reader
    const { runId } = batch
    const run = this.#threads.get(threadId)?.get(runId)
    if (run === undefined) return framesFor(reader, batch)
    if (batch.terminal) this.#forget(threadId, runId)
    const own = { threadId, dialect: run.dialect }
    const { held, after = 0 } = (await run.submitted) ?? {}
    if (held === undefined || run.isCaughtUp || batch.first <= after) return framesFor(own, batch)
    run.isCaughtUp = true
    const opening = openingOf(batch)
    const seq = opening.at(-1)?.seq ?? batch.first
    const missed = await catchUpOf(held, { ...this.#options, threadId, signal })(seq)
    const told = [...opening.map(({ event }) => event), ...missed]
    const frames = told.flatMap((event, index) =>
      framesOf(own, event, index === told.length - 1 ? seq : undefined),
    )
    return [...frames, ...framesFor(own, batch.after(seq))]
  }

  /** The socket reads the thread no more: what was to end with that is left. */
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
