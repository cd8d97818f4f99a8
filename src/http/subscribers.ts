import type { FastifyReply } from 'fastify'
import { RunnerError } from '../errors.ts'
import type { EventLog } from '../log/event-log.ts'
import type { Encoding } from './encoding.ts'
import { LogStream, type LogStreamOptions } from './log-stream.ts'

export interface SubscribersOptions {
  log: EventLog
  subscribersMax: number
  keepaliveMs: number
}

export type StreamRequest = Pick<LogStreamOptions, 'threadId' | 'after' | 'isLast'> & { encoding: Encoding }

/** Every response that follows the log. */
export class Subscribers {
  readonly #options: SubscribersOptions
  readonly #streams = new Set<LogStream>()

  constructor(options: SubscribersOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#streams.size
  }

  /**
   * Asked before work is admitted whose result nobody could then be told.
   *
   * @throws {RunnerError} `too_many_subscribers`.
   */
  checkRoom(): void {
    const { subscribersMax } = this.#options
    if (this.#streams.size < subscribersMax) return
    throw new RunnerError(
      'too_many_subscribers',
      `SUBSCRIBERS_MAX (${subscribersMax}) streams are open; close one, or raise the limit.`,
    )
  }

  /** Answers with the thread's log. */
  send(reply: FastifyReply, request: StreamRequest): FastifyReply {
    this.checkRoom()
    const { log, keepaliveMs } = this.#options
    const stream = new LogStream({ ...request, log, keepaliveMs })
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    return reply
      .header('content-type', request.encoding.contentType)
      .header('cache-control', 'no-cache, no-transform')
      .header('x-accel-buffering', 'no')
      .send(stream)
  }
}
