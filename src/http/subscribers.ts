import type { FastifyReply } from 'fastify'
import { RunnerError } from '../errors.ts'
import type { EventLog } from '../log/event-log.ts'
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
  add(): () => void {
    this.checkRoom()
    this.#count += 1
    return () => {
      this.#count -= 1
    }
  }

  /** Answers with the thread's log. */
  send(reply: FastifyReply, request: StreamRequest): FastifyReply {
    // A body that nobody reads would never end.
    if (reply.request.method === 'HEAD') return reply.type(request.encoding.contentType).send('')
    const release = this.add()
    const { log, keepaliveMs } = this.#options
    const stream = new LogStream({ ...request, log, keepaliveMs })
    stream.once('close', release)
    return reply
      .header('content-type', request.encoding.contentType)
      .header('cache-control', 'no-cache, no-transform')
      .header('x-accel-buffering', 'no')
      .send(stream)
  }
}
