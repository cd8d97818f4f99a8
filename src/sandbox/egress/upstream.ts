// Connects the proxy upstream: to an address that was judged, or through the runner's own proxy where it has one.
import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { HttpProxy } from '../../proxy-settings.ts'
import type { Target } from '../../tunnel/connect.ts'
import { within } from '../../within.ts'

export type Dial =
  /** The connection is open in both directions. */
  | { socket: Socket }
  /** The parent proxy's refusal, to be passed on unchanged. */
  | { refusal: Buffer; socket: Socket }

const CONNECT_MS_MAX = 30_000
/** Longest head of a parent proxy's answer, in bytes. */
const HEAD_BYTES_MAX = 8192
const HEAD_END = '\r\n\r\n'

/** Connects to an address. @throws when that fails or takes longer than CONNECT_MS_MAX, or the signal's reason. */
export async function dialAddress(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: address, port, noDelay: true })
  return await whenConnected(socket, signal)
}

/** Asks the parent proxy for a tunnel. No byte of the client reaches the parent before it has agreed. */
export async function dialThrough(parent: HttpProxy, target: Target, signal: AbortSignal): Promise<Dial> {
  const { host, port } = parent
  const socket = parent.isSecure
    ? await whenConnected(
        connectTls({ host, port, servername: isIP(host) === 0 ? host : '' }),
        signal,
        'secureConnect',
      )
    : await whenConnected(connect({ host, port, noDelay: true }), signal)
  const name = target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`
  const key = parent.authorization === undefined ? '' : `Proxy-Authorization: ${parent.authorization}\r\n`
  socket.write(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n${key}\r\n`)
  try {
    const { head, rest } = await within({ signal, timeoutMs: CONNECT_MS_MAX }, (limit) =>
      readHead(socket, limit),
    )
    if (!/^HTTP\/1\.[01] 2\d\d[ \r]/.test(head))
      return { refusal: Buffer.concat([Buffer.from(head, 'latin1'), rest]), socket }
    if (rest.length > 0) socket.unshift(rest)
    return { socket }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

async function whenConnected(
  socket: Socket,
  signal: AbortSignal,
  event: 'connect' | 'secureConnect' = 'connect',
): Promise<Socket> {
  try {
    await within({ signal, timeoutMs: CONNECT_MS_MAX }, (limit) => once(socket, event, { signal: limit }))
  } catch (error) {
    socket.on('error', () => socket.destroy())
    socket.destroy()
    throw error
  }
  return socket
}

async function readHead(socket: Socket, signal: AbortSignal): Promise<{ head: string; rest: Buffer }> {
  let bytes = Buffer.alloc(0)
  for (;;) {
    const end = bytes.indexOf(HEAD_END)
    if (end >= 0) {
      const from = end + HEAD_END.length
      return { head: bytes.subarray(0, from).toString('latin1'), rest: bytes.subarray(from) }
    }
    if (bytes.length > HEAD_BYTES_MAX) throw new Error('the parent proxy answered with too long a head')
    const piece: Buffer | null = socket.read()
    if (piece !== null) bytes = Buffer.concat([bytes, piece])
    else if (socket.readableEnded || socket.destroyed)
      throw new Error('the parent proxy closed the connection')
    else await Promise.race([once(socket, 'readable', { signal }), once(socket, 'close', { signal })])
  }
}
