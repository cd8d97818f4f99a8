import fastifyWebsocket, { type WebSocket } from '@fastify/websocket'
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { TraceCarrier } from '../../agent/trace.ts'
import { ProtocolVersion } from '../../agui/dialect.ts'
import { type ParsedInput, parseRunInput, withAguiNames } from '../../agui/input.ts'
import { inBackground } from '../../background.ts'
import { RunnerError } from '../../errors.ts'
import { isObject } from '../../json.ts'
import { type Lease, Slots } from '../../lease.ts'
import type { Redactor } from '../../redaction/redactor.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { type RunProps, runPropsOf } from '../../thread/run-props.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import { about } from '../document/about.ts'
import { refuse } from '../doors/client-errors.ts'
import { logFailure, toErrorBody } from '../doors/error-answers.ts'
import { parseJsonBody } from '../doors/json-body.ts'
import { parse } from '../doors/parse.ts'
import { RateLimit } from '../doors/rate-limit.ts'
import { checkSent, type SentLimits } from '../doors/sent-ids.ts'
import type { Tickets } from '../doors/tickets.ts'
import { traceOf } from '../doors/trace-header.ts'
import { SOCKET_PATH } from '../doors/upgrades.ts'
import type { Reader } from '../stream/encoding.ts'
import type { Subscribers } from '../stream/subscribers.ts'
import { SentRuns } from './sent-runs.ts'

export interface SocketRoutesOptions extends SentLimits {
  threads: ServedThreads
  redactor: Redactor
  subscribers: Subscribers
  log: EventLog
  /** Above this number of unsent bytes, a socket gets no further bytes and its reading of the log pauses. */
  subscriberBufferBytesMax: number
  requestBodyBytesMax: number
  /** Upper bound of the frames that a client sends on one socket, per minute. */
  socketMessagesPerMinuteMax: number
  /** Interval of the pings on a silent socket: as for a stream, so that proxies see a live connection. */
  sseKeepaliveMs: number
  tickets: Tickets
  /** As in `RunRoutesOptions`. */
  onDisconnect: NonNullable<RunProps['onDisconnect']>
}

interface SocketOptions extends SocketRoutesOptions {
  logger: FastifyBaseLogger
  /** The trace of the handshake, for runs that name none. */
  trace: TraceCarrier
  /** The only thread that the socket may use: the one of its ticket; undefined without a ticket. */
  onlyThread: string | undefined
}

/** Upper bound of the subscriptions of one socket. */
const SUBSCRIPTIONS_MAX = 64

const Command = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('run'), input: z.unknown(), ...TraceCarrier.shape }),
  z.strictObject({
    type: z.literal('subscribe'),
    threadId: z.string(),
    /** As in `GET /sessions/:threadId/events`. */
    after: z.number().int().min(-1).default(0),
    protocolVersion: ProtocolVersion.default('1.0'),
  }),
  z.strictObject({ type: z.literal('unsubscribe'), threadId: z.string() }),
  z.strictObject({ type: z.literal('interrupt'), threadId: z.string() }),
  z.strictObject({
    type: z.literal('message'),
    threadId: z.string(),
    content: z.unknown(),
    delivery: z.enum(['steer', 'queue']).default('queue'),
  }),
])
type Command = z.infer<typeof Command>

const ABOUT = about(() => ({
  tag: 'runs',
  summary: 'A WebSocket: commands in, events of the subscribed threads out, one JSON text frame each.',
  details: `In: ${Command.options.map(({ shape }) => shape.type.value).join(', ')}. Out: event {threadId, seq, event}, interrupted, accepted, error. The token may come as the subprotocol bearer.<token>, or a ticket of POST /tickets as ?ticket=.`,
  answers: { 101: { says: 'The connection is a WebSocket from here on.' } },
  errors: ['invalid_input'],
}))

/** Registers `GET /ws`: commands in, events of the subscribed threads out, one JSON text frame each. */
export function socketRoutes(options: SocketRoutesOptions): FastifyPluginAsync {
  return async (app) => {
    await app.register(fastifyWebsocket, {
      options: {
        maxPayload: options.requestBodyBytesMax,
        // The token may come as a subprotocol. A browser only continues when the server selects one.
        handleProtocols: (protocols: Set<string>) => [...protocols][0] ?? false,
      },
      // What a client does wrong is no error of the runner, as which the plugin would log it.
      errorHandler(error, socket, request) {
        request.log.info({ reason: error.message }, 'socket failed')
        socket.terminate()
      },
    })
    // The plugin closes only sockets that reach it. A refused handshake does not, and Node's time-outs do not apply.
    app.addHook('onResponse', (request, _reply, done) => {
      if (request.headers.upgrade !== undefined) request.raw.socket.destroySoon()
      done()
    })
    app.websocketServer.on('wsClientError', (error, socket) => {
      refuse(socket, new RunnerError('invalid_input', `This is no WebSocket handshake: ${error.message}.`))
    })
    app.route({
      method: 'GET',
      url: SOCKET_PATH,
      ...ABOUT,
      handler() {
        throw new RunnerError('invalid_input', 'This is a WebSocket; ask for it with an Upgrade.')
      },
      wsHandler(socket, request) {
        const onlyThread = options.tickets.threadOf(request)
        const trace = traceOf(request.headers)
        new SocketSession(socket, { ...options, logger: request.log, trace, onlyThread }).open()
      },
    })
  }
}

