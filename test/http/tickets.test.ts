// A ticket's lifetime is a time that passes in this process, whatever the wall clock is set to.
import type { FastifyRequest } from 'fastify'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { TICKET_TTL_MS, Tickets } from '../../src/http/doors/tickets.ts'

const HOUR_MS = 3_600_000

// Time passes only where a test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }))
afterEach(() => void vi.useRealTimers())

/** Sets the wall clock only. */
function setClock(ms: number): void {
  vi.setSystemTime(Date.now() + ms)
}

/** What the ticket's own request has, as far as it is read. */
const request = { routeOptions: { url: '/ws' }, params: {}, raw: {} } as unknown as FastifyRequest

test.each([HOUR_MS, -HOUR_MS])('a ticket lives as long when the clock is set by %i ms', (ms) => {
  const tickets = new Tickets({ sessionId: undefined })
  const { ticket, expiresAt } = tickets.issue('t', TICKET_TTL_MS)
  const late = tickets.issue('t', TICKET_TTL_MS)
  expect(expiresAt).toBe(Date.now() + TICKET_TTL_MS)
  setClock(ms)
  vi.advanceTimersByTime(TICKET_TTL_MS - 1)
  expect(() => tickets.redeem(ticket, request)).not.toThrow()
  vi.advanceTimersByTime(1)
  expect(() => tickets.redeem(late.ticket, request)).toThrow(/expired/)
})
