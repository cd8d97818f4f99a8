import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** The one path of WebSockets. */
export const SOCKET_PATH = '/ws'

/** A request with an `Upgrade` header, as Node hands its connection over. */
export interface Upgrade {
  request: IncomingMessage
  socket: Duplex
  /** The bytes that followed the request's own head. */
  head: Buffer
}

export function isHandshake({ method, headers, url }: IncomingMessage): boolean {
  return (
    method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && url?.split('?')[0] === SOCKET_PATH
  )
}

/**
 * Parses a request again without its `Upgrade` header. Once a server listens for upgrades, Node hands every such
 * connection to the listener. A request that merely offers HTTP/2 (`Upgrade: h2c`, as Java's client always does) would
 * lose its body and wait forever.
 */
export function readAgain(server: Server, { request, socket, head }: Upgrade): void {
  const { method, url, httpVersion, rawHeaders } = request
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const value = rawHeaders[at + 1] ?? ''
    if (/^(upgrade|http2-settings)$/i.test(name)) continue
    text += /^connection$/i.test(name)
      ? `connection: ${value.replace(/upgrade|http2-settings/gi, '')}\r\n`
      : `${name}: ${value}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
