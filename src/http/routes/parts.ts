import type { ContentPart } from '@ag-ui/core'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import type { EventLog } from '../../storage/event-log.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import { readMessages } from '../../thread/snapshot.ts'
import { wholeNumber } from '../../whole-number.ts'
import { about } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { leaving } from '../stream/leaving.ts'
import { sendBytes } from './send-bytes.ts'

export interface PartRoutesOptions {
  threads: ServedThreads
  log: EventLog
}

const Params = z.object({
  threadId: z.string(),
  messageId: z.string(),
  index: wholeNumber(),
})

const PART = about(() => ({
  tag: 'threads',
  summary:
    "The bytes of one part of a message's content: what clients before AG-UI 1.0 get a line of text for.",
  params: Params,
  answers: { 200: { says: 'Its bytes.', media: ['application/octet-stream'] } },
  errors: ['not_found'],
}))

export function partRoutes({ threads, log }: PartRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/sessions/:threadId/messages/:messageId/parts/:index', PART, async (request, reply) => {
      const { threadId, messageId, index } = parse(Params, request.params, 'the path')
      await threads.view(threadId)
      const messages = await readMessages(log, { threadId, signal: leaving(reply) })
      const content = messages.find(({ id }) => id === messageId)?.content
      const part: ContentPart | undefined = Array.isArray(content) ? content[index] : undefined
      if (part === undefined || part.type === 'text' || part.source.type !== 'data') {
        const what = `Message "${messageId}" of thread "${threadId}" has no part ${index} with bytes of its own.`
        throw new RunnerError('not_found', what)
      }
      const { mimeType, value } = part.source
      return sendBytes(reply, { contentType: mimeType, bytes: Buffer.from(value, 'base64') })
    })
  }
}
