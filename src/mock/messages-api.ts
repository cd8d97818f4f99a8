// Imitates the provider behind the gateway: Anthropic's Messages API, answering by script.
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cue, type MessageContext, toMessageCues, toStreamCues } from './message-cues.ts'
import { createId, toApiErrorBody } from './messages-stream.ts'
import { createGates, type Gates, playCues } from './pieces.ts'
import { messagesBodySchema, type RequestFacts, readRequestFacts } from './request-facts.ts'
import { createRuleBook, type Match, type RuleBook } from './rule-book.ts'
import type { GatewayFault, Script, ScriptStep } from './script.ts'

/** The one model of the gateway when neither the caller nor the script names one. */
const DEFAULT_MODEL = 'claude-mock'

export interface MockAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The body's texts. Throws StreamBreak where the script breaks the stream, AbortError when the signal fires. */
  readonly pieces: AsyncIterable<string>
  readonly rule?: string | undefined
}

/** A request that the gateway itself is to answer in the provider's place. */
export interface MockRefusal {
  readonly fault: GatewayFault
  readonly rule: string
}

export interface MessagesApi {
  readonly model: string
  use(script: Script): void
  openGate(name: string): void
  nextConnectFault: RuleBook['nextConnectFault']
  /** Answers a request; `facts` is the result of `readFacts` for its body. */
  answer(
    facts: RequestFacts | undefined,
    model: string,
    signal: AbortSignal,
  ): Promise<MockAnswer | MockRefusal>
  models(path: string): MockAnswer
}

const DEFAULT_ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
}

export function createMessagesApi(options: { script: Script; model: string | undefined }): MessagesApi {
  let book = createRuleBook(options.script)
  let gates = createGates()
  const model = (): string => options.model ?? book.model ?? DEFAULT_MODEL
  return {
    get model() {
      return model()
    },
    use(script) {
      book = createRuleBook(script)
      gates = createGates()
    },
    openGate: (name) => gates.open(name),
    nextConnectFault: () => book.nextConnectFault(),
    async answer(facts, answerModel, signal) {
      if (facts === undefined) return toErrorAnswer(400, 'The body is not a Messages API request.')
      const match = book.match(facts)
      if (match === undefined)
        return toErrorAnswer(400, `No rule of the mock gateway's script fits: ${describe(facts)}`)
      const context = { model: answerModel, prompt: facts.prompt }
      return await play(match, { facts, context, gates, signal })
    },
    models: (path) => toModelsAnswer(path, model()),
  }
}

/** Reads the facts from the body of `POST /v1/messages`; undefined when the body is no such request. */
export function readFacts(body: unknown, headers: IncomingHttpHeaders): RequestFacts | undefined {
  const parsed = messagesBodySchema.safeParse(body)
  return parsed.success ? readRequestFacts(parsed.data, headers) : undefined
}

export function toErrorAnswer(status: number, message: string): MockAnswer {
  const type = DEFAULT_ERROR_TYPES[status] ?? 'api_error'
  return toTextAnswer(status, JSON.stringify(toApiErrorBody(type, message)))
}

interface Play {
  facts: RequestFacts
  context: MessageContext
  gates: Gates
  signal: AbortSignal
}

async function play(
  match: Match,
  { facts, context, gates, signal }: Play,
): Promise<MockAnswer | MockRefusal> {
  const { steps, rule } = match
  const headers: Record<string, string> = { 'request-id': createId('req') }
  for (const step of steps) {
    if ('headersAfter' in step) await sleep(step.headersAfter, undefined, { signal })
    if ('headers' in step) Object.assign(headers, step.headers)
    if ('gateway' in step) return { fault: step.gateway, rule }
    if ('error' in step) return { ...toScriptedError(step.error, headers), rule }
    if ('streamError' in step && !facts.stream)
      return { ...toScriptedError(toStatus(step.streamError), headers), rule }
  }
  const cues: Iterable<Cue> = facts.stream ? toStreamCues(steps, context) : toMessageCues(steps, context)
  const type = facts.stream ? 'text/event-stream; charset=utf-8' : 'application/json'
  return {
    status: 200,
    headers: { 'content-type': type, ...headers },
    pieces: playCues(cues, { gates, signal }),
    rule,
  }
}

type ScriptedError = Extract<ScriptStep, { error: unknown }>['error']
type StreamError = Extract<ScriptStep, { streamError: unknown }>['streamError']

function toScriptedError(error: ScriptedError, headers: Readonly<Record<string, string>>): MockAnswer {
  const type = error.type ?? DEFAULT_ERROR_TYPES[error.status] ?? 'api_error'
  const body = error.body ?? JSON.stringify(toApiErrorBody(type, error.message ?? type))
  const answer = toTextAnswer(error.status, body)
  return { ...answer, headers: { ...answer.headers, ...headers, ...error.headers } }
}

/** Turns a stream error into an error status, for a request without streaming. */
function toStatus({ type, message }: StreamError): ScriptedError {
  const known = Object.entries(DEFAULT_ERROR_TYPES).find(([, name]) => name === type)
  return { status: known === undefined ? 500 : Number(known[0]), type, message }
}

function toTextAnswer(status: number, body: string): MockAnswer {
  return { status, headers: { 'content-type': 'application/json' }, pieces: oncePiece(body) }
}

async function* oncePiece(text: string): AsyncGenerator<string> {
  if (text !== '') yield text
}

function toModelsAnswer(path: string, model: string): MockAnswer {
  const entry = { type: 'model', id: model, display_name: model, created_at: '2026-01-01T00:00:00Z' }
  if (path === '/v1/models') {
    const list = { data: [entry], has_more: false, first_id: model, last_id: model }
    return toTextAnswer(200, JSON.stringify(list))
  }
  if (path === `/v1/models/${model}`) return toTextAnswer(200, JSON.stringify(entry))
  return toErrorAnswer(404, `model: ${path.slice('/v1/models/'.length)}`)
}

function describe(facts: RequestFacts): string {
  const results = facts.results.map((result) => result.tool).join(', ')
  const shown = { prompt: facts.prompt.slice(0, 200), round: facts.round, results, subagent: facts.subagent }
  return JSON.stringify(shown)
}