class SocketSession {
  readonly #socket: WebSocket
  readonly #options: SocketOptions
  readonly #subscriptions = new Map<string, AbortController>()
  /** By thread, when the last command for it has been obeyed. */
  readonly #obeyed = new Map<string, Promise<void>>()
  readonly #slots = new Slots<string>(SUBSCRIPTIONS_MAX)
  readonly #messages: RateLimit
  readonly #sent: SentRuns

  constructor(socket: WebSocket, options: SocketOptions) {
    this.#socket = socket
    this.#options = options
    this.#sent = new SentRuns(options)
    const name = 'SOCKET_MESSAGES_PER_MINUTE_MAX'
    this.#messages = new RateLimit({ name, perMinute: options.socketMessagesPerMinuteMax })
  }

  open(): void {
    const hangUp = (): void => this.#socket.terminate()
    this.#socket.on('message', (data) =>
      inBackground(
        { name: 'obeying a frame' },
        this.#onMessage(Buffer.concat([data].flat().map(toBytes))),
        hangUp,
      ),
    )
    const keepalive = setInterval(() => {
      if (this.#socket.bufferedAmount === 0) this.#socket.ping()
    }, this.#options.sseKeepaliveMs).unref()
    this.#socket.once('close', () => {
      clearInterval(keepalive)
      for (const subscription of this.#subscriptions.values()) subscription.abort()
      this.#sent.leaveAll()
    })
  }

  async #onMessage(bytes: Buffer): Promise<void> {
    let frame: unknown
    try {
      const refusal = this.#messages.take('')
      if (refusal !== undefined) throw refusal
      frame = parseJsonBody(bytes, 'the frame', this.#options)
      checkSent(frame, 'the frame', this.#options)
      const command = parse(Command, frame, 'the frame')
      const { threadId = '' } = placeOf(frame, this.#options)
      await this.#inTurn(threadId, () => this.#obey(command))
    } catch (error) {
      this.#sendError(error, frame)
    }
  }

  /** Obeys the commands for a thread in the order in which they came, since each looks up something first. */
  #inTurn(threadId: string, obey: () => Promise<void>): Promise<void> {
    const obeyed = (this.#obeyed.get(threadId) ?? Promise.resolve()).then(obey)
    const settled = obeyed
      .catch(() => undefined)
      .then(() => {
        if (this.#obeyed.get(threadId) === settled) this.#obeyed.delete(threadId)
      })
    this.#obeyed.set(threadId, settled)
    return obeyed
  }

  async #obey(command: Command): Promise<void> {
    const { threads, log } = this.#options
    if ('threadId' in command) this.#checkThread(command.threadId)
    switch (command.type) {
      case 'run': {
        await this.#run(parseRunInput(command.input), this.#traceOf(command))
        return
      }
      case 'subscribe': {
        const { threadId } = command
        await threads.view(threadId)
        threads.return(threadId)
        const after = command.after < 0 ? await log.head(threadId) : command.after
        await log.checkReplay(threadId, after)
        this.#unsubscribe(threadId)
        this.#subscribe({ threadId, dialect: command.protocolVersion }, after, this.#take(threadId))
        return
      }
      case 'unsubscribe':
        this.#unsubscribe(command.threadId)
        this.#sent.leave(command.threadId)
        return
      case 'interrupt': {
        const interrupted = await (await threads.get(command.threadId)).interrupt()
        await this.#send({ type: 'interrupted', threadId: command.threadId, interrupted })
        return
      }
      case 'message': {
        const { threadId, delivery } = command
        const accepted = await threads.post(threadId, command.content, delivery)
        this.#options.logger.info({ threadId, ...accepted }, 'message accepted')
        await this.#send({ type: 'accepted', threadId, ...accepted })
        return
      }
    }
  }

  #traceOf({ traceparent, tracestate }: TraceCarrier): TraceCarrier {
    if (traceparent === undefined) return this.#options.trace
    return { traceparent, ...(tracestate !== undefined && { tracestate }) }
  }

  async #run({ input, dialect, warnings }: ParsedInput, trace: TraceCarrier): Promise<void> {
    const { threadId, runId } = input
    const { logger, onDisconnect: always } = this.#options
    this.#checkThread(threadId)
    for (const warning of warnings) logger.warn({ threadId, runId, warning }, 'input stripped')
    const { onDisconnect = always } = runPropsOf(input)
    const lease = this.#subscriptions.has(threadId) ? undefined : this.#take(threadId)
    try {
      const how = { dialect, endsWithReader: onDisconnect === 'interrupt' }
      const { after, steeredInto, skipped = [] } = await this.#sent.submit({ ...input, trace }, how)
      logger.info({ threadId, runId, steeredInto }, 'run submitted')
      if (steeredInto !== undefined)
        await this.#send({ type: 'accepted', threadId, runId, delivery: 'steer', steeredInto, skipped })
      // In the meantime another command may have subscribed or unsubscribed.
      if (!this.#subscriptions.has(threadId))
        this.#subscribe({ threadId, dialect }, after, lease ?? this.#take(threadId))
      else lease?.release()
    } catch (error) {
      lease?.release()
      throw error
    }
  }

  #checkThread(threadId: string): void {
    const { onlyThread } = this.#options
    if (onlyThread === undefined || onlyThread === threadId) return
    throw new RunnerError('unauthorized', 'The ticket of this socket is for another thread.')
  }

