import type { FastifyReply, FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'

export interface RateLimitOptions {
  /** The environment variable that sets the limit, for the message of a refusal. */
  name: string
  /** Size of the bucket, and the number of tokens that it regains evenly in a minute; 0 for no limit. */
  perMinute: number
  /** A monotonic clock, in milliseconds. */
  now?: () => number
}

/** Upper bound of the keys with a bucket. Beyond it, the key unused for longest loses its bucket. */
const KEYS_MAX = 10_000
const MINUTE_MS = 60_000

/**
 * A token bucket for each key. `@fastify/rate-limit` covers requests only, and the same rule has to hold for requests,
 * refused tokens and WebSocket frames.
 */
export class RateLimit {
  readonly #options: RateLimitOptions
  readonly #now: () => number
  readonly #buckets = new Map<string, { left: number; at: number }>()

  constructor(options: RateLimitOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /**
   * Takes one token of the key's bucket.
   *
   * @returns the refusal when the bucket is empty, with the time until the next token.
   */
  take(key: string): RateLimited | undefined {
    const { name, perMinute } = this.#options
    if (perMinute === 0) return undefined
    const now = this.#now()
    const bucket = this.#buckets.get(key) ?? { left: perMinute, at: now }
    const left = Math.min(perMinute, bucket.left + ((now - bucket.at) * perMinute) / MINUTE_MS)
    if (left < 1) {
      const retryAfterSeconds = Math.ceil(((1 - left) * MINUTE_MS) / perMinute / 1000)
      return new RateLimited(name, perMinute, retryAfterSeconds)
    }
    // Moves the key to the end, because the map is in the order of use.
    this.#buckets.delete(key)
    this.#buckets.set(key, { left: left - 1, at: now })
    if (this.#buckets.size > KEYS_MAX) this.#forgetOldest()
    return undefined
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key)
      return
    }
  }
}

class RateLimited extends RunnerError {
  readonly retryAfterSeconds: number

  constructor(limit: string, perMinute: number, retryAfterSeconds: number) {
    super(
      'rate_limited',
      `${limit} (${perMinute} a minute) is reached; send it again in ${retryAfterSeconds} s, or raise the limit.`,
      { details: { limit, retryAfterSeconds } },
    )
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/**
 * Takes one token for the address of the request's client. That is the connection's own address, or the one that a
 * proxy of TRUSTED_PROXIES names: anyone else can send such a header.
 *
 * @throws {RunnerError} `rate_limited`.
 */
export function limitRequest(limit: RateLimit, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = limit.take(request.ip)
  if (refusal === undefined) return
  reply.header('retry-after', refusal.retryAfterSeconds)
  throw refusal
}
