import type { FastifyReply } from 'fastify'
import { type ReaderOpened, readerClosed, readerOpened } from '../../channels.ts'
import { RunnerError } from '../../errors.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { LogStream, type LogStreamOptions } from './log-stream.ts'

export interface SubscribersOptions {
  log: EventLog
  subscribersMax: number
  keepaliveMs: number
}

export type StreamRequest = Pick<
  LogStreamOptions,
  'threadId' | 'after' | 'isLast' | 'prefix' | 'runId' | 'encoding'
>

/** Every response that follows the log. */
export class Subscribers {
  readonly #options: SubscribersOptions
  #count = 0

  constructor(options: SubscribersOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#count
  }

  /**
   * Asked before work is admitted whose result nobody could then be told.
   *
   * @throws {RunnerError} `too_many_subscribers`.
   */
  checkRoom(): void {
    const { subscribersMax } = this.#options
    if (this.#count < subscribersMax) return
    throw new RunnerError(
      'too_many_subscribers',
      `SUBSCRIBERS_MAX (${subscribersMax}) streams are open; close one, or raise the limit.`,
    )
  }

  /**
   * Counts one more; call the answer once when it leaves.
   *
   * @throws {RunnerError} `too_many_subscribers`.
   */
  add(kind: ReaderOpened['kind']): () => void {
    this.checkRoom()
    this.#count += 1
    const openedAt = performance.now()
    readerOpened.publish({ kind })
    return () => {
      this.#count -= 1
      readerClosed.publish({ kind, ms: performance.now() - openedAt })
    }
  }

  /** Answers with the thread's log. */
  send(reply: FastifyReply, request: StreamRequest): FastifyReply {
    // A body that nobody reads would never end.
    if (reply.request.method === 'HEAD') return reply.type(request.encoding.contentType).send('')
    const release = this.add(request.encoding.keepalive === undefined ? 'protobuf' : 'sse')
    const { log, keepaliveMs } = this.#options
    const stream = new LogStream({ ...request, log, keepaliveMs })
    stream.once('close', release)
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
