import { EventType, PROTOCOL_VERSION, type RunAgentInput } from '@ag-ui/core'
import { RunAgentInputSchema } from '@ag-ui/core/schemas'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AguiEvent } from '../../agui/event.ts'
import { parseRunInput } from '../../agui/input.ts'
import { ownEvent } from '../../agui/own-events.ts'
import type { Batch } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { type RunProps, runPropsOf } from '../../thread/run-props.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import { about } from '../document/about.ts'
import { traceOf } from '../doors/trace-header.ts'
import { catchUpOf } from '../stream/catch-up.ts'
import { chooseEncoding, STREAM_TYPES } from '../stream/encoding.ts'
import { leaving } from '../stream/leaving.ts'
import type { Subscribers } from '../stream/subscribers.ts'

export interface RunRoutesOptions {
  threads: ServedThreads
  subscribers: Subscribers
  log: EventLog
  /** What happens to a run whose sender closes the stream, when `forwardedProps.onDisconnect` is not set. */
  onDisconnect: NonNullable<RunProps['onDisconnect']>
}

const ABOUT = about(() => ({
  tag: 'runs',
  summary: 'A run: RunAgentInput in, its events out, until its one terminal event.',
  details:
    'The thread is made on first use. A client that leaves ends its run only with forwardedProps.onDisconnect "interrupt". Members that AG-UI does not know are stripped; snake_case names of the ids are taken too. While a run is under way the answer is 409 thread_busy, unless forwardedProps.delivery is queue or steer. A history that ends with a known user message, or forwardedProps.replaces, takes the thread back to before that message.',
  body: { name: 'RunAgentInput', schema: RunAgentInputSchema },
  example: {
    protocolVersion: '1.0',
    threadId: 'first',
    runId: 'run-1',
    state: {},
    messages: [{ id: 'message-1', role: 'user', content: 'Say hello.' }],
    tools: [],
    context: [],
    forwardedProps: {},
  },
  answers: {
    200: {
      says: 'The events of the run: SSE, or protobuf when Accept names it.',
      media: STREAM_TYPES,
    },
  },
  errors: [
    'thread_busy',
    'run_exists',
    'history_conflict',
    'interrupt_open',
    'regenerate_unsupported',
    'too_many_threads',
    'too_many_subscribers',
    'queue_full',
    'shutting_down',
  ],
}))

/**
 * Registers `POST /`: submits a run, then streams the thread's log from the run's first record, as for a client that
 * reconnects. A client that leaves ends its stream, and ends the run only when `onDisconnect` is `interrupt`.
 */
export function runRoutes(options: RunRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    const run = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const { input, dialect, warnings } = parseRunInput(request.body)
      const { threads, subscribers, log } = options
      // From here on every log line of this request names the run, including that of a refusal.
      request.log = request.log.child({ threadId: input.threadId, runId: input.runId })
      for (const warning of warnings) request.log.warn({ warning }, 'input stripped')
      const { onDisconnect = options.onDisconnect } = runPropsOf(input)
      // Everything that can refuse the reader comes first, so that a client without a stream starts no run.
      const encoding = chooseEncoding(request.headers.accept, { dialect, threadId: input.threadId })
      const lease = subscribers.takeFor(encoding)
      const submitted = await threads
        .submit({ ...input, trace: traceOf(request.headers) })
        .catch((error: unknown) => {
          lease.release()
          throw error
        })
      const { after, runId, steeredInto, skipped = [], held } = submitted
      if (steeredInto !== undefined) {
        lease.release()
        request.log.info({ steeredInto }, 'run steered into another')
        const events = steeredEvents(input, steeredInto, skipped)
        return reply.type(encoding.contentType).send(encoding.events(events))
      }
      request.log.info('run submitted')
      const { threadId } = input
      if (onDisconnect === 'interrupt') {
        closedEarly(reply, () => {
          request.log.info('run left by its sender')
          threads.leave(threadId, runId)
        })
      }
      const catchUp =
        held === undefined ? {} : { catchUp: catchUpOf(held, { log, threadId, signal: leaving(reply) }) }
      const isLast = (batch: Batch): boolean => batch.terminal
      return subscribers.send(reply, { threadId, after, runId, encoding, isLast, ...catchUp }, lease)
    }
    for (const url of ['/', '/agui', '/agui/run']) app.post(url, ABOUT, run)
  }
}

/** Calls `onClosed` when the client closes the answer before it is complete. */
function closedEarly({ raw }: FastifyReply, onClosed: () => void): void {
  const check = (): void => {
    if (!raw.writableFinished) onClosed()
  }
  if (raw.closed) check()
  else raw.once('close', check)
}

/** Returns the whole stream of a run whose messages went into the turn of another run: it ends at once. */
function steeredEvents({ threadId, runId }: RunAgentInput, intoRunId: string, parts: string[]): AguiEvent[] {
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION },
    ownEvent('steered', { intoRunId }),
    ...(parts.length === 0 ? [] : [ownEvent('content_skipped', { parts })]),
    { type: EventType.RUN_FINISHED, threadId, runId, outcome: { type: 'success' } },
  ]
}
