import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refusal } from './refusal.ts'
import type { Session } from './session.ts'

/** A request's first line. Nothing is decoded: the compared text is the text that goes out. */
export interface RequestLine {
  method: string
  path: string
  /** The query without its question mark. */
  query: string
}

/** Facts about one request for the audit, beside its first line. Never a header value or a body. */
export interface Noted {
  model?: string
  repository?: string
  refs?: readonly string[]
  /** Why the request was refused. */
  refusal?: string
  inputTokens?: number
  outputTokens?: number
  costUsd?: number
}

export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  asked: RequestLine
  session: Session
  /** Aborted when the client leaves or the session ends. */
  signal: AbortSignal
  noted: Noted
}

/** One kind of upstream, with its allow-list and its credential. */
export interface Door {
  readonly name: 'model' | 'git' | 'github'
  takes(path: string): boolean
  /** Answers the whole request. @throws {Refusal} as long as nothing has been sent. */
  answer(exchange: Exchange): Promise<void>
  /** Sends the refusal in the form that this door's clients show to a person. */
  refuse(response: ServerResponse, refusal: Refusal): void
}

/** Returns undefined for a first line without a plain path, such as a proxy's absolute form. */
export function readLine({ method = '', url = '' }: IncomingMessage): RequestLine | undefined {
  const [, path, query = ''] = /^(\/[^?#]*)(?:\?([^#]*))?$/.exec(url) ?? []
  return path === undefined ? undefined : { method, path, query }
}
