import { randomUUID } from 'node:crypto'
import { EventType } from '@ag-ui/core'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ProtocolVersion } from '../../agui/dialect.ts'
import type { AguiEvent } from '../../agui/event.ts'
import { isCode, RunnerError } from '../../errors.ts'
import type { Batch } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import { readMessages, takeSnapshot } from '../../thread/snapshot.ts'
import { wholeNumber } from '../../whole-number.ts'
import { within } from '../../within.ts'
import { about } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { chooseEncoding, STREAM_TYPES } from '../stream/encoding.ts'
import { leaving } from '../stream/leaving.ts'
import type { Subscribers } from '../stream/subscribers.ts'

export interface EventRoutesOptions {
  threads: ServedThreads
  subscribers: Subscribers
  log: EventLog
  /** The thread that belongs to this sandbox; undefined when there is none. */
  sessionId: string | undefined
}

const Params = z.object({ threadId: z.string() })
const flag = z.enum(['true', 'false', '1', '0', '']).transform((value) => value !== 'false' && value !== '0')
const seq = wholeNumber({ min: -1 })
const emptyIsNone = (value: unknown): unknown => (value === '' ? undefined : value)

const TicketQuery = z.object({
  ticket: z.string().optional().describe('Of POST /tickets, in place of the token.'),
})

/** The query of every stream. Without a version, the client reads the log unchanged. */
const StreamQuery = TicketQuery.extend({
  protocolVersion: ProtocolVersion.default('1.0').describe('0 for a client before AG-UI 1.0.'),
})

const Query = StreamQuery.extend({
  after: seq.optional().describe('Records behind this seq; 0 is everything, -1 only what is new.'),
  follow: flag.default(true).describe('false ends at the present.'),
  until: z.literal('run').optional().describe('run ends behind the next terminal event.'),
  wait: flag.default(false).describe('true waits for a thread that is not known yet.'),
})

/** Its snapshot stands for every record so far, so there is no record to begin after. */
const ConnectQuery = Query.omit({ after: true })

/** An empty id counts as absent, as for an EventSource. */
const Headers = z.object({ 'last-event-id': z.preprocess(emptyIsNone, seq.optional()) })

/** How long `/events/:id/wait` waits for the thread to appear, in milliseconds (the existing platform's default). */
const TAP_WAIT_MS = 2000

const STREAM = { 200: { says: 'Events as they come.', media: STREAM_TYPES } }

const SUBSCRIBE = about(() => ({
  tag: 'threads',
  summary: "The thread's records: replay, then follow; id is the record's seq.",
  params: Params,
  query: Query,
  headers: Headers,
  answers: STREAM,
  errors: ['not_found', 'replay_expired', 'too_many_subscribers'],
}))

const CONNECT = about(() => ({
  tag: 'threads',
  summary: 'For a client that holds nothing: a snapshot of the messages, what is open again, then live.',
  params: Params,
  query: ConnectQuery,
  answers: STREAM,
  errors: ['not_found', 'too_many_subscribers'],
}))

const TAP = about(() => ({
  tag: 'threads',
  summary: 'The run under way or the next one, until its end.',
  params: Params,
  query: StreamQuery,
  answers: STREAM,
  errors: ['not_found', 'too_many_subscribers'],
}))

const OWN_TAP = about(() => ({
  tag: 'threads',
  summary: "The same for the sandbox's own thread (SESSION_ID).",
  query: StreamQuery,
  answers: STREAM,
  errors: ['not_found', 'too_many_subscribers'],
}))

/** Registers the subscriptions: replay, then follow, with one SSE frame a record and its seq as id. */
export function eventRoutes(options: EventRoutesOptions): FastifyPluginAsync {
  return async (app) => {
    app.get('/sessions/:threadId/events', SUBSCRIBE, (request, reply) => subscribe(options, request, reply))
    app.get('/sessions/:threadId/connect', CONNECT, (request, reply) => connect(options, request, reply))
    app.get('/events/:threadId', TAP, (request, reply) => tap(options, request, reply))
    app.get('/events/:threadId/wait', TAP, async (request, reply) => {
      const { threadId } = parse(Params, request.params, 'the path')
      const bounds = { signal: leaving(reply), timeoutMs: TAP_WAIT_MS }
      await within(bounds, (signal) => options.threads.arrived(threadId, signal))
      await options.threads.view(threadId)
      return tap(options, request, reply)
    })
    app.get('/agui/events', OWN_TAP, (request, reply) => tap(options, request, reply))
  }
}

