import type { FastifyReply, FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'

export interface RateLimitOptions {
  /** The environment variable that sets it, as the refusal names it. */
  name: string
  /** So many at once, then as they come back, evenly; 0 for no limit. */
  perMinute: number
  /** Milliseconds; a clock that only goes forward. */
  now?: () => number
}

/** Keys that are known at a time; the one unused for longest begins anew. */
const KEYS_MAX = 10_000
const MINUTE_MS = 60_000

/**
 * A bucket of tokens for each key. Our own, because one rule has to hold for requests, refused tokens and WebSocket
 * frames, and `@fastify/rate-limit` knows requests only.
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
   * Takes one.
   *
   * @returns the refusal when nothing is left; it says when there will be.
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
    // To the end: the map is in the order of use.
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
 * Takes one for the address that the request came from: the connection's own, or what a proxy of TRUSTED_PROXIES says;
 * anybody else can write such a header.
 *
 * @throws {RunnerError} `rate_limited`.
 */
export function limitRequest(limit: RateLimit, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = limit.take(request.ip)
  if (refusal === undefined) return
  reply.header('retry-after', refusal.retryAfterSeconds)
  throw refusal
}
