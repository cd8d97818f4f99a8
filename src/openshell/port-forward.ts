import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RunnerError, toMessage } from '../errors.ts'
import { type ForwardStream, failureOf, type Gateway } from './gateway-client.ts'
import type { RunnerAddress } from './runner-health.ts'
import { ForwardFrame, inside, type SandboxAt } from './service.ts'

export interface PortForwardOptions {
  gateway: Gateway
  sandbox: SandboxAt
  /** The TCP port on the sandbox's 127.0.0.1. */
  port: number
  /** A port of 127.0.0.1 (0: any), or the path of a socket, which is created with mode 0600. */
  listen: number | string
  say(line: string): void
}

/** The name of these connections in a gateway's log. */
const SERVICE = 'agui-runner-http'
/** The address of both ends: on this machine and in the sandbox. */
const HOST = '127.0.0.1'
/** Limit of one revocation, in milliseconds. A token that is not revoked expires by itself. */
const REVOKE_MS = 5000

/** A port or socket here whose connections lead through the gateway to a port in the sandbox (control-plane.md 2.3). */
export class Forward {
  readonly #options: PortForwardOptions
  readonly #server: Server
  readonly #open = new Set<Socket>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  private constructor(options: PortForwardOptions) {
    this.#options = options
    // A client that has ended its side still waits for the answer.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
      this.#carry(socket).catch((error: unknown) => {
        socket.destroy()
        if (!this.#closing.signal.aborted) options.say(`a connection was not forwarded: ${toMessage(error)}`)
      })
    })
  }

  /** Starts to listen. @throws {RunnerError} `config_invalid` when it cannot listen there. */
  static async open(options: PortForwardOptions): Promise<Forward> {
    const forward = new Forward(options)
    const { listen } = options
    const place = typeof listen === 'number' ? { host: HOST, port: listen } : { path: listen }
    try {
      forward.#server.listen(place)
      await once(forward.#server, 'listening')
      if (typeof listen === 'string') await chmod(listen, 0o600)
    } catch (error) {
      throw new RunnerError('config_invalid', `--listen ${listen}: ${toMessage(error)}.`)
    }
    return forward
  }

  get place(): RunnerAddress {
    const { listen } = this.#options
    if (typeof listen === 'string') return { socketPath: listen }
    const address = this.#server.address()
    return { host: HOST, port: typeof address === 'object' && address !== null ? address.port : listen }
  }

  /** `http://127.0.0.1:PORT`, or the socket's path. */
  get address(): string {
    const place = this.place
    return 'socketPath' in place ? place.socketPath : `http://${place.host}:${place.port}`
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort()
      const closed = once(this.#server, 'close')
      this.#server.close()
      for (const socket of this.#open) socket.destroy()
      await closed
    })()
    return this.#closed
  }

  /** Takes one token per connection: a gateway allows three connections a token, and revokes none by itself. */
  async #carry(socket: Socket): Promise<void> {
    const { gateway, sandbox, port } = this.#options
    const { signal } = this.#closing
    socket.on('error', () => socket.destroy())
    const { token } = await gateway.call('CreateSshSession', inside(sandbox), signal)
    try {
      const tcp = { host: HOST, port }
      const init = { ...inside(sandbox), service_id: SERVICE, tcp, authorization_token: token }
      await carryBoth(socket, await gateway.forward(init))
    } finally {
      await gateway.call('RevokeSshSession', { token }, AbortSignal.timeout(REVOKE_MS)).catch(() => undefined)
    }
  }
}

/** Copies in both directions. The end of one side is passed on; a failure of one side destroys the other. */
async function carryBoth(socket: Socket, stream: ForwardStream): Promise<void> {
  let failure: unknown
  const gone = (): void => stream.cancel()
  socket.once('close', gone)
  // The listener is set before the pipelines, of which either could report the failure first.
  stream.on('error', (error: unknown) => {
    if (!socket.destroyed) failure ??= failureOf('ForwardTcp', error)
    socket.destroy()
  })
  const toFrames = new Transform({
    writableObjectMode: false,
    readableObjectMode: true,
    transform: (data: Buffer, _encoding, done) => done(null, { data }),
  })
  const fromFrames = new Transform({
    writableObjectMode: true,
    readableObjectMode: false,
    transform: (frame: unknown, _encoding, done) => done(null, ForwardFrame.parse(frame).data),
  })
  await Promise.allSettled([pipeline(socket, toFrames, stream), pipeline(stream, fromFrames, socket)])
  socket.off('close', gone)
  if (failure !== undefined) throw failure
}
