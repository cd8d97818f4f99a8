import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import type { Blobs } from '../../log/blobs.ts'
import type { Sessions } from '../../session/sessions.ts'
import { parse } from '../parse.ts'

export interface SessionRoutesOptions {
  sessions: Sessions
  blobs: Blobs
  /** The thread that belongs to this sandbox: what an interrupt without an id means. */
  sessionId: string | undefined
}

const Params = z.object({ threadId: z.string() })
/** A client gave it with an upload; anything else could not stand in a header. */
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(; charset=[\w-]+)?$/

const BlobParams = Params.extend({ blobId: z.string() })
const ModelBody = z.object({ model: z.string().min(1), thread_id: z.string().optional() })
const MessageBody = z.object({ content: z.unknown(), delivery: z.enum(['steer', 'queue']).default('queue') })
const InterruptBody = z
  .object({ thread_id: z.string().optional(), threadId: z.string().optional() })
  .nullish()

export function sessionRoutes({ sessions, blobs, sessionId }: SessionRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/sessions', async () => ({ sessions: sessions.list() }))

    app.get('/sessions/:threadId', async (request) =>
      sessions.get(parse(Params, request.params, 'the path').threadId).describe(),
    )

    app.delete('/sessions/:threadId', async (request, reply) => {
      await sessions.delete(parse(Params, request.params, 'the path').threadId)
      return reply.status(204).send()
    })

    app.post('/sessions/:threadId/interrupt', async (request) => {
      const { threadId } = parse(Params, request.params, 'the path')
      return { interrupted: await sessions.get(threadId).interrupt() }
    })

    app.get('/sessions/:threadId/blobs/:blobId', async (request, reply) => {
      const { threadId, blobId } = parse(BlobParams, request.params, 'the path')
      const blob = blobs.get(threadId, blobId)
      if (blob === undefined)
        throw new RunnerError('not_found', `Thread "${threadId}" has no blob "${blobId}".`)
      // What a tool returned is nobody's page: never rendered in the runner's origin.
      return reply
        .header('content-security-policy', 'sandbox')
        .header('x-content-type-options', 'nosniff')
        .header('content-disposition', 'attachment')
        .type(MEDIA_TYPE.test(blob.contentType) ? blob.contentType : 'application/octet-stream')
        .send(blob.bytes)
    })

    app.post('/sessions/:threadId/messages', async (request, reply) => {
      const { threadId } = parse(Params, request.params, 'the path')
      const { content, delivery } = parse(MessageBody, request.body, 'the body')
      const accepted = await sessions.open(threadId).post(content, delivery)
      return reply.status(202).send(accepted)
    })

    app.post('/model', async (request) => {
      const { model, thread_id: named = sessionId } = parse(ModelBody, request.body, 'the body')
      if (named === undefined) {
        throw new RunnerError('invalid_input', 'Name the thread whose model is to change as thread_id.')
      }
      const previousModel = await sessions.open(named).setModel(model)
      return { message: 'Model switched', model, previousModel: previousModel ?? null }
    })

    for (const url of ['/interrupt', '/agui/interrupt']) {
      app.post(url, async (request) => {
        const body = parse(InterruptBody, request.body, 'the body')
        const named = body?.thread_id ?? body?.threadId ?? sessionId
        return { message: 'Interrupt signal sent', ...(await interrupt(sessions, named)) }
      })
    }
  }
}

/** Without a name: the one thread that runs. Nothing running is no error. */
async function interrupt(sessions: Sessions, named: string | undefined): Promise<{ interrupted: boolean }> {
  if (named !== undefined) return { interrupted: (await sessions.find(named)?.interrupt()) ?? false }
  const running = sessions.list().filter(({ state }) => state === 'running')
  const [only] = running
  if (only === undefined) return { interrupted: false }
  if (running.length > 1) {
    throw new RunnerError(
      'invalid_input',
      'Several threads are running; name the one to interrupt as thread_id.',
      {
        details: { threadIds: running.map(({ threadId }) => threadId) },
      },
    )
  }
  return { interrupted: await sessions.get(only.threadId).interrupt() }
}
