import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MockAnswer } from './messages-api.ts'
import { toTruncationLine } from './messages-stream.ts'
import { StreamBreak } from './pieces.ts'
import type { RequestOutcome } from './request-log.ts'

/** Messages of the gateway's truncation line (openshell.md 4.4). */
const TRUNCATIONS = {
  idle: 'chunk idle timeout exceeded',
  size: 'exceeded maximum streaming body size',
  read: 'upstream read error',
} as const

/** The gateway's limits on a stream; the direct route has none. */
export interface StreamLimits {
  /** Longest silence between two pieces, in milliseconds. */
  readonly idleMs: number
  /** Longest body, in bytes. */
  readonly bytesMax: number
}

/** Returns a controller that aborts when the client leaves before the answer has ended. */
export function watchClient(response: ServerResponse): AbortController {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller
}

/**
 * Writes the pieces of an answer whose head is already sent, at the client's pace, and ends the response.
 * With `limits` a stream that breaks is truncated the gateway's way; without, the socket is destroyed.
 */
export async function relay(
  response: ServerResponse,
  answer: MockAnswer,
  options: { controller: AbortController; limits?: StreamLimits | undefined },
): Promise<RequestOutcome> {
  const { controller, limits } = options
  const { signal } = controller
  const { status, rule } = answer
  let bytes = 0
  let idle = false
  let held = false
  const timer =
    limits &&
    setTimeout(() => {
      // Only the provider's silence counts; a reader that is slow may be slow for ever.
      if (held) return void timer?.refresh()
      idle = true
      controller.abort()
    }, limits.idleMs)
  try {
    for await (const piece of answer.pieces) {
      const size = Buffer.byteLength(piece)
      if (limits !== undefined && bytes + size > limits.bytesMax) throw new StreamBreak('size')
      bytes += size
      held = !response.write(piece)
      if (held) await once(response, 'drain', { signal })
      held = false
      timer?.refresh()
    }
    response.end()
    return { status, rule, bytes, end: 'complete' }
  } catch (error) {
    const fault = idle ? 'idle' : error instanceof StreamBreak ? error.fault : undefined
    if (fault === undefined && signal.aborted) return { status, rule, bytes, end: 'left' }
    if (fault === undefined || fault === 'drop' || limits === undefined) {
      // What was written before the break still arrives.
      if (response.headersSent) await new Promise<void>((resolve) => response.write('', () => resolve()))
      response.destroy()
      return { status, rule, bytes, end: 'broken' }
    }
    response.end(toTruncationLine(TRUNCATIONS[fault]))
    return { status, rule, bytes, end: 'truncated' }
  } finally {
    clearTimeout(timer)
  }
}

/** Returns the whole body; `too-large` once more than `bytesMax` is certain; `left` when the client has closed. */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number,
): Promise<Buffer | 'too-large' | 'left'> {
  const chunks: Buffer[] = []
  let bytes = 0
  const announced = Number(request.headers['content-length'] ?? 0)
  return await new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      chunks.push(chunk)
      // The gateway notices when its buffer is full and the request still incomplete, not when it is announced.
      if (bytes > bytesMax || (bytes === bytesMax && announced > bytesMax)) {
        request.pause()
        resolve('too-large')
      }
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('close', () => resolve('left'))
  })
}

/** Returns the parsed JSON, else the text; undefined for an empty body. */
export function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  const text = body.toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    // Other bodies pass the gateway unchanged; the provider is the one to refuse them.
    return text
  }
}
