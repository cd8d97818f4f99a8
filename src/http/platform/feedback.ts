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

/** The fields of the payload that may be logged: the user and the subject, never the user's words. */
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

/** Registers the feedback routes: a thumb up or down is logged and returned as the event that the platform keeps. */
export function feedbackRoutes() {
  return async (app: FastifyInstance): Promise<void> => {
    for (const url of ['/feedback', '/agui/feedback']) {
      app.post(url, ABOUT, async (request) => {
        const { metaType, payload, threadId } = parse(Body, request.body, 'the body')
        request.log.info({ metaType, threadId, ...Facts.parse(payload) }, 'feedback')
        // Recorded in the runner's own log only, because the runner has no tracing service.
        return { type: 'RAW', event: { name: 'ambient:feedback', metaType, payload, recorded: false } }
      })
    }
  }
}
