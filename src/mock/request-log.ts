import type { IncomingHttpHeaders } from 'node:http'
import type { RequestFacts } from './request-facts.ts'

/** Upper bound of the requests kept for reading back; older ones are dropped. */
export const REQUESTS_KEPT_MAX = 500
/** Upper bound of the bodies kept, in bytes of all requests together; the newest request is always kept. */
export const REQUEST_BYTES_KEPT_MAX = 64 * 1024 * 1024

/**
 * How a request ended. `left`: the client closed first; `truncated`: the stream was cut with the gateway's line;
 * `broken`: the socket was destroyed.
 */
export interface RequestOutcome {
  readonly status: number
  /** Body bytes written. */
  readonly bytes: number
  readonly end: 'complete' | 'left' | 'truncated' | 'broken'
  /** Name of the script's rule that answered. */
  readonly rule?: string | undefined
}

/** The request as the model's provider would have received it (openshell.md 4.3). */
export interface ForwardedRequest {
  readonly method: string
  /** Canonical, without the query string. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** A request that the mock has received completely; recorded before it is answered. */
export interface RecordedRequest {
  /** Number of the request, from 1, in order of arrival. */
  readonly seq: number
  /** Time of arrival, in milliseconds since the epoch. */
  readonly at: number
  /** `inference`: through inference.local; `direct`: plain HTTP to the port; `proxy`: CONNECT or absolute form. */
  readonly route: 'inference' | 'direct' | 'proxy'
  readonly method: string
  /** The request target as sent, with its query; `host:port` for CONNECT. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The parsed JSON, else the text; undefined when empty. */
  readonly body: unknown
  /** Present when the gateway would have passed it on. */
  readonly forwarded?: ForwardedRequest | undefined
  /** Present for a well-formed Messages API call. */
  readonly facts?: RequestFacts | undefined
  /** Resolves when the answer has ended, however it ended; never rejects. */
  readonly answered: Promise<RequestOutcome>
}

interface RequestEntry extends Omit<RecordedRequest, 'seq' | 'at' | 'answered'> {
  /** Size of the body in bytes, for the bound on what is kept. */
  readonly bytes: number
}

export interface RequestLog {
  readonly requests: readonly RecordedRequest[]
  /** Records a request; returns a function that takes its outcome. Only the first call counts. */
  add(entry: RequestEntry): (outcome: RequestOutcome) => void
  onRequest(listener: (request: RecordedRequest) => void): () => void
  waitForRequest(
    predicate: (request: RecordedRequest) => boolean,
    signal: AbortSignal,
  ): Promise<RecordedRequest>
}

export function createRequestLog(): RequestLog {
  const kept: { request: RecordedRequest; bytes: number }[] = []
  const listeners = new Set<(request: RecordedRequest) => void>()
  let seq = 0
  let bytesKept = 0

  const onRequest: RequestLog['onRequest'] = (listener) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  return {
    get requests() {
      return kept.map(({ request }) => request)
    },
    add({ bytes, ...entry }) {
      const { promise, resolve } = defer<RequestOutcome>()
      seq += 1
      const request: RecordedRequest = { seq, at: Date.now(), answered: promise, ...entry }
      kept.push({ request, bytes })
      bytesKept += bytes
      while (kept.length > REQUESTS_KEPT_MAX || (bytesKept > REQUEST_BYTES_KEPT_MAX && kept.length > 1)) {
        bytesKept -= kept.shift()?.bytes ?? 0
      }
      for (const listener of [...listeners]) listener(request)
      return resolve
    },
    onRequest,
    waitForRequest(predicate, signal) {
      const found = kept.find(({ request }) => predicate(request))
      if (found !== undefined) return Promise.resolve(found.request)
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(toError(signal.reason))
        const stop = onRequest((request) => {
          if (!predicate(request)) return
          signal.removeEventListener('abort', abort)
          stop()
          resolve(request)
        })
        const abort = (): void => {
          stop()
          reject(toError(signal.reason))
        }
        signal.addEventListener('abort', abort, { once: true })
      })
    },
  }
}

function defer<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