async function subscribe(
  { threads, subscribers, log }: EventRoutesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { threadId } = parse(Params, request.params, 'the path')
  const query = parse(Query, request.query, 'the query')
  const { 'last-event-id': lastEventId } = parse(Headers, request.headers, 'the headers')
  await (query.wait ? threads.settled(threadId) : threads.view(threadId))
  // A client that only reads the present records and leaves does not count as back.
  if (query.follow) threads.return(threadId)
  const head = await log.head(threadId)
  // The header wins over the query: a browser that reconnects sends its latest id there, with the first URL.
  const wanted = lastEventId ?? query.after ?? 0
  const after = wanted < 0 ? head : wanted
  const encoding = chooseEncoding(request.headers.accept, { dialect: query.protocolVersion, threadId })
  await log.checkReplay(threadId, after)
  if (!query.follow && after >= head) return reply.type(encoding.contentType).send('')
  return subscribers.send(reply, {
    threadId,
    after,
    encoding,
    isLast: (batch) => (query.until === 'run' && batch.terminal) || (!query.follow && batch.last >= head),
  })
}

async function connect(
  { threads, subscribers, log }: EventRoutesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { threadId } = parse(Params, request.params, 'the path')
  const query = parse(ConnectQuery, request.query, 'the query')
  await (query.wait ? threads.settled(threadId) : threads.view(threadId))
  threads.return(threadId)
  const encoding = chooseEncoding(request.headers.accept, { dialect: query.protocolVersion, threadId })
  const lease = subscribers.takeFor(encoding)
  const connectId = `connect-${randomUUID()}`
  const signal = leaving(reply)
  const snapshot = await takeSnapshot(log, { threadId, connectId, signal }).catch((error: unknown) => {
    lease.release()
    throw error
  })
  const { events, head } = snapshot
  // The id on the last event marks the snapshot as complete, and a client that is cut off resumes after it.
  const prefix = encoding.events(events, head)
  const isOpen = events.at(-1)?.type !== EventType.RUN_FINISHED
  if (!isOpen && (!query.follow || query.until === 'run')) {
    lease.release()
    return reply.type(encoding.contentType).send(prefix)
  }
  const isLast = (batch: Batch): boolean => batch.terminal && (!query.follow || query.until === 'run')
  const restate = async (seq: number): Promise<AguiEvent> => {
    const messages = await readMessages(log, { threadId, head: seq, signal })
    return { type: EventType.MESSAGES_SNAPSHOT, messages }
  }
  return subscribers.send(reply, { threadId, after: head, encoding, prefix, isLast, restate }, lease)
}

/** Streams the run in progress, or the next one, until its end: the platform's live tap, for any number of readers. */
async function tap(
  { threads, sessionId, subscribers, log }: EventRoutesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { threadId = sessionId } = parse(Params.partial(), request.params, 'the path')
  if (threadId === undefined) {
    throw new RunnerError(
      'not_found',
      'This runner has no session of its own (SESSION_ID); name a thread: GET /events/{threadId}.',
    )
  }
  const { protocolVersion: dialect } = parse(StreamQuery, request.query, 'the query')
  threads.return(threadId)
  const view = await threads.view(threadId).catch((error: unknown) => {
    if (isCode(error, 'not_found')) return undefined
    throw error
  })
  const after = view?.runningAfter ?? (await log.head(threadId))
  const encoding = chooseEncoding(request.headers.accept, { dialect, threadId })
  return subscribers.send(reply, { threadId, after, encoding, isLast: (batch) => batch.terminal })
}
