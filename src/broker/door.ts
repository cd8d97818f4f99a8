import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refusal } from './refusal.ts'
import type { Session } from './session.ts'

/** A request by what stood on its first line. Nothing is decoded: what is compared is what goes out. */
export interface RequestLine {
  method: string
  path: string
  /** Without the question mark. */
  query: string
}

/** What the audit is told of one request beside its line; never a header's value or a body. */
export interface Noted {
  model?: string
  repository?: string
  refs?: readonly string[]
  /** Why the answer that was given says no. */
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

/** One kind of upstream, with the list of what may be asked of it and the credential that it wants. */
export interface Door {
  readonly name: 'model' | 'git' | 'github'
  takes(path: string): boolean
  /** Answers the whole request. @throws {Refusal} while nothing has been answered. */
  answer(exchange: Exchange): Promise<void>
  /** Says no in the words that this door's clients show to a person. */
  refuse(response: ServerResponse, refusal: Refusal): void
}

/** Undefined for a line that is no plain path, such as a proxy's absolute form. */
export function readLine({ method = '', url = '' }: IncomingMessage): RequestLine | undefined {
  const [, path, query = ''] = /^(\/[^?#]*)(?:\?([^#]*))?$/.exec(url) ?? []
  return path === undefined ? undefined : { method, path, query }
}
