// The HTTP messages of a CONNECT proxy, written and read in one way by the sandbox's proxy, the mock's and any other.
import type { Duplex } from 'node:stream'

export interface Target {
  host: string
  port: number
}

export const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n'
export const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
export const BAD_GATEWAY = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
export const HEAD_TOO_LARGE = 'HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n'

/** Longest head of a CONNECT that the real proxy reads, in bytes (openshell.md 1.5). */
export const HEAD_BYTES_MAX = 8192

/**
 * Parses `host:port` or `[v6]:port`; returns undefined for anything else. The host is as the client wrote it, an IPv6
 * address without brackets.
 */
export function parseTarget(text: string): Target | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+)):(\d{1,5})$/i.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3] ?? 0)
  return host === '' || host.length > 255 || port < 1 || port > 65535 ? undefined : { host, port }
}

/** Returns a complete HTTP response for a socket without a response object. Tools show `phrase` to a person. */
export function jsonAnswer(status: number, phrase: string, body: string): string {
  return [
    `HTTP/1.1 ${status} ${phrase}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

/** Writes a last response and closes both directions: a peer that keeps its side open must not keep ours open. */
export function endWith(socket: Duplex, text: string): void {
  if (!socket.writable) return void socket.destroy()
  socket.end(text, () => socket.destroy())
}

/** Carries bytes both ways. The end of one side is passed on; when one side breaks, the other is destroyed. */
export function join(client: Duplex, upstream: Duplex): void {
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  client.once('close', () => upstream.destroy())
  upstream.once('close', () => client.destroy())
  client.pipe(upstream)
  upstream.pipe(client)
}
