import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { EventLog } from '../../log/event-log.ts'
import type { Sessions } from '../../session/sessions.ts'
import { chooseEncoding } from '../encoding.ts'
import { parse } from '../parse.ts'
import type { Subscribers } from '../subscribers.ts'

export interface EventRoutesOptions {
  sessions: Sessions
  subscribers: Subscribers
  log: EventLog
}

const Params = z.object({ threadId: z.string() })
const flag = z.enum(['true', 'false', '1', '0', '']).transform((value) => value !== 'false' && value !== '0')
const seq = z.coerce.number().int().min(-1)

const Query = z.object({
  /** Records behind this seq; 0 is everything, -1 only what is new. */
  after: seq.optional(),
  /** `false` ends at the present. */
  follow: flag.default(true),
  /** `run` ends behind the next terminal event. */
  until: z.literal('run').optional(),
  /** `true` waits for a thread that is not known yet. */
  wait: flag.default(false),
})

const Headers = z.object({ 'last-event-id': seq.optional() })

/** Subscriptions: replay, then follow, one SSE frame a record with its seq as id. */
export function eventRoutes({ sessions, subscribers, log }: EventRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/sessions/:threadId/events', async (request, reply) => {
      const { threadId } = parse(Params, request.params, 'the path')
      const query = parse(Query, request.query, 'the query')
      const { 'last-event-id': lastEventId } = parse(Headers, request.headers, 'the headers')
      if (!query.wait) sessions.get(threadId)
      const head = log.head(threadId)
      // The header wins: it is what a browser that re-connects knows better than the URL it was given.
      const wanted = lastEventId ?? query.after ?? 0
      const after = wanted < 0 ? head : wanted
      if (!query.follow && after >= head) return reply.type('text/event-stream').send('')
      return subscribers.send(reply, {
        threadId,
        after,
        encoding: chooseEncoding(request.headers.accept),
        isLast: (batch) => (query.until === 'run' && batch.terminal) || (!query.follow && batch.last >= head),
      })
    })
  }
}
