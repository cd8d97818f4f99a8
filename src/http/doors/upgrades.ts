import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * Tells WebSocket handshakes at `path` from everything else that names an `Upgrade`. As soon as anybody listens for
 * upgrades Node hands over every such connection whole; who merely offers HTTP/2 (`Upgrade: h2c`, as Java's client
 * does with each request) would lose its body and wait for ever. Those are read again as the plain requests they are.
 *
 * @returns what emits the handshakes; it never listens.
 */
export function divertUpgrades(server: Server, path: string): Server {
  const handshakes = createServer()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const isHandshake =
      request.method === 'GET' &&
      request.headers.upgrade?.toLowerCase() === 'websocket' &&
      request.url?.split('?')[0] === path
    if (isHandshake) handshakes.emit('upgrade', request, socket, head)
    else readAgain(server, { request, socket, head })
  })
  return handshakes
}

interface Diverted {
  request: IncomingMessage
  socket: Duplex
  /** What came behind the request's own head. */
  head: Buffer
}

function readAgain(server: Server, { request, socket, head }: Diverted): void {
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
