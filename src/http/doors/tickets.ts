import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'
import { isObject } from '../../json.ts'
import { SOCKET_PATH } from './upgrades.ts'

export interface Ticket {
  ticket: string
  threadId: string
  /** When the ticket expires, in milliseconds since 1970. */
  expiresAt: number
}

export const TICKET_TTL_MS = 30_000
export const TICKET_TTL_MS_MAX = 300_000
/** Upper bound of the unused tickets. Beyond it, the oldest becomes invalid. */
const TICKETS_MAX = 10_000
const TICKET_BYTES = 32

/** The routes that take a ticket: those that a browser opens without headers, by EventSource or WebSocket. */
const ROUTES = new Set([
  '/sessions/:threadId/events',
  '/sessions/:threadId/connect',
  '/events/:threadId',
  '/events/:threadId/wait',
  '/agui/events',
  SOCKET_PATH,
])

/**
 * Tickets that replace the token in a URL, for requests that cannot send headers. A ticket is valid once, for a short
 * time and for one thread. By the time a URL is read in a browser history or a proxy log, its ticket is invalid.
 */
export class Tickets {
  readonly #sessionId: string | undefined
  /** The unused tickets, in the order of their issue. The key is a digest, so that look-up times reveal nothing. */
  readonly #open = new Map<string, { threadId: string; goodUntil: number }>()
  readonly #threads = new WeakMap<IncomingMessage, string>()

  constructor({ sessionId }: { sessionId: string | undefined }) {
    this.#sessionId = sessionId
  }

  issue(threadId: string, ttlMs: number): Ticket {
    // By this clock, since the lifetime must not change with the wall clock.
    const now = performance.now()
    for (const [key, { goodUntil }] of this.#open) {
      if (goodUntil <= now || this.#open.size >= TICKETS_MAX) this.#open.delete(key)
    }
    const ticket = randomBytes(TICKET_BYTES).toString('base64url')
    this.#open.set(digest(ticket), { threadId, goodUntil: now + ttlMs })
    return { ticket, threadId, expiresAt: Date.now() + ttlMs }
  }

  /** Returns the ticket of a request on a route that takes one. Several tickets count as one unknown ticket. */
  given({ routeOptions, query }: FastifyRequest): string | undefined {
    if (!ROUTES.has(routeOptions.url ?? '')) return undefined
    return isObject(query) && 'ticket' in query ? (fieldOf(query, 'ticket') ?? '') : undefined
  }

  /** Admits the request to the ticket's thread. Always uses the ticket up. @throws {RunnerError} `unauthorized`. */
  redeem(ticket: string, request: FastifyRequest): void {
    const key = digest(ticket)
    const known = this.#open.get(key)
    this.#open.delete(key)
    if (known === undefined || known.goodUntil <= performance.now()) {
      throw new RunnerError(
        'unauthorized',
        'The ticket is unknown, expired or was used before; each is good once. Ask POST /tickets for another.',
      )
    }
    const isSocket = request.routeOptions.url === SOCKET_PATH
    const threadId = isSocket ? known.threadId : (fieldOf(request.params, 'threadId') ?? this.#sessionId)
    if (threadId !== known.threadId) {
      throw new RunnerError('unauthorized', 'The ticket is for another thread, and used up now.')
    }
    this.#threads.set(request.raw, threadId)
  }

  /** Returns the only thread that the request may use, and undefined when it came without a ticket. */
  threadOf(request: FastifyRequest): string | undefined {
    return this.#threads.get(request.raw)
  }
}

function digest(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url')
}

function fieldOf(record: unknown, name: string): string | undefined {
  if (!isObject(record)) return undefined
  const value: unknown = Object.entries(record).find(([key]) => key === name)?.[1]
  return typeof value === 'string' ? value : undefined
}
