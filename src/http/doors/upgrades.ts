import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * Separates WebSocket handshakes at `path` from all other requests with an `Upgrade` header. Once a server listens for
 * upgrades, Node hands every such connection to the listener. A request that merely offers HTTP/2 (`Upgrade: h2c`, as
 * Java's client always does) would lose its body and wait forever. Such requests are parsed again without the header.
 *
 * @returns a server that emits the handshakes as `upgrade` events and never listens.
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
  /** The bytes that followed the request's own head. */
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
