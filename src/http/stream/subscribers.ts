import type { FastifyReply } from 'fastify'
import { type ReaderOpened, readerClosed, readerOpened } from '../../channels.ts'
import { RunnerError } from '../../errors.ts'
import { type Lease, Slots } from '../../lease.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { LogStream, type LogStreamOptions } from './log-stream.ts'

export interface SubscribersOptions {
  log: EventLog
  subscribersMax: number
  keepaliveMs: number
}

export type StreamRequest = Pick<
  LogStreamOptions,
  'threadId' | 'after' | 'isLast' | 'prefix' | 'runId' | 'encoding' | 'catchUp' | 'restate'
>

/** Every response that follows the log. */
export class Subscribers {
  readonly #options: SubscribersOptions
  readonly #slots: Slots<ReaderOpened['kind']>

  constructor(options: SubscribersOptions) {
    this.#options = options
    this.#slots = new Slots(options.subscribersMax)
  }

  get count(): number {
    return this.#slots.held
  }

  /**
   * A reader's slot. Taken before work is admitted whose result could then be sent to nobody; `send` frees it with the
   * stream that it gets, everybody else frees it themselves.
   *
   * @throws {RunnerError} `too_many_subscribers`.
   */
  take(kind: ReaderOpened['kind']): Lease {
    const lease = this.#slots.take(kind)
    if (lease === undefined) {
      throw new RunnerError(
        'too_many_subscribers',
        `SUBSCRIBERS_MAX (${this.#slots.max}) streams are open; close one, or raise the limit.`,
      )
    }
    const openedAt = performance.now()
    readerOpened.publish({ kind })
    let isOpen = true
    return {
      release() {
        if (isOpen) readerClosed.publish({ kind, ms: performance.now() - openedAt })
        isOpen = false
        lease.release()
      },
    }
  }

  /** A slot for a stream of this encoding, as `take`. */
  takeFor(encoding: StreamRequest['encoding']): Lease {
    return this.take(encoding.keepalive === undefined ? 'protobuf' : 'sse')
  }

  /** Answers with the thread's log, in the slot given or one of its own. */
  send(reply: FastifyReply, request: StreamRequest, seat?: Lease): FastifyReply {
    // A body that nobody reads would never end.
    if (reply.request.method === 'HEAD') {
      seat?.release()
      return reply.type(request.encoding.contentType).send('')
    }
    const lease = seat ?? this.takeFor(request.encoding)
    const { log, keepaliveMs } = this.#options
    const stream = new LogStream({ ...request, log, keepaliveMs })
    stream.once('close', lease.release)
    reply
      .header('content-type', request.encoding.contentType)
      .header('cache-control', 'no-cache, no-transform')
      .header('x-accel-buffering', 'no')
      .send(stream)
    // What has no keep-alive says nothing before the first event: a client would wait for the status till then.
    reply.raw.flushHeaders()
    return reply
  }
}
