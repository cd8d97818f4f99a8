import { z } from 'zod'
import { ownName } from '../agui/own-events.ts'
import { isCode, toMessage } from '../errors.ts'
import { answered } from '../storage/answered.ts'
import type { EventLog } from '../storage/event-log.ts'
import type { Logger } from '../telemetry/logger.ts'
import { unlessAborted } from '../within.ts'
import type { Delivery } from './delivery.ts'
import { type LinkPush, Outgoing } from './outgoing.ts'
import { NOTHING_PUSHED, type Progress, type Pushed } from './progress.ts'

export interface OutboxOptions {
  log: EventLog
  threadId: string
  progress: Progress
  delivery: Delivery
  logger: Pick<Logger, 'warn'>
}

const Expired = z.object({ oldestSeq: z.number() })

/** Reads the thread's log and pushes it in order, from where the last process stopped. */
export class Outbox {
  readonly #options: OutboxOptions
  #pushed: Pushed = NOTHING_PUSHED
  /** The seq up to which all records are pushed. */
  #at = 0
  readonly #waiting = new Set<() => void>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Returns the number of records of the log that are not pushed yet. */
  async behind(): Promise<number> {
    return Math.max(0, (await this.#options.log.head(this.#options.threadId)) - this.#at)
  }

  /** Runs until `signal` is aborted. @throws {LinkFailure} `refused`; the signal's reason. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, threadId, progress, delivery } = this.#options
    this.#pushed = await answered(() => progress.pushed(), signal)
    const { acknowledged, seq, restart } = this.#pushed
    const head = await answered(() => log.head(threadId), signal)
    // A push that was in progress when the last process ended may have arrived.
    delivery.resume(acknowledged, { isUnsure: head > seq || restart < seq })
    while (!signal.aborted) {
      try {
        await this.#read(signal)
        // The thread was deleted: a new thread of its id is pushed from its start.
        this.#pushed = { ...NOTHING_PUSHED, acknowledged: delivery.acknowledged }
      } catch (error) {
        this.#pushed = await this.#skip(error, signal)
      }
      if (!signal.aborted) await this.#save()
    }
  }

  /** Resolves when all records up to `seq` are pushed. @throws the signal's reason. */
  async reached(seq: number, signal: AbortSignal): Promise<void> {
    while (this.#at < seq) {
      await unlessAborted(signal, new Promise<void>((resolve) => this.#waiting.add(resolve)))
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { log, threadId } = this.#options
    const { restart } = this.#pushed
    this.#reach(restart)
    const outgoing = new Outgoing(restart)
    for await (const batches of log.read(threadId, restart, signal)) {
      for (const record of batches.flatMap((batch) => batch.records())) {
        const before = outgoing.restart
        const pushes = outgoing.apply(record)
        await this.#push(pushes, { seq: record.seq, before, after: outgoing.restart, signal })
        this.#reach(record.seq)
      }
    }
  }

  /** Pushes one record. The next process reads again from `before` until all of it is pushed, then from `after`. */
  async #push(
    pushes: readonly LinkPush[],
    { seq, before, after, signal }: { seq: number; before: number; after: number; signal: AbortSignal },
  ): Promise<void> {
    const { delivery } = this.#options
    const done = seq < this.#pushed.seq ? pushes.length : seq === this.#pushed.seq ? this.#pushed.parts : 0
    for (const [index, push] of pushes.entries()) {
      if (index < done) continue
      await delivery.deliver(push, signal)
      const restart = index === pushes.length - 1 ? after : before
      this.#pushed = { restart, seq, parts: index + 1, acknowledged: delivery.acknowledged }
      await this.#save()
    }
  }

  /** Stores the progress. A failure is only logged: the next process would then push some records again. */
  async #save(): Promise<void> {
    const { progress, logger } = this.#options
    try {
      await progress.savePushed(this.#pushed)
    } catch (error) {
      logger.warn({ reason: toMessage(error) }, 'how much was pushed to the platform is not stored')
    }
  }

  /** Skips records that retention removed or that are damaged, and reports the gap. A silent store loses none. */
  async #skip(error: unknown, signal: AbortSignal): Promise<Pushed> {
    if (isCode(error, 'storage_unavailable')) return this.#pushed
    const details = isCode(error, 'replay_expired') ? Expired.safeParse(error.details).data : undefined
    if (details === undefined) throw error
    const { delivery, logger } = this.#options
    const { acknowledged, restart } = this.#pushed
    const last = details.oldestSeq - 1
    // Nothing to skip: `restart` is past the head, so this is another thread of the same id.
    if (last <= restart) return { ...NOTHING_PUSHED, acknowledged }
    const gap = { firstSeq: restart + 1, lastSeq: last }
    logger.warn(gap, 'records were gone before they were pushed to the platform')
    const payload = JSON.stringify({ custom_event: ownName('gap'), value: gap })
    await delivery.deliver({ to: 'messages', type: 'system', payload }, signal)
    return { restart: last, seq: last, parts: 0, acknowledged: delivery.acknowledged }
  }

  #reach(seq: number): void {
    this.#at = seq
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