  /** Takes a slot of this socket and one of all readers. @throws {RunnerError} `too_many_subscribers`. */
  #take(threadId: string): Lease {
    const own = this.#slots.take(threadId)
    if (own === undefined) {
      throw new RunnerError(
        'too_many_subscribers',
        `A socket may hold ${SUBSCRIPTIONS_MAX} subscriptions; open another.`,
      )
    }
    try {
      const lease = this.#options.subscribers.take('socket')
      return {
        release() {
          own.release()
          lease.release()
        },
      }
    } catch (error) {
      own.release()
      throw error
    }
  }

  #subscribe(reader: Reader, after: number, lease: Lease): void {
    const { threadId } = reader
    // The client left while its run was admitted. Nothing would ever end this subscription.
    if (this.#socket.readyState !== this.#socket.OPEN) {
      lease.release()
      return
    }
    const stop = new AbortController()
    // Released on abort, not at the end of reading, so that a subscription that replaces this one finds a free slot.
    stop.signal.addEventListener('abort', lease.release, { once: true })
    this.#subscriptions.set(threadId, stop)
    const followed = this.#follow(reader, after, stop.signal)
      .catch((error: unknown) => this.#sendError(error, { threadId }))
      .finally(() => {
        stop.abort()
        if (this.#subscriptions.get(threadId) === stop) this.#subscriptions.delete(threadId)
      })
    inBackground({ name: 'reading for a subscriber', threadId }, followed)
  }

  #unsubscribe(threadId: string): void {
    this.#subscriptions.get(threadId)?.abort()
    this.#subscriptions.delete(threadId)
  }

  /** Sends a thread's events at the client's pace. Otherwise `ws` would buffer without bound for a slow client. */
  async #follow(reader: Reader, after: number, signal: AbortSignal): Promise<void> {
    const { threadId } = reader
    const thread = JSON.stringify(threadId)
    for await (const batches of this.#options.log.read(threadId, after, signal)) {
      for (const batch of batches) {
        for (const { seq, json } of await this.#sent.frames(reader, batch, signal)) {
          if (signal.aborted) return
          const place = seq === undefined ? '' : `"seq":${seq},`
          const sent = this.#sendText(`{"type":"event","threadId":${thread},${place}"event":${json}}`)
          if (this.#socket.bufferedAmount > this.#options.subscriberBufferBytesMax) await sent
        }
      }
    }
  }

  #sendError(error: unknown, frame: unknown): void {
    const { body } = toErrorBody(error, this.#options.redactor)
    const about = placeOf(frame, this.#options)
    logFailure(this.#options.logger.child(about), error, body, 'socket command')
    inBackground({ name: 'answering a frame', ...about }, this.#send({ type: 'error', ...about, ...body }))
  }

  /** Sends an answer. Pauses reading while the client does not read its answers, which would fill the memory. */
  async #send(message: object): Promise<void> {
    const sent = this.#sendText(JSON.stringify(message))
    if (this.#socket.isPaused || this.#socket.bufferedAmount <= this.#options.subscriberBufferBytesMax) return
    this.#socket.pause()
    await sent
    this.#socket.resume()
  }

  /** Sends a text frame. Resolves when the kernel has it, or when the socket is closed. */
  #sendText(text: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.readyState !== this.#socket.OPEN) resolve()
      else this.#socket.send(text, () => resolve())
    })
  }
}

/** Returns the thread and the run that a frame names, so that its sender knows what was refused. */
function placeOf(frame: unknown, { idCharsMax }: SentLimits): { threadId?: string; runId?: string } {
  const holder = isObject(frame) && 'input' in frame ? withAguiNames(frame['input']) : frame
  if (!isObject(holder)) return {}
  const named = ['threadId', 'runId'].flatMap((name) => {
    const id = holder[name]
    return typeof id === 'string' && id.length <= idCharsMax ? [[name, id]] : []
  })
  return Object.fromEntries(named)
}

function toBytes(data: Buffer | ArrayBuffer): Buffer {
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}
