import { toObject, toText } from './values.ts'

/** An answer that is no success. `code` is one of docs/errors.md, or `http_<status>` when a proxy answered. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly code: string
  readonly details: unknown
  /** The wait that the answer's Retry-After asks for; 0 when it asks for none. */
  readonly retryAfterMs: number

  constructor(
    status: number,
    said: { code: string; message: string; details?: unknown; retryAfterMs?: number },
  ) {
    super(said.message)
    this.status = status
    this.code = said.code
    this.details = said.details
    this.retryAfterMs = said.retryAfterMs ?? 0
  }
}

/** Reads a refusal. @throws {TypeError} as `fetch` does, when the connection breaks within it. */
export async function refusalOf(response: Response): Promise<Refusal> {
  const body = parseJson(await response.text())
  const { code, message, details } = toObject(toObject(body)['error'])
  const seconds = Number(response.headers.get('retry-after'))
  return new Refusal(response.status, {
    code: toText(code) ?? `http_${response.status}`,
    message: toText(message) ?? `The server answered ${response.status}.`,
    details,
    retryAfterMs: seconds > 0 ? seconds * 1000 : 0,
  })
}

/** Whether the same request may succeed a little later, since the server is full, stopping or not there yet. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Refusal)) return true
  if (error.status < 500) return [408, 425, 429].includes(error.status)
  return error.code === 'shutting_down' || error.code.startsWith('http_')
}

/** A proxy's answer may be no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
