import { z } from 'zod'
import { ownName } from '../agui/own-events.ts'
import { isCode } from '../errors.ts'
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

/** Reads the thread's log and pushes what it says, in its order, from where the last process has stopped. */
export class Outbox {
  readonly #options: OutboxOptions
  #at = 0
  readonly #waiting = new Set<() => void>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** How many records of the log are not pushed yet. */
  async behind(): Promise<number> {
    return Math.max(0, (await this.#options.log.head(this.#options.threadId)) - this.#at)
  }

  /** Until `signal` is aborted. @throws {LinkFailure} `refused`; the signal's reason. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, threadId, progress, delivery } = this.#options
    let pushed = await progress.pushed()
    const head = await log.head(threadId)
    // What was on its way when the last process ended may have arrived.
    delivery.resume(pushed.acknowledged, { isUnsure: head > pushed.seq || pushed.restart < pushed.seq })
    while (!signal.aborted) {
      try {
        await this.#read(pushed, signal)
        // The thread was deleted; what comes under its id is another one.
        pushed = { ...NOTHING_PUSHED, acknowledged: delivery.acknowledged }
      } catch (error) {
        pushed = await this.#skip(await progress.pushed(), error, signal)
      }
      if (!signal.aborted) await progress.savePushed(pushed)
    }
  }

  /** Resolves when all records up to `seq` are pushed. @throws the signal's reason. */
  async reached(seq: number, signal: AbortSignal): Promise<void> {
    while (this.#at < seq) {
      await unlessAborted(signal, new Promise<void>((resolve) => this.#waiting.add(resolve)))
    }
  }

  async #read(before: Pushed, signal: AbortSignal): Promise<void> {
    const { log, threadId } = this.#options
    let pushed = before
    this.#reach(before.restart)
    const outgoing = new Outgoing(before.restart)
    for await (const batches of log.read(threadId, before.restart, signal)) {
      for (const record of batches.flatMap((batch) => batch.records())) {
        const { restart } = outgoing
        const pushes = outgoing.apply(record)
        const place = { seq: record.seq, restart, after: outgoing.restart }
        pushed = await this.#push(pushes, { pushed, ...place, signal })
        this.#reach(record.seq)
      }
    }
  }

  /** What is pushed of one record; `restart` is where to read anew until all of it is, `after` where then. */
  async #push(
    pushes: readonly LinkPush[],
    place: { pushed: Pushed; seq: number; restart: number; after: number; signal: AbortSignal },
  ): Promise<Pushed> {
    const { progress, delivery } = this.#options
    const { seq, restart, after, signal } = place
    let { pushed } = place
    const done = seq < pushed.seq ? pushes.length : seq === pushed.seq ? pushed.parts : 0
    for (const [index, push] of pushes.entries()) {
      if (index < done) continue
      await delivery.deliver(push, signal)
      const isLast = index === pushes.length - 1
      const { acknowledged } = delivery
      pushed = { restart: isLast ? after : restart, seq, parts: index + 1, acknowledged }
      await progress.savePushed(pushed)
    }
    return pushed
  }

  /** Goes on behind what retention or damage has taken, and says so. */
  async #skip(pushed: Pushed, error: unknown, signal: AbortSignal): Promise<Pushed> {
    const details = isCode(error, 'replay_expired') ? Expired.safeParse(error.details).data : undefined
    if (details === undefined) throw error
    const { delivery, logger } = this.#options
    const { acknowledged } = pushed
    const last = details.oldestSeq - 1
    // Behind the head it is another thread of this id.
    if (last <= pushed.restart) return { ...NOTHING_PUSHED, acknowledged }
    const gap = { firstSeq: pushed.restart + 1, lastSeq: last }
    logger.warn(gap, 'records were gone before they were pushed to the platform')
    const payload = JSON.stringify({ custom_event: ownName('gap'), value: gap })
    await delivery.deliver({ to: 'messages', type: 'system', payload }, signal)
    return { restart: last, seq: last, parts: 0, acknowledged: delivery.acknowledged }
  }

  #reach(seq: number): void {
    this.#at = seq
    for (const tell of this.#waiting) tell()
    this.#waiting.clear()
  }
}
