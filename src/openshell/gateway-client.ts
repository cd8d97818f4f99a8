import { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, type Metadata, status } from '@grpc/grpc-js'
import { RunnerError, toMessage } from '../errors.ts'
import { cancelledBy, connector, isServiceError, rpcErrorText } from '../grpc/channel.ts'
import { RELEASE_DEFAULT, type Release } from '../policy/read/release.ts'
import type { ProxySettings } from '../proxy-settings.ts'
import type { Access } from './access.ts'
import { GatewayFailure } from './gateway-failure.ts'
import { KNOWN_VERSIONS, protocolOf, releaseOf } from './gateway-version.ts'
import {
  ANSWERS,
  type AnswerOf,
  type CallName,
  ExecEvent,
  type Message,
  openshellServices,
  type Protocol,
  type RequestOf,
  type Services,
} from './service.ts'

export interface GatewayClientOptions {
  access: Access
  proxies: ProxySettings
  pace?: Partial<GatewayPace>
}

/** The limit and the pauses of calls, in milliseconds. */
export interface GatewayPace {
  /** Limit of one attempt. A gateway tries a model's upstream for up to 30 s before it answers SetInferenceRoute. */
  call: number
  /** The pauses before each new attempt of a call that the gateway could not serve. */
  pauses: readonly number[]
}

const PACE: GatewayPace = { call: 60_000, pauses: [1000, 2000, 4000, 8000] }
/** Keepalive of a silent connection: an exec may send nothing for hours. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 15_000 }

export type ExecPiece = { stdout: Uint8Array } | { stderr: Uint8Array } | { exit: number }
/** A duplex stream of ForwardTcp frames. */
export type ForwardStream = Duplex & { cancel(): void }

/** A client of the gateway's services. */
export class Gateway {
  readonly #access: Access
  readonly #client: Client
  readonly #pace: GatewayPace
  #release = RELEASE_DEFAULT
  #protocol: Protocol = '0.0'
  #services: Services = openshellServices('0.0')

  private constructor({ access, proxies, pace }: GatewayClientOptions) {
    this.#access = access
    this.#pace = { ...PACE, ...pace }
    this.#client = connector({ server: access.server, tls: access.tls, proxies }, KEEPALIVE)()
  }

  /**
   * Connects, and asks the gateway for its version, which decides the wire form.
   *
   * @throws {RunnerError} `config_invalid` for an unusable proxy; `sandbox_failed` for a version that is too old.
   * @throws {GatewayFailure}
   */
  static async open(options: GatewayClientOptions, signal: AbortSignal): Promise<Gateway> {
    const gateway = new Gateway(options)
    try {
      const { version } = await gateway.call('Health', {}, signal)
      const release = releaseOf(version)
      const protocol = protocolOf(release)
      if (protocol === undefined)
        throw new RunnerError(
          'sandbox_failed',
          `The gateway is OpenShell ${version}; this launcher knows ${KNOWN_VERSIONS}.`,
        )
      gateway.#release = release
      gateway.#protocol = protocol
      gateway.#services = openshellServices(protocol)
      return gateway
    } catch (error) {
      gateway.close()
      throw error
    }
  }

  /** The release whose policies the gateway reads. */
  get release(): Release {
    return this.#release
  }

  get protocol(): Protocol {
    return this.#protocol
  }

  /**
   * Makes a unary call. Repeats it while the gateway cannot serve it, and once when the token was replaced meanwhile.
   *
   * @throws {GatewayFailure}
   */
  async call<N extends CallName>(name: N, request: RequestOf<N>, signal: AbortSignal): Promise<AnswerOf<N>> {
    const pauses = [...this.#pace.pauses]
    let isRefused = false
    for (;;) {
      signal.throwIfAborted()
      const metadata = await this.#access.metadata()
      try {
        return parseAnswer(name, await this.#unary(name, request, metadata, signal))
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (!(error instanceof GatewayFailure)) throw error
        if (error.remedy === 'sign in' && !isRefused && (await this.#isReplaced(metadata))) {
          isRefused = true
          continue
        }
        const pause = error.remedy === 'again' ? pauses.shift() : undefined
        if (pause === undefined) throw error
        await delay(pause, undefined, { signal })
      }
    }
  }

  /**
   * Runs a command in the sandbox. Yields its output, and its exit code last.
   *
   * @throws {GatewayFailure} also when the stream ends without an exit code; the command may still run then.
   */
  async *exec(request: RequestOf<'ExecSandbox'>, signal: AbortSignal): AsyncGenerator<ExecPiece> {
    signal.throwIfAborted()
    const { path, requestSerialize, responseDeserialize } = this.#services.ExecSandbox
    const metadata = await this.#access.metadata()
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
    )
    // A stream that is cancelled before the loop below reads it emits an error that has no other listener.
    stream.on('error', () => undefined)
    const release = cancelledBy(signal, stream)
    try {
      for await (const message of stream) {
        const { stdout, stderr, exit } = ExecEvent.parse(message)
        if (stdout !== undefined) yield { stdout: stdout.data }
        if (stderr !== undefined) yield { stderr: stderr.data }
        if (exit === undefined) continue
        yield { exit: exit.exit_code }
        return
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : failureOf('ExecSandbox', error)
    } finally {
      release()
      stream.cancel()
    }
    signal.throwIfAborted()
    throw new GatewayFailure('ExecSandbox', status.UNAVAILABLE, 'the stream ended before the command did')
  }

  /** Opens one connection into a sandbox. The caller ends or cancels it. */
  async forward(init: Message<'TcpForwardInit'>): Promise<ForwardStream> {
    const { path, requestSerialize, responseDeserialize } = this.#services.ForwardTcp
    const metadata = await this.#access.metadata()
    const stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata)
    if (!(stream instanceof Duplex)) throw new Error('gRPC streams are streams of Node')
    stream.write({ init })
    return stream
  }

  close(): void {
    this.#client.close()
  }

  async #isReplaced(metadata: Metadata): Promise<boolean> {
    const now = await this.#access.metadata()
    return JSON.stringify(now.getMap()) !== JSON.stringify(metadata.getMap())
  }

  #unary(name: CallName, request: object, metadata: Metadata, signal: AbortSignal): Promise<unknown> {
    const method = this.#services[name]
    if (method === undefined)
      throw new GatewayFailure(name, status.UNIMPLEMENTED, `OpenShell ${this.#protocol} has no such call`)
    const { path, requestSerialize, responseDeserialize } = method
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + this.#pace.call },
        (error, answer) => {
          release()
          if (error === null) resolve(answer)
          else reject(failureOf(name, error))
        },
      )
      const release = cancelledBy(signal, call)
    })
  }
}

function parseAnswer<N extends CallName>(name: N, answer: unknown): AnswerOf<N> {
  const parsed = ANSWERS[name].safeParse(answer)
  if (parsed.success) return Object(parsed.data)
  throw new GatewayFailure(name, status.INTERNAL, 'the answer is not of the kind that this launcher knows')
}

export function failureOf(call: string, error: unknown): GatewayFailure {
  if (error instanceof GatewayFailure) return error
  if (isServiceError(error)) return new GatewayFailure(call, error.code, rpcErrorText(error))
  return new GatewayFailure(call, status.UNKNOWN, toMessage(error))
}
