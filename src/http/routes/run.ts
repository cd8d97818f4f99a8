import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseRunInput } from '../../agui/input.ts'
import type { Sessions } from '../../session/sessions.ts'
import { chooseEncoding } from '../encoding.ts'
import type { Subscribers } from '../subscribers.ts'

export interface RunRoutesOptions {
  sessions: Sessions
  subscribers: Subscribers
}

/**
 * `POST /`: submit a run, then read the thread's log from its first record, as a client that re-connects would.
 * A client that leaves ends its reader, not the run.
 */
export function runRoutes(options: RunRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    const run = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const { input, warnings } = parseRunInput(request.body)
      const { sessions, subscribers } = options
      for (const warning of warnings)
        request.log.warn({ threadId: input.threadId, warning }, 'input stripped')
      subscribers.checkRoom()
      const { after, runId } = await sessions.submit(input)
      request.log.info({ threadId: input.threadId, runId }, 'run started')
      return subscribers.send(reply, {
        threadId: input.threadId,
        after,
        runId,
        encoding: chooseEncoding(request.headers.accept),
        isLast: (batch) => batch.terminal,
      })
    }
    for (const url of ['/', '/agui', '/agui/run']) app.post(url, run)
  }
}
