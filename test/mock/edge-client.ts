// Raw sockets against the mock: what an HTTP library would hide (framing, closes, resets) is what is tested.
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import { type MockGateway, type MockGatewayOptions, startMockGateway } from '../../src/mock/mock-gateway.ts'

/** Nothing here takes longer; a wait that does is a failure. */
const WAIT_MS_MAX = 20_000

export const soon = (): AbortSignal => AbortSignal.timeout(WAIT_MS_MAX)

export interface RawResponse {
  status: number
  reason: string
  headers: Record<string, string>
  body: string
}

/** A connection read one response at a time. */
export class RawConnection {
  readonly socket: Socket
  readonly closed: Promise<void>
  #buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
    })
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    onTestFinished(() => void socket.destroy())
  }

  send(text: string | Buffer): this {
    this.socket.write(text)
    return this
  }

  async response(options: { bodiless?: boolean } = {}): Promise<RawResponse> {
    const head = (await this.#until('\r\n\r\n')).split('\r\n')
    const [, status = '', reason = ''] = /^HTTP\/1\.1 (\d+) ?(.*)$/.exec(head[0] ?? '') ?? []
    const headers = Object.fromEntries(
      head
        .slice(1)
        .filter((line) => line !== '')
        .map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
    )
    const length = Number(headers['content-length'] ?? 0)
    const chunked = headers['transfer-encoding'] === 'chunked'
    const body = options.bodiless ? '' : chunked ? await this.#chunks() : await this.#take(length)
    return { status: Number(status), reason, headers, body }
  }

  /** Waits for a text in what has not been read yet, without reading it. */
  async sees(text: string): Promise<void> {
    while (!this.#buffer.includes(text)) await this.#more()
  }

  async #chunks(): Promise<string> {
    let body = ''
    for (;;) {
      const size = Number.parseInt(await this.#until('\r\n'), 16)
      body += await this.#take(size)
      await this.#until('\r\n')
      if (size === 0) return body
    }
  }

  async #until(mark: string): Promise<string> {
    while (!this.#buffer.includes(mark)) await this.#more()
    return await this.#take(this.#buffer.indexOf(mark) + mark.length)
  }

  async #take(bytes: number): Promise<string> {
    while (this.#buffer.length < bytes) await this.#more()
    const taken = this.#buffer.subarray(0, bytes).toString('utf8')
    this.#buffer = this.#buffer.subarray(bytes)
    return taken
  }

  async #more(): Promise<void> {
    if (this.socket.destroyed || this.socket.readableEnded)
      throw new Error('the connection ended in the middle')
    const ended = new AbortController()
    const end = (): void => ended.abort(new Error('the connection ended in the middle'))
    this.socket.once('end', end).once('close', end)
    try {
      await once(this.socket, 'data', { signal: AbortSignal.any([ended.signal, soon()]) })
    } catch (error) {
      throw ended.signal.aborted ? ended.signal.reason : error
    } finally {
      this.socket.off('end', end).off('close', end)
    }
  }
}

/** A gateway of its own for one test, gone with it. */
export async function startGateway(options: Partial<MockGatewayOptions> = {}): Promise<MockGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'mock-gateway-test-'))
  const gateway = await startMockGateway({ directory, ...options })
  onTestFinished(async () => {
    await gateway.close()
    await rm(directory, { recursive: true, force: true })
  })
  return gateway
}

export async function connectTo(gateway: MockGateway): Promise<RawConnection> {
  const socket = connectTcp(gateway.port, '127.0.0.1')
  await once(socket, 'connect', { signal: soon() })
  return new RawConnection(socket)
}

/** CONNECT and TLS, as Claude Code does it. Rejects when the handshake fails. */
export async function openTunnel(
  gateway: MockGateway,
  options: { target?: string; ca?: string } = {},
): Promise<RawConnection> {
  const { target = 'inference.local:443', ca = await readFile(gateway.caFile, 'utf8') } = options
  const plain = await connectTo(gateway)
  const established = await plain.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`).response()
  if (established.status !== 200) throw new Error(`CONNECT was answered ${established.status}`)
  plain.socket.removeAllListeners('data')
  const socket = connectTls({
    socket: plain.socket,
    servername: 'inference.local',
    ca,
    ALPNProtocols: ['http/1.1'],
  })
  await once(socket, 'secureConnect', { signal: soon() })
  return new RawConnection(socket)
}

/** Text of one HTTP request with a content-length. */
export function toRequest(line: string, body = '', headers: Record<string, string> = {}): string {
  const all = { host: 'inference.local', 'content-length': String(Buffer.byteLength(body)), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `${line} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

/** A Messages API body that says `prompt`. */
export function toBody(prompt: string, fields: Record<string, unknown> = {}): string {
  return JSON.stringify({
    model: 'claude-opus-5-5',
    stream: true,
    max_tokens: 100,
    messages: [{ role: 'user', content: prompt }],
    ...fields,
  })
}

/** The usual request: POST /v1/messages?beta=true with `prompt`. */
export function toPost(prompt: string, fields: Record<string, unknown> = {}): string {
  return toRequest('POST /v1/messages?beta=true', toBody(prompt, fields), {
    'content-type': 'application/json',
  })
}
