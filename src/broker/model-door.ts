import type { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { FAILURE_HEADER } from '../model-route/failure.ts'
import { isJsonObject, parseStrictJson, UnreadableError } from '../policy/request/strict-json.ts'
import { usageReader } from './answer-cost.ts'
import type { Door, Exchange, RequestLine } from './door.ts'
import { Refusal } from './refusal.ts'
import { hasBody, headersOn, type Passing, passOn } from './relay.ts'
import { readWhole } from './whole-body.ts'

/** Anthropic's own limit on a request, in bytes. It bounds bodies that are read before they pass. */
const BODY_BYTES_MAX = 32 * 1024 * 1024

/** The headers of Claude Code and the SDKs that a model's API uses. */
const REQUEST_HEADERS = [
  'accept',
  'content-type',
  'content-length',
  'anthropic-version',
  'anthropic-beta',
  'anthropic-dangerous-direct-browser-access',
  'user-agent',
  'x-app',
  'x-claude-code-session-id',
  'x-stainless-*',
]

const ANSWER_HEADERS = [
  'content-type',
  // No encoding is asked for. It passes in case an upstream encodes all the same.
  'content-encoding',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'anthropic-ratelimit-*',
  'x-amzn-requestid',
  'x-amzn-errortype',
  'x-amzn-bedrock-*',
]

/** The destination of an admitted request, and its authorization there. */
export interface Passage {
  url: URL
  /** Whether the answer is a model's and counts its tokens. */
  isMetered: boolean
  /** Where the request names the model: in the path or in the body. */
  modelIn: { path: string } | 'body' | undefined
  /** Whether a signature covers the body, which is then read first. */
  isSigned?: boolean
  /** Returns the headers with the credential. */
  authorize(headers: Record<string, string>, body: Buffer | undefined): Promise<Record<string, string>>
}

/** One kind of model service and its allow-list. */
export interface ModelApi {
  /** Returns undefined for a request that is not on the allow-list. */
  admit(asked: RequestLine): Passage | undefined
}

export interface ModelUpstream {
  api: ModelApi
  /** Returns the connections, opened at first use. */
  connections(): Promise<Dispatcher>
  /** Explains a failed request in words without secrets. */
  explain(error: unknown): Promise<{ code: string; message: string }>
}

export class ModelDoor implements Door {
  readonly name = 'model'
  readonly #upstream: ModelUpstream

  constructor(upstream: ModelUpstream) {
    this.#upstream = upstream
  }

  takes(): boolean {
    return true
  }

  async answer(exchange: Exchange): Promise<void> {
    const { request, response, asked, session, signal, noted } = exchange
    const passage = this.#upstream.api.admit(asked)
    if (passage === undefined) throw new Refusal(`${asked.method} ${asked.path} is not on this door's list.`)
    const isWanted = session.rights.models !== undefined || session.rights.limits.costUsd !== undefined
    const mustRead = passage.isSigned === true || (passage.modelIn === 'body' && isWanted)
    const body = mustRead ? await readWhole(request, BODY_BYTES_MAX) : undefined
    const model = modelOf(passage, body)
    if (model !== undefined) noted.model = model
    if (passage.isMetered) session.takeRequest(model)
    const given = { ...headersOn(REQUEST_HEADERS, request.headers), 'accept-encoding': 'identity' }
    if (body !== undefined) Object.assign(given, { 'content-length': String(body.length) })
    try {
      await passOn(
        response,
        {
          url: passage.url,
          method: asked.method,
          headers: await passage.authorize(given, body),
          body: body ?? (hasBody(request) ? request : null),
          dispatcher: await this.#upstream.connections(),
          signal,
        },
        { answer: ANSWER_HEADERS, onAnswer: meterOf(exchange, passage) },
      )
    } catch (error) {
      if (signal.aborted) return
      const { code, message } = await this.#upstream.explain(error)
      response.setHeader(FAILURE_HEADER, code)
      sayError(response, 502, message)
    }
  }

  refuse(response: ServerResponse, { status, message }: Refusal): void {
    // Claude Code shows a 403 and ends. After a 401 it would ask again.
    sayError(response, status === 401 ? 403 : status, message)
  }
}

/** Counts the answer's tokens if the session has limits. Only SSE and JSON are read. */
function meterOf({ session, noted }: Exchange, { isMetered }: Passage): Passing['onAnswer'] {
  if (!isMetered || session.isUnlimited) return undefined
  return ({ headers }) => {
    const type = String(headers['content-type'])
    const isStream = type.startsWith('text/event-stream')
    if (!isStream && !type.startsWith('application/json')) return undefined
    return usageReader(isStream, (tokens) => {
      const { input, cacheRead, cacheWrite, output } = tokens
      Object.assign(noted, { inputTokens: input + cacheRead + cacheWrite, outputTokens: output })
      Object.assign(noted, session.add(noted.model, tokens))
    })
  }
}

function modelOf({ modelIn }: Passage, body: Buffer | undefined): string | undefined {
  if (modelIn === undefined) return undefined
  if (modelIn !== 'body') return modelIn.path
  if (body === undefined) return undefined
  try {
    const value = parseStrictJson(body)
    if (isJsonObject(value) && typeof value['model'] === 'string') return value['model']
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error
    throw new Refusal(`The body cannot be judged: ${error.message}.`, 400)
  }
  throw new Refusal('The body names no model.', 400)
}

/** Sends an error in Anthropic's shape, of which Claude Code shows the message. */
function sayError(response: ServerResponse, status: number, message: string): void {
  const type = status >= 500 ? 'api_error' : status === 400 ? 'invalid_request_error' : 'permission_error'
  const body = JSON.stringify({ type: 'error', error: { type, message } })
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
