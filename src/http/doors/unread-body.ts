import type { IncomingMessage } from 'node:http'

/**
 * Lets a client read an answer that comes before it has sent its whole body, as when the body is too large. Node would
 * close the connection behind such an answer at once. The bytes that still arrive would then reset the connection, and
 * with it goes the answer that the client has not read. So the connection is only half closed, and the rest of the body
 * is dropped. REQUEST_TIMEOUT_MS bounds it, as it bounds every request.
 */
export function readWholeBody(request: IncomingMessage): void {
  const { socket, headers } = request
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return
  const halfClose = (): void => {
    socket.end()
    request.resume()
  }
  socket.destroySoon = halfClose
  request.once('close', () => {
    // The next request on the connection may be there already.
    if (socket.destroySoon === halfClose) Reflect.deleteProperty(socket, 'destroySoon')
    if (socket.writableEnded) socket.destroySoon()
  })
}
