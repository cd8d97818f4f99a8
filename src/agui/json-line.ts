/** What Python's `splitlines` takes for the end of a line, and with it the line readers of `httpx` and `requests`. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g

/**
 * Returns JSON text with the same meaning and in one line, whoever splits it. `JSON.stringify` leaves three characters as
 * they are that end a line for some clients, but not in an event stream.
 */
export function toLine(json: string): string {
  return json.replace(LINE_ENDS, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
