import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { isCode, RunnerError } from '../../errors.ts'
import { ModelName } from '../../model-name.ts'
import type { Redactor } from '../../redaction/redactor.ts'
import type { Blobs } from '../../storage/blob.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import { TITLE_CHARS_MAX } from '../../thread/title.ts'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { sendBytes } from './send-bytes.ts'
import { described, toWire } from './thread-wire.ts'

export interface ThreadRoutesOptions {
  threads: ServedThreads
  blobs: Blobs
  /** Removes secrets from open interrupts. They are stored unredacted, because their answers need the originals. */
  redactor: Redactor
  /** The thread that belongs to this sandbox: the target of an interrupt or a model change without an id. */
  sessionId: string | undefined
}

const Params = z.object({ threadId: z.string() })
const BlobParams = Params.extend({ blobId: z.string() })
const QueuedParams = Params.extend({ runId: z.string() })
const QueueBody = z.strictObject({ runIds: z.array(z.string()) })
const RenameBody = z.strictObject({
  title: z
    .string()
    .trim()
    .min(1)
    .max(TITLE_CHARS_MAX)
    .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'one line without control characters'),
})
const ModelBody = z.object({ model: ModelName, thread_id: z.string().optional() })
const MessageBody = z.strictObject({
  content: z.unknown(),
  delivery: z.enum(['steer', 'queue']).default('queue'),
})
const InterruptBody = z
  .object({ thread_id: z.string().optional(), threadId: z.string().optional() })
  .nullish()

const LIST = about(() => {
  const { schema } = described()
  return {
    tag: 'threads',
    summary: 'Every thread that is known.',
    answers: ok('The threads.', z.object({ sessions: z.array(schema) })),
  }
})

const ONE = about(() => ({
  tag: 'threads',
  summary: 'One thread.',
  params: Params,
  answers: ok('The thread.', described()),
  errors: ['not_found'],
}))

const DELETE = about(() => ({
  tag: 'threads',
  summary: 'Stops the thread and forgets it, its log included.',
  params: Params,
  answers: { 204: { says: 'It is gone.' } },
  errors: ['not_found'],
}))

const RENAME = about(() => ({
  tag: 'threads',
  summary: 'Names the thread.',
  params: Params,
  body: RenameBody,
  example: { title: 'Fix the flaky login test' },
  answers: ok('The thread.', described()),
  errors: ['not_found', 'shutting_down'],
}))

const ORDER = about(() => ({
  tag: 'threads',
  summary: 'The order in which what waits is run.',
  details:
    'Names every run that waits, the next one first. A run whose message was given to the running turn keeps its place and is not named.',
  params: Params,
  body: QueueBody,
  example: { runIds: ['run-3', 'run-2'] },
  answers: ok('The thread.', described()),
  errors: ['not_found', 'queue_changed'],
}))

const WITHDRAW = about(() => ({
  tag: 'threads',
  summary: 'Takes a run out of the queue.',
  details:
    'Its messages do not reach the agent, and the thread knows them, so that a client may go on sending them in its history. When its turn comes it ends as cancelled, for whoever follows it.',
  params: QueuedParams,
  answers: { 204: { says: 'It will not be run.' } },
  errors: ['not_found'],
}))

const INTERRUPT = about(() => ({
  tag: 'threads',
  summary: 'Stops the running turn; the conversation goes on.',
  params: Params,
  answers: ok('Whether something was running.', z.object({ interrupted: z.boolean() })),
  errors: ['not_found'],
}))

const BLOB = about(() => ({
  tag: 'threads',
  summary: 'The whole of what was too large for an event.',
  params: BlobParams,
  answers: { 200: { says: 'Its bytes.', media: ['application/octet-stream'] } },
  errors: ['not_found'],
}))

const MESSAGE = about(() => ({
  tag: 'threads',
  summary: 'Puts a user message into the thread: into the running turn, or behind it.',
  params: Params,
  body: MessageBody,
  example: { content: 'And then run the tests.', delivery: 'queue' },
  answers: {
    202: {
      says: 'What becomes of it.',
      json: z.object({
        messageId: z.string(),
        delivery: z.enum(['run', 'queue', 'steer']),
        runId: z.string().optional(),
      }),
    },
  },
  errors: ['too_many_threads', 'queue_full', 'interrupt_open', 'shutting_down'],
}))

const MODEL = about(() => ({
  tag: 'platform',
  summary: 'The model of later runs; the conversation goes on.',
  body: ModelBody,
  example: { model: 'opus', thread_id: 'first' },
  answers: ok(
    'It is switched.',
    z.object({ message: z.string(), model: z.string(), previousModel: z.string().nullable() }),
  ),
  errors: ['too_many_threads', 'shutting_down'],
}))

