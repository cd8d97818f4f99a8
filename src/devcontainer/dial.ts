import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { errnoOf } from '../errno.ts'
import { toMessage } from '../errors.ts'
import { unlessAborted, within } from '../within.ts'
import { POLICY_PROXY_PORT } from './container-places.ts'
import type { Sample } from './samples.ts'

/** Limit of a refusal, in milliseconds. The kernel refuses at once; an open way that leads nowhere stays silent. */
const REFUSAL_MS_MAX = 2_000

const SILENCE = 'nothing refuses the packets'

/**
 * Error codes of this kernel itself. The last one is of a kernel without IPv6. Only a router on the way can cause them
 * too, so the first one is dialled itself.
 */
const REFUSALS = ['EHOSTUNREACH', 'EACCES', 'EPERM', 'ENETUNREACH', 'EADDRNOTAVAIL']

/**
 * Tries a direct connection. Returns undefined when this kernel refuses it, else the leak in words. For a link-local
 * address the kernel does not deliver the refusal of its own rules, so silence is no leak there; a datagram is tried too.
 */
export async function leakOf(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  const socket = connect({ host, port })
  try {
    await within({ signal, timeoutMs: REFUSAL_MS_MAX }, (limit) => once(socket, 'connect', { signal: limit }))
    return 'it is reached'
  } catch (error) {
    const leak = leakIn(error)
    return leak === SILENCE && /^fe80:/i.test(host) ? undefined : leak
  } finally {
    socket.destroy()
  }
}

function leakIn(error: unknown): string | undefined {
  const code = errnoOf(error) ?? ''
  if (REFUSALS.includes(code)) return undefined
  return code === 'ECONNREFUSED' ? `it answers (${code})` : SILENCE
}

/** Tries the same with a datagram. */
export async function datagramLeakOf(
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4')
  const heard = once(socket, 'message').then(() => 'it answers')
  // An error of the socket also fails the connection below.
  heard.catch(() => undefined)
  try {
    return await within({ signal, timeoutMs: REFUSAL_MS_MAX }, async (limit) => {
      socket.connect(port, host)
      await once(socket, 'connect', { signal: limit })
      socket.send('x')
      return await unlessAborted(limit, heard)
    })
  } catch (error) {
    return leakIn(error)
  } finally {
    socket.close()
  }
}

/** The proxy's answer to a CONNECT. The caller destroys the socket. */
interface Answered {
  status: number
  body: string
  socket: Socket
}

/** Sends a CONNECT for the sample to the proxy. @throws when the proxy does not answer. */
export async function askTunnel({ host, port }: Sample, signal: AbortSignal): Promise<Answered> {
  const name = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  const asked = httpRequest({
    host: '127.0.0.1',
    port: POLICY_PROXY_PORT,
    method: 'CONNECT',
    path: name,
    agent: false,
    signal,
  })
  asked.end()
  const [answer, socket, head]: [IncomingMessage, Socket, Buffer] = await new Promise((resolve, reject) => {
    asked.once('connect', (answer, socket: Socket, head) => resolve([answer, socket, head]))
    asked.once('error', reject)
  })
  socket.on('error', () => socket.destroy())
  const status = answer.statusCode ?? 0
  if (status === 200) return { status, body: '', socket }
  let body = head.toString()
  for await (const piece of socket.setEncoding('utf8')) body += String(piece)
  return { status, body, socket }
}

/**
 * Requests the sample through the proxy. TLS is verified with `ca`. The request is plain on port 80 and when TLS fails.
 *
 * @returns the answer, such as `200`. @throws with the reason when there was none.
 */
export async function reach(sample: Sample, ca: string, signal: AbortSignal): Promise<string> {
  if (sample.method === undefined) {
    const { status, socket } = await askTunnel(sample, signal)
    socket.destroy()
    if (status !== 200) throw new Error(`the proxy answers ${status}`)
    return 'connected'
  }
  const failures: string[] = []
  for (const isTls of sample.port === 80 ? [false] : [true, false]) {
    try {
      return await askThrough(sample, { ca, isTls, signal })
    } catch (error) {
      signal.throwIfAborted()
      failures.push(toMessage(error))
    }
  }
  throw new Error(failures[0])
}

async function askThrough(
  sample: Sample,
  { ca, isTls, signal }: { ca: string; isTls: boolean; signal: AbortSignal },
): Promise<string> {
  const { host, port, method, path } = sample
  const tunnel = await askTunnel(sample, signal)
  try {
    if (tunnel.status !== 200) throw new Error(`the proxy answers ${tunnel.status}`)
    const name = isIP(host) === 0 ? { servername: host } : { host }
    const socket = isTls ? connectTls({ socket: tunnel.socket, ca, ...name }) : tunnel.socket
    const asked = httpRequest({
      ...{ host, port, method, path, signal },
      headers: { host: isDefault(port, isTls) ? host : `${host}:${port}`, connection: 'close' },
      createConnection: () => socket,
    })
    asked.end()
    const [answer]: [IncomingMessage] = await new Promise((resolve, reject) => {
      asked.once('response', (answer) => resolve([answer]))
      asked.once('error', reject)
    })
    const { statusCode = 0, headers } = answer
    answer.resume()
    if (headers['x-openshell-policy'] !== undefined) throw new Error('the proxy refuses it')
    if (statusCode === 502) throw new Error('nothing answers behind the proxy (502)')
    return String(statusCode)
  } finally {
    tunnel.socket.destroy()
  }
}

function isDefault(port: number, isTls: boolean): boolean {
  return port === (isTls ? 443 : 80)
}

/** Asks the proxy for the model's list of models. @returns the status. */
export async function askModel(signal: AbortSignal): Promise<number> {
  const asked = httpRequest({
    host: '127.0.0.1',
    port: POLICY_PROXY_PORT,
    path: '/v1/models',
    agent: false,
    signal,
  })
  asked.end()
  return await new Promise((resolve, reject) => {
    asked.once('response', (answer: IncomingMessage) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    asked.once('error', reject)
  })
}
