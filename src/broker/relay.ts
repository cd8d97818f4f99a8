// One admitted request and its answer. Only headers on the lists pass.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'

export interface Onward {
  url: URL
  method: string
  /** Headers by lower-case name. */
  headers: Record<string, string>
  /** The body as a stream or whole; null for none. */
  body: Readable | Buffer | null
  dispatcher: Dispatcher
  signal: AbortSignal
}

export interface Passing {
  /** The answer's headers that pass. A name that ends in `*` is a prefix. */
  answer: readonly string[]
  /** Called with the answer's head before its first byte passes. The returned reader gets each piece and the end. */
  onAnswer?: ((answer: AnswerHead) => AnswerReader | undefined) | undefined
}

interface AnswerHead {
  statusCode: number
  headers: IncomingHttpHeaders
}

export interface AnswerReader {
  feed(piece: Buffer): void
  end(): void
}

/** Whether the request's head announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Returns the headers on the list, each once. */
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
 * Sends the request on and its answer back as the bytes come.
 *
 * @throws the upstream's failure or the signal's reason, as long as nothing has been sent back.
 */
export async function passOn(response: ServerResponse, onward: Onward, passing: Passing): Promise<void> {
  const { url, dispatcher, signal, ...options } = onward
  signal.throwIfAborted()
  const answer = new Answer(response, passing)
  const leave = (): void => answer.leave(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  try {
    const path = `${url.pathname}${url.search}`
    dispatcher.dispatch({ ...options, origin: url.origin, path }, answer)
    await answer.done
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/**
 * One answer on its way back. The bytes of one read of the upstream's socket, the head included, go out as one write:
 * many small frames cost one write per read, and no byte waits longer than the read itself.
 */
class Answer implements Dispatcher.DispatchHandler {
  /** Resolves when the answer has ended, whole or broken. Rejects when it never began. */
  readonly done: Promise<void>
  readonly #response: ServerResponse
  readonly #passing: Passing
  #resolve: () => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #controller: Dispatcher.DispatchController | undefined
  #reader: AnswerReader | undefined
  #pieces: Buffer[] = []
  #isFlushing = false
  #left: { reason: unknown } | undefined

  constructor(response: ServerResponse, passing: Passing) {
    this.#response = response
    this.#passing = passing
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Abandons the answer, because its client has left. */
  leave(reason: unknown): void {
    this.#left = { reason }
    this.#controller?.abort(asError(reason))
    this.#reject(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#left !== undefined) controller.abort(asError(this.#left.reason))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (statusCode < 200) return
    // An error of the callback ends the exchange before anything was sent.
    this.#reader = this.#passing.onAnswer?.({ statusCode, headers })
    this.#response.writeHead(statusCode, headersOn(this.#passing.answer, headers))
    this.#response.on('drain', () => controller.resume())
    this.#flushSoon(controller)
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#pieces.push(piece)
    this.#flushSoon(controller)
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#flush(controller)
    this.#response.end()
    this.#reader?.end()
    this.#resolve()
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#response.headersSent) {
      this.#reject(error)
      return
    }
    // A begun answer that breaks is passed on as a connection that breaks.
    this.#flush(controller)
    this.#response.destroy()
    this.#reader?.end()
    this.#resolve()
  }

  #flushSoon(controller: Dispatcher.DispatchController): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    process.nextTick(() => {
      this.#isFlushing = false
      if (this.#response.writableEnded) return
      if (this.#pieces.length === 0) this.#response.flushHeaders()
      else this.#flush(controller)
    })
  }

  #flush(controller: Dispatcher.DispatchController): void {
    const [first] = this.#pieces
    if (first === undefined) return
    const bytes = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#reader?.feed(bytes)
    if (!this.#response.write(bytes)) controller.pause()
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
