// The way on from the proxy: to an address that was judged, or through the runner's own proxy where it has one.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Target } from '../../tunnel/connect.ts'
import { within } from '../../within.ts'

export interface ParentProxy {
  readonly host: string
  readonly port: number
  /** Value of Proxy-Authorization; a secret. */
  readonly authorization: string | undefined
}

export type Dial =
  /** Bytes may flow. */
  | { socket: Socket }
  /** What the parent proxy said instead, to be passed on as it is. */
  | { refusal: Buffer; socket: Socket }

const CONNECT_MS_MAX = 30_000
/** Longest head of a parent proxy's answer, in bytes. */
const HEAD_BYTES_MAX = 8192
const HEAD_END = '\r\n\r\n'

/** @throws when nothing answers in time, or the signal's reason. */
export async function dialAddress(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: address, port, noDelay: true })
  return await whenConnected(socket, signal)
}

/** Asks the parent for a tunnel. Nothing of the client's reaches the parent before it has said yes. */
export async function dialThrough(parent: ParentProxy, target: Target, signal: AbortSignal): Promise<Dial> {
  const socket = await whenConnected(connect({ host: parent.host, port: parent.port, noDelay: true }), signal)
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

async function whenConnected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  try {
    await within({ signal, timeoutMs: CONNECT_MS_MAX }, (limit) => once(socket, 'connect', { signal: limit }))
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

export interface Route {
  /** Undefined: dial directly. */
  parentFor(target: Target): ParentProxy | undefined
}

/** The runner's own proxy settings: HTTPS_PROXY for tunnels, NO_PROXY by host name or suffix. */
export function routeFrom(env: Readonly<Record<string, string | undefined>>): Route {
  const text = env['HTTPS_PROXY'] ?? env['https_proxy'] ?? env['ALL_PROXY'] ?? env['all_proxy'] ?? ''
  const parent = parseProxy(text)
  const direct = (env['NO_PROXY'] ?? env['no_proxy'] ?? '')
    .split(',')
    .map((name) =>
      name
        .trim()
        .toLowerCase()
        .replace(/^\*?\./, ''),
    )
    .filter((name) => name !== '')
  return {
    parentFor({ host }) {
      const name = host.toLowerCase()
      const isDirect = direct.some((entry) => entry === '*' || name === entry || name.endsWith(`.${entry}`))
      return isDirect ? undefined : parent
    },
  }
}

function parseProxy(text: string): ParentProxy | undefined {
  if (text === '' || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.protocol !== 'http:') return undefined
  const user = decodeURIComponent(url.username)
  const key = Buffer.from(`${user}:${decodeURIComponent(url.password)}`).toString('base64')
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port || 80),
    authorization: user === '' ? undefined : `Basic ${key}`,
  }
}