const INTERRUPT_ANY = about(() => ({
  tag: 'platform',
  summary: 'Stops the running turn of the thread that is named, else of the own or the only one.',
  body: InterruptBody,
  example: { thread_id: 'first' },
  answers: ok('Whether something was running.', z.object({ message: z.string(), interrupted: z.boolean() })),
}))

export function threadRoutes({ threads, blobs, redactor, sessionId }: ThreadRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/sessions', LIST, async () => ({
      sessions: redactor.redactValue((await threads.all()).map(toWire)),
    }))

    app.get('/sessions/:threadId', ONE, async (request) => {
      const view = await threads.view(parse(Params, request.params, 'the path').threadId)
      return redactor.redactValue(toWire(view))
    })

    app.delete('/sessions/:threadId', DELETE, async (request, reply) => {
      await threads.delete(parse(Params, request.params, 'the path').threadId)
      return reply.status(204).send()
    })

    app.patch('/sessions/:threadId', RENAME, async (request) => {
      const { threadId } = parse(Params, request.params, 'the path')
      const { title } = parse(RenameBody, request.body, 'the body')
      const thread = await threads.get(threadId)
      await thread.rename(title)
      return redactor.redactValue(toWire(thread.describe()))
    })

    app.put('/sessions/:threadId/queue', ORDER, async (request) => {
      const { threadId } = parse(Params, request.params, 'the path')
      const { runIds } = parse(QueueBody, request.body, 'the body')
      const thread = await threads.get(threadId)
      await thread.queue.order(runIds)
      return redactor.redactValue(toWire(thread.describe()))
    })

    app.delete('/sessions/:threadId/queue/:runId', WITHDRAW, async (request, reply) => {
      const { threadId, runId } = parse(QueuedParams, request.params, 'the path')
      await (await threads.get(threadId)).queue.withdraw(runId)
      return reply.status(204).send()
    })

    app.post('/sessions/:threadId/interrupt', INTERRUPT, async (request) => {
      const { threadId } = parse(Params, request.params, 'the path')
      return { interrupted: await (await threads.get(threadId)).interrupt() }
    })

    app.get('/sessions/:threadId/blobs/:blobId', BLOB, async (request, reply) => {
      const { threadId, blobId } = parse(BlobParams, request.params, 'the path')
      await threads.settled(threadId)
      const blob = await blobs.get(threadId, blobId)
      if (blob === undefined)
        throw new RunnerError('not_found', `Thread "${threadId}" has no blob "${blobId}".`)
      return sendBytes(reply, blob)
    })

    app.post('/sessions/:threadId/messages', MESSAGE, async (request, reply) => {
      const { threadId } = parse(Params, request.params, 'the path')
      const { content, delivery } = parse(MessageBody, request.body, 'the body')
      const accepted = await threads.post(threadId, content, delivery)
      request.log.info({ threadId, ...accepted }, 'message accepted')
      return reply.status(202).send(accepted)
    })

    app.post('/model', MODEL, async (request) => {
      const { model, thread_id: named = sessionId } = parse(ModelBody, request.body, 'the body')
      if (named === undefined) {
        throw new RunnerError('invalid_input', 'Name the thread whose model is to change as thread_id.')
      }
      const previousModel = await threads.setModel(named, model)
      return { message: 'Model switched', model, previousModel: previousModel ?? null }
    })

    for (const url of ['/interrupt', '/agui/interrupt']) {
      app.post(url, INTERRUPT_ANY, async (request) => {
        const body = parse(InterruptBody, request.body, 'the body')
        const named = body?.thread_id ?? body?.threadId ?? sessionId
        return { message: 'Interrupt signal sent', ...(await interrupt(threads, named)) }
      })
    }
  }
}

/**
 * Interrupts the named thread, and without a name the only running thread. Returns `interrupted: false` when nothing
 * runs.
 *
 * @throws {RunnerError} `invalid_input` when several threads run and none is named.
 */
async function interrupt(
  threads: ServedThreads,
  named: string | undefined,
): Promise<{ interrupted: boolean }> {
  if (named !== undefined) {
    const thread = await threads.get(named).catch((error: unknown) => {
      if (isCode(error, 'not_found')) return undefined
      throw error
    })
    return { interrupted: (await thread?.interrupt()) ?? false }
  }
  const running = threads.list().filter(({ state }) => state === 'running')
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
  return { interrupted: (await (await threads.find(only.threadId))?.interrupt()) ?? false }
}
