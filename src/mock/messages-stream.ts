import { randomBytes } from 'node:crypto'

/** Returns one Messages API stream event: `event: TYPE` and its JSON, which carries the type again. */
export function toEvent(type: string, fields: Record<string, unknown> = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`
}

/** Returns Anthropic's error body. */
export function toApiErrorBody(
  type: string,
  message: string,
): { type: 'error'; error: { type: string; message: string } } {
  return { type: 'error', error: { type, message } }
}

/** Returns the line that the gateway appends when it cuts a stream; it has no `event:` name (openshell.md 4.4). */
export function toTruncationLine(reason: string): string {
  const error = { message: `response truncated: ${reason}`, type: 'proxy_stream_error' }
  return `data: ${JSON.stringify({ error })}\n\n`
}

/** Returns an id that no other message, tool call or request has, in any process: `msg_…`, `toolu_…`, `req_…`. */
export function createId(prefix: 'msg' | 'toolu' | 'req'): string {
  return `${prefix}_mock_${randomBytes(12).toString('hex')}`
}
