import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { ownName } from '../../agui/own-events.ts'
import { inBackground } from '../../background.ts'
import { RunnerError, toMessage } from '../../errors.ts'
import type { Batch } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { type CatchUp, caughtUp } from './catch-up.ts'
import type { Encoding } from './encoding.ts'

/** Returns a snapshot of all messages at this seq. */
type Restate = (seq: number) => Promise<AguiEvent>

export interface LogStreamOptions {
  log: EventLog
  threadId: string
  after: number
  encoding: Encoding
  keepaliveMs: number
  /** Bytes that are sent before the log's own records. */
  prefix?: Buffer
  /** The run whose records are sent; undefined for those of every run. */
  runId?: string
  /** The catch-up for a reader that lacks earlier turns. */
  catchUp?: CatchUp
  /** The snapshot that is sent after `taken_back` to a reader that cannot drop messages. */
  restate?: Restate
  /** Whether the stream ends after this batch. */
  isLast(batch: Batch): boolean
}

/** How many bytes a stream buffers for a client that does not read, beside the socket's own buffer. */
const BUFFER_BYTES = 64 * 1024

const TAKEN_BACK = ownName('taken_back')

/** Why a stream stops reading. Nothing reads this; a reason of `abort`'s own would cost a stack trace per reader. */
const STOPPED = new Error('The stream has ended.')

/**
 * A thread's log as a response body, pulled at the client's pace: nothing is read from the log while the client does
 * not read. When the client leaves, the stream is destroyed and stops reading the log at once, even while it waits.
 */
export class LogStream extends Readable {
  readonly #options: LogStreamOptions
  readonly #abort = new AbortController()
  readonly #batches: AsyncIterator<readonly Batch[]>
  #opening: NodeJS.Immediate | undefined
  #keepalive: NodeJS.Timeout | undefined
  #pulling = false
  #wanted = false
  #isCaughtUp = false

  constructor(options: LogStreamOptions) {
    super({ highWaterMark: BUFFER_BYTES })
    this.#options = options
    const { log, threadId, after, encoding, keepaliveMs } = options
    this.#batches = log.read(threadId, after, this.#abort.signal)[Symbol.asyncIterator]()
    const { keepalive } = encoding
    if (options.prefix !== undefined) this.push(options.prefix)
    if (keepalive === undefined) return
    // The response head is sent with the first bytes. Where no record is there to take it along, a keep-alive does.
    if (options.prefix === undefined) this.#opening = setImmediate(() => this.push(keepalive))
    this.#keepalive = setInterval(() => {
      if (this.readableLength === 0) this.push(keepalive)
    }, keepaliveMs).unref()
  }

  override _read(): void {
    this.#wanted = true
    if (this.#pulling) return
    const work = { name: 'reading for a subscriber', threadId: this.#options.threadId }
    inBackground(work, this.#pull(), () => this.destroy())
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stop()
    done(error)
  }

  async #pull(): Promise<void> {
    this.#pulling = true
    try {
      while (this.#wanted && !this.destroyed) {
        const { value, done } = await this.#batches.next()
        if (this.destroyed) return
        if (done === true) return this.#cut()
        const { runId } = this.#options
        const wanted = runId === undefined ? value : value.filter((batch) => batch.runId === runId)
        if (wanted.length === 0) continue
        const last = wanted.findIndex((batch) => this.#options.isLast(batch))
        // The array itself where all of it is sent: its readers share its bytes.
        const batches = last < 0 || last === wanted.length - 1 ? wanted : wanted.slice(0, last + 1)
        const bytes = await this.#encode(batches)
        clearImmediate(this.#opening)
        // Set before the push, which may call `_read` synchronously.
        this.#wanted = false
        if (this.push(bytes)) this.#wanted = true
        if (last >= 0) return this.#end()
        this.#keepalive?.refresh()
        // A reader that catches up waits for nothing, so others have their turn between two of its steps.
        if (bytes.length > BUFFER_BYTES) await turn()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#pulling = false
    }
  }

  /** Encodes the batches; at once where the reader gets the log unchanged, as nearly all do. */
  #encode(batches: readonly Batch[]): Buffer | Promise<Buffer> {
    const { encoding, catchUp, restate } = this.#options
    const [first] = batches
    if (catchUp !== undefined && !this.#isCaughtUp && first !== undefined) {
      this.#isCaughtUp = true
      return this.#caughtUp(first, batches.slice(1), catchUp)
    }
    return restate !== undefined && batches.some(mayTakeBack)
      ? this.#restated(batches, restate)
      : encoding.batches(batches)
  }

  /** Encodes the batches with the catch-up in their opening. */
  async #caughtUp(first: Batch, others: readonly Batch[], catchUp: CatchUp): Promise<Buffer> {
    const { encoding } = this.#options
    const { events, seq, rest } = await caughtUp(first, catchUp)
    return Buffer.concat([encoding.events(events, seq), encoding.batches([rest, ...others])])
  }

  /** Encodes the batches, with a snapshot after each `taken_back`. */
  async #restated(batches: readonly Batch[], restate: Restate): Promise<Buffer> {
    const { encoding } = this.#options
    const sent: Buffer[] = []
    for (const { seq, event } of batches.flatMap((batch) => batch.records())) {
      const isTakenBack = event.type === EventType.CUSTOM && event.name === TAKEN_BACK
      sent.push(encoding.events(isTakenBack ? [event, await restate(seq)] : [event], seq))
    }
    return Buffer.concat(sent)
  }

  #end(): void {
    this.#stop()
    this.push(null)
  }

  /** Ends the timers and the reading of the log. Called twice where a stream ends before it is destroyed. */
  #stop(): void {
    clearImmediate(this.#opening)
    clearInterval(this.#keepalive)
    this.#abort.abort(STOPPED)
  }

  /**
   * Ends the stream after the log has ended, because the thread was deleted or the runner stops. A reader of one run
   * gets an error, because it waits for that run's end.
   */
  #cut(): void {
    if (this.#options.runId === undefined) this.#end()
    else
      this.#fail(
        new RunnerError(
          'shutting_down',
          'The stream ended before the run did: the runner stops, or the thread was deleted.',
        ),
      )
  }

  /** Sends the failure as RUN_ERROR and ends the stream cleanly, because the status has been sent already. */
  #fail(error: unknown): void {
    if (this.destroyed) return
    const code = error instanceof RunnerError ? error.code : 'internal'
    const message =
      error instanceof RunnerError ? error.message : `The log could not be read: ${toMessage(error)}`
    this.push(this.#options.encoding.events([{ type: EventType.RUN_ERROR, code, message }]))
    this.#end()
  }
}

function mayTakeBack({ isText, sse }: Batch): boolean {
  return !isText && sse.includes(TAKEN_BACK)
}
