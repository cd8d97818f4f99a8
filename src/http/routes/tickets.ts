import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { TICKET_TTL_MS, TICKET_TTL_MS_MAX, type Tickets } from '../doors/tickets.ts'

const Body = z.object({
  threadId: z.string().describe('It need not be there yet.'),
  ttlMs: z.number().int().min(1).max(TICKET_TTL_MS_MAX).default(TICKET_TTL_MS),
})

const ISSUE = about(() => ({
  tag: 'threads',
  summary: 'A ticket that stands for the token once, as ?ticket= of an EventSource or of the WebSocket.',
  body: Body,
  example: { threadId: 'first' },
  answers: ok(
    'The ticket.',
    z.object({
      ticket: z.string(),
      threadId: z.string(),
      expiresAt: z.number().describe('Milliseconds since 1970.'),
    }),
  ),
}))

export function ticketRoutes(tickets: Tickets): FastifyPluginAsync {
  return async (app) => {
    app.post('/tickets', ISSUE, async (request, reply) => {
      const { threadId, ttlMs } = parse(Body, request.body, 'the body')
      reply.header('cache-control', 'no-store')
      return tickets.issue(threadId, ttlMs)
    })
  }
}
