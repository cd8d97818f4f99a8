import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'

const Body = z.object({
  type: z.literal('META'),
  metaType: z.enum(['thumbs_up', 'thumbs_down']),
  payload: z.record(z.string(), z.unknown()),
  threadId: z.string().nullish(),
  ts: z.number().nullish(),
})

/** Of the payload, what a log may hold: who and about what, not what they said. */
const Facts = z.object({
  userId: z.string().optional().catch(undefined),
  messageId: z.string().optional().catch(undefined),
  traceId: z.string().optional().catch(undefined),
})

const ABOUT = about(() => ({
  tag: 'platform',
  summary: 'A thumb up or down: logged, and handed back as an event.',
  body: Body,
  example: { type: 'META', metaType: 'thumbs_up', payload: { messageId: 'message-1' }, threadId: 'first' },
  answers: ok('The event.', z.object({ type: z.literal('RAW'), event: z.looseObject({ name: z.string() }) })),
}))

/** A thumb up or down: logged, and handed back as the event that the platform keeps. */
export function feedbackRoutes() {
  return async (app: FastifyInstance): Promise<void> => {
    for (const url of ['/feedback', '/agui/feedback']) {
      app.post(url, ABOUT, async (request) => {
        const { metaType, payload, threadId } = parse(Body, request.body, 'the body')
        request.log.info({ metaType, threadId, ...Facts.parse(payload) }, 'feedback')
        // Not recorded anywhere but in the log: the runner has no tracing service of its own.
        return { type: 'RAW', event: { name: 'ambient:feedback', metaType, payload, recorded: false } }
      })
    }
  }
}
