import { Readable } from 'node:stream'
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

/** The responses and WebSocket subscriptions that follow the log. */
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
   * Takes a reader's slot. Call this before admitting work whose result needs a reader. `send` frees the slot with its
   * stream; every other caller frees it.
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

  /** Takes a slot for a stream of this encoding. As `take`. */
  takeFor(encoding: StreamRequest['encoding']): Lease {
    return this.take(encoding.keepalive === undefined ? 'protobuf' : 'sse')
  }

  /** Answers with the thread's log, in the given slot or in a new one. @throws {RunnerError} `too_many_subscribers`. */
  send(reply: FastifyReply, request: StreamRequest, taken?: Lease): FastifyReply {
    // An answer to HEAD has no body. Nothing would read the stream, and it would never end. An empty stream stands for
    // it: for an empty text the answer would announce that a GET has no body either.
    if (reply.request.method === 'HEAD') {
      taken?.release()
      return reply.type(request.encoding.contentType).send(Readable.from([]))
    }
    const lease = taken ?? this.takeFor(request.encoding)
    const { log, keepaliveMs } = this.#options
    const stream = new LogStream({ ...request, log, keepaliveMs })
    stream.once('close', lease.release)
    reply
      .header('content-type', request.encoding.contentType)
      .header('cache-control', 'no-cache, no-transform')
      .header('x-accel-buffering', 'no')
      .send(stream)
    // Without a keep-alive no bytes precede the first event, and the client would wait for the status until then.
    if (request.encoding.keepalive === undefined) reply.raw.flushHeaders()
    return reply
  }
}
