// Serves plain HTTP on the mock's own port: a Messages API without a gateway (ANTHROPIC_BASE_URL, route 1).
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GATEWAY_ANSWERS } from './gateway-faults.ts'
import {
  type MessagesApi,
  type MockAnswer,
  type MockRefusal,
  readFacts,
  toErrorAnswer,
} from './messages-api.ts'
import type { RequestLog, RequestOutcome } from './request-log.ts'
import { parseBody, readBody, relay, watchClient } from './response-relay.ts'

/** Anthropic's own limit on a request body, in bytes. */
const REQUEST_BYTES_MAX = 32 * 1024 * 1024

export async function answerDirect(
  request: IncomingMessage,
  response: ServerResponse,
  { api, log }: { api: MessagesApi; log: RequestLog },
): Promise<void> {
  const controller = watchClient(response)
  const body = await readBody(request, REQUEST_BYTES_MAX)
  if (body === 'left') return
  const { method = '', url = '', headers } = request
  const parsed = body === 'too-large' ? undefined : parseBody(body)
  const facts = readFacts(parsed, headers)
  const bytes = body === 'too-large' ? 0 : body.length
  const settle = log.add({ route: 'direct', method, path: url, headers, body: parsed, facts, bytes })
  try {
    const path = url.split('?', 1)[0] ?? ''
    const answer =
      body === 'too-large'
        ? toErrorAnswer(413, 'Request exceeds the maximum size')
        : await route({ method, path, api, facts, signal: controller.signal })
    if (body === 'too-large') response.shouldKeepAlive = false
    settle(await write(response, answer, controller))
  } catch {
    settle({ status: 0, bytes: 0, end: controller.signal.aborted ? 'left' : 'broken' })
    response.destroy()
  }
}

interface DirectRequest {
  method: string
  path: string
  api: MessagesApi
  facts: ReturnType<typeof readFacts>
  signal: AbortSignal
}

async function route({ method, path, api, facts, signal }: DirectRequest): Promise<MockAnswer | MockRefusal> {
  if (method === 'POST' && path === '/v1/messages')
    return await api.answer(facts, facts?.model ?? api.model, signal)
  if (method === 'GET' && (path === '/v1/models' || path.startsWith('/v1/models/'))) return api.models(path)
  return toErrorAnswer(404, `${method} ${path} is not served here`)
}

async function write(
  response: ServerResponse,
  answer: MockAnswer | MockRefusal,
  controller: AbortController,
): Promise<RequestOutcome> {
  if ('fault' in answer) {
    const { status, text } = GATEWAY_ANSWERS[answer.fault]
    response.writeHead(status, { 'content-type': 'application/json' }).end(text)
    return { status, rule: answer.rule, bytes: text.length, end: 'complete' }
  }
  response.writeHead(answer.status, answer.headers)
  response.flushHeaders()
  return await relay(response, answer, { controller })
}
