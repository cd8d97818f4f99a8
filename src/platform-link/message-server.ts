import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { toMessage } from '../errors.ts'
import { cancelledBy, connector, isServiceError, rpcErrorText, trust } from '../grpc/channel.ts'
import type { Method } from '../grpc/definition.ts'
import type { ProxySettings } from '../proxy-settings.ts'
import { MARKER } from '../redaction/redacted-text.ts'
import type { Target } from '../tunnel/connect.ts'
import { LinkFailure, type Remedy } from './link-failure.ts'
import type { LinkPush } from './outgoing.ts'
import { SessionMessage, Stored, sessionService } from './protocol.ts'

export interface MessageServerOptions {
  server: Target
  useTls: boolean
  /** PEM files of authorities that are trusted beside the built-in ones. */
  caFiles: readonly string[]
  proxies: ProxySettings
  sessionId: string
  /** Time limit of one push, in milliseconds. */
  callMs: number
}

const REFUSALS: Readonly<Partial<Record<status, Remedy>>> = {
  [status.UNAUTHENTICATED]: 'token',
  [status.PERMISSION_DENIED]: 'refused',
  [status.NOT_FOUND]: 'refused',
  [status.UNIMPLEMENTED]: 'unsupported',
  [status.INVALID_ARGUMENT]: 'unfit',
  // The server has it, or never takes it: sending it again changes nothing.
  [status.ALREADY_EXISTS]: 'unfit',
  [status.OUT_OF_RANGE]: 'unfit',
}
const NO_ANSWER = 'No connection: nothing answers there.'
const SURE: ReadonlySet<status> = new Set([status.RESOURCE_EXHAUSTED, status.FAILED_PRECONDITION])
/** The library's error texts for a request that was not sent. */
const NOT_SENT = /^(?:No connection established|Name resolution failed|Failed to connect)/
/** The library's error text for an answer of something on the way, which speaks HTTP and no gRPC. */
const OF_ANOTHER = /^Received HTTP status code /
/** What servers of Go, Node and Java say of a request that is above their limit, and would be again. */
const TOO_LARGE = /larger than max|exceeds maximum size/i

/** A client of the control plane's message service, with the calls that a runner may make. */
export class MessageServer {
  readonly #options: MessageServerOptions
  readonly #service = sessionService()
  readonly #connect: () => Client
  #pushing: Client | undefined

  /** @throws {RunnerError} `config_invalid` for a CA file that cannot be read, or a proxy that cannot be used. */
  constructor(options: MessageServerOptions) {
    this.#options = options
    const { server, useTls, caFiles, proxies } = options
    this.#connect = connector({ server, proxies, tls: useTls ? trust({ caFiles }) : undefined })
  }

  /** Sends a push. Returns the seq under which it was stored, or 0 when the answer has none. @throws {LinkFailure} */
  async push(push: LinkPush, token: string | undefined, signal: AbortSignal): Promise<number> {
    const { PushSessionMessage, PushSessionEvent } = this.#service
    const { sessionId, callMs } = this.#options
    const common = { session_id: sessionId, event_type: push.type, payload: push.payload }
    this.#pushing ??= this.#connect()
    const call = { client: this.#pushing, token, deadlineMs: callMs, signal }
    try {
      if (push.to === 'messages') return await unary(PushSessionMessage, common, call)
      const { count, completedAt } = push
      const request = {
        ...common,
        event_count: count,
        ...(completedAt === undefined ? {} : timeOf(completedAt)),
      }
      return await unary(PushSessionEvent, request, call)
    } catch (error) {
      // The connection may be dead without having been closed.
      if (error instanceof LinkFailure && error.isUnsure) this.#disconnect()
      throw error
    }
  }

  /**
   * Yields the messages after `after`, then each new one, until `signal` is aborted or the server ends the stream. Uses
   * a connection of its own, so that a new watch finds out whether the server can be reached.
   *
   * @throws {LinkFailure}
   */
  async *watch(
    after: number,
    { token, signal, onOpen }: { token: string | undefined; signal: AbortSignal; onOpen?(): void },
  ): AsyncGenerator<SessionMessage> {
    const { path, requestSerialize, responseDeserialize } = this.#service.WatchSessionMessages
    const { sessionId, callMs } = this.#options
    const client = this.#connect()
    const stream = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { session_id: sessionId, after_seq: String(after) },
      metadataOf(token),
    )
    // The loop below handles errors. This handler ignores one from a cancellation before the loop.
    stream.on('error', () => undefined)
    const release = cancelledBy(signal, stream)
    let isLate = false
    // A connection that fails ends the stream with its cause. One that hangs does not.
    client.waitForReady(Date.now() + callMs, (error) => {
      if (error === undefined || error === null) return onOpen?.()
      isLate = true
      stream.cancel()
    })
    try {
      for await (const message of stream) yield SessionMessage.parse(message)
    } catch (error) {
      if (signal.aborted) return
      throw isLate ? new LinkFailure(NO_ANSWER, { remedy: 'again' }) : failureOf(error, token)
    } finally {
      release()
      stream.cancel()
      client.close()
    }
  }

  close(): void {
    this.#disconnect()
  }

  #disconnect(): void {
    this.#pushing?.close()
    this.#pushing = undefined
  }
}

interface Call {
  client: Client
  token: string | undefined
  deadlineMs: number
  signal: AbortSignal
}

function unary(
  method: Method,
  request: object,
  { client, token, deadlineMs, signal }: Call,
): Promise<number> {
  const { path, requestSerialize, responseDeserialize } = method
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadataOf(token),
      { deadline: Date.now() + deadlineMs },
      (error, answer) => {
        release()
        if (error !== null) return reject(failureOf(error, token))
        const stored = Stored.safeParse(answer)
        resolve(stored.success ? stored.data.seq : 0)
      },
    )
    const release = cancelledBy(signal, call)
  })
}

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata()
  // Exactly one value: the server treats two values as none.
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
  return metadata
}

/** A server may repeat the token that it refuses, and the text goes into the log. */
function failureOf(error: unknown, token: string | undefined): LinkFailure {
  if (error instanceof LinkFailure) return error
  if (!isServiceError(error)) return new LinkFailure(toMessage(error), { remedy: 'again' })
  const { code, details } = error
  const remedy = remedyOf(error)
  const isUnsure = remedy === 'again' && !SURE.has(code) && !NOT_SENT.test(details)
  const words = rpcErrorText(error)
  const said = token === undefined ? words : words.replaceAll(token, MARKER)
  return new LinkFailure(`${status[code]}: ${said}`, { remedy, isUnsure })
}

function remedyOf({ code, details }: ServiceError): Remedy {
  if (OF_ANOTHER.test(details)) return 'again'
  if (code === status.RESOURCE_EXHAUSTED && TOO_LARGE.test(details)) return 'unfit'
  return REFUSALS[code] ?? 'again'
}

function timeOf(ms: number): { completed_at: { seconds: string; nanos: number } } {
  return { completed_at: { seconds: String(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) } }
}
