// One admitted request and its answer, header by header: what is not on a list does not pass.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Dispatcher, request as send } from 'undici'

export interface Onward {
  url: URL
  method: string
  /** Lower-case names. */
  headers: Record<string, string>
  /** As it comes, or whole; null for none. */
  body: Readable | Buffer | null
  dispatcher: Dispatcher
  signal: AbortSignal
}

export interface Passing {
  /** The answer's headers that pass; a name that ends in `*` is a prefix. */
  answer: readonly string[]
  /** Told of the answer before its first byte passes; what it returns sees each piece, and the end. */
  onAnswer?: ((answer: Dispatcher.ResponseData) => AnswerReader | undefined) | undefined
}

export interface AnswerReader {
  feed(piece: Buffer): void
  end(): void
}

/** Whether the head of the request says that a body follows. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The headers on the list, each once. */
export function headersOn(list: readonly string[], headers: IncomingHttpHeaders): Record<string, string> {
  const prefixes = list.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))
  const passes = (name: string): boolean =>
    list.includes(name) || prefixes.some((prefix) => name.startsWith(prefix))
  const passing: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && passes(name)) passing[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return passing
}

/**
 * Sends it on and its answer back, byte by byte as they come.
 *
 * @throws what kept an answer from coming, while nothing has been sent back.
 */
export async function passOn(response: ServerResponse, onward: Onward, passing: Passing): Promise<void> {
  const { url, ...options } = onward
  // The type of the body knows no Node stream that is read once only; the call does.
  const answer = await send(url, options)
  // Whoever has left aborts this too, and must not find nobody who listens.
  answer.body.on('error', () => undefined)
  const reader = passing.onAnswer?.(answer)
  if (reader !== undefined) answer.body.on('data', (piece: Buffer) => reader.feed(piece))
  response.writeHead(answer.statusCode, headersOn(passing.answer, answer.headers))
  response.flushHeaders()
  try {
    await pipeline(answer.body, response)
  } catch {
    // Begun and broken: so it is told, by a connection that breaks.
    response.destroy()
  }
  reader?.end()
}
