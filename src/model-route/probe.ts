import { Agent, request } from 'undici'
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { within } from '../within.ts'
import { addressOf } from './credentials.ts'
import { connectionsOf, createDispatcher } from './dispatcher.ts'
import { explainFailure, FAILURE_HEADER, failure, type RouteFailure, where } from './failure.ts'
import type { ModelRoute } from './route.ts'

/** Upper bound of an answer's body, in bytes: more than any error body of a gateway. The rest is not read. */
const BODY_BYTES_MAX = 64 * 1024

const EXCERPT_CHARS_MAX = 200

export interface ProbeOptions {
  /** Upper bound of the whole probe (connecting, TLS, answer), in milliseconds. */
  timeoutMs: number
  signal: AbortSignal
  /** The broker that holds the route's credential; it is asked in the route's place. */
  through?: BrokerDoor | undefined
}

/** Address and request headers of the broker that this process runs. */
export interface BrokerDoor {
  url: string
  headers: Readonly<Record<string, string>>
}

export type ProbeResult = { ok: true } | RouteFailure

/**
 * Asks once, without retries, whether the route answers: `GET /v1/models`, which the gateway serves itself or
 * passes on (never count_tokens: the gateway refuses it and closes the connection).
 *
 * Vertex and Bedrock are only reached with a cloud's signature, so they pass without a request. Throws only the
 * signal's reason, when the caller gives up.
 */
export async function probeRoute(
  route: ModelRoute,
  { timeoutMs, signal, through }: ProbeOptions,
): Promise<ProbeResult> {
  signal.throwIfAborted()
  switch (route.kind) {
    case 'vertex':
    case 'bedrock':
      return { ok: true }
    case 'none':
      return failure('no_model_route', NO_ROUTE)
    case 'custom':
    case 'gateway':
    case 'oauth':
    case 'api_key':
      break
  }
  return await within({ signal, timeoutMs }, async (limit) => {
    try {
      return judgeAnswer(route, await ask(route, { timeoutMs, through, signal: limit }))
    } catch (error) {
      signal.throwIfAborted()
      if (limit.aborted)
        return failure('model_unreachable', `${where(route)} did not answer within ${timeoutMs} ms`)
      return await explainFailure(route, error)
    }
  })
}

export const NO_ROUTE =
  'No model route: set ANTHROPIC_BASE_URL, ACP_OPENSHELL_INFERENCE, CLAUDE_CODE_USE_VERTEX, ' +
  'CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY'

interface Answer {
  status: number
  body: string
  /** The broker's error code, when the answer is the broker's own. */
  failure?: string | undefined
}

async function ask(route: ModelRoute, { timeoutMs, signal, through }: ProbeOptions): Promise<Answer> {
  const { baseUrl, headers: own } = route.secrets.reveal()
  const { url, basic } = addressOf(through?.url ?? baseUrl ?? '', '/v1/models')
  // The list of models does not take an OAuth token.
  const credential = through?.headers ?? (route.kind === 'oauth' ? {} : { ...basic, ...own })
  const headers = { 'anthropic-version': '2023-06-01', ...credential }
  const dispatcher =
    through === undefined ? await createDispatcher({ ...connectionsOf(route), timeoutMs }) : new Agent()
  signal.throwIfAborted()
  // undici does not pass a signal on to a CONNECT that waits for its answer.
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  const exchange = async (): Promise<Answer> => {
    const response = await request(url, { dispatcher, signal, headers })
    const failed = response.headers[FAILURE_HEADER]
    return {
      status: response.statusCode,
      body: await readStart(response.body),
      ...(typeof failed === 'string' && { failure: failed }),
    }
  }
  try {
    return await Promise.race([exchange(), stopped])
  } finally {
    // Closes the sockets now. The race has settled, so the destroyed request's error is not needed.
    dispatcher.destroy().catch(() => undefined)
  }
}

async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= BODY_BYTES_MAX) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Judges an answer: any status below 500 shows that the route works, unless it refuses the credential. */
function judgeAnswer(route: ModelRoute, { status, body, failure: code }: Answer): ProbeResult {
  if (isErrorCode(code)) return failure(code, brokerError(body) ?? `${where(route)} cannot be reached`)
  const said = route.kind === 'gateway' ? gatewayError(body) : null
  const answered = `${where(route)} answered ${status}${said === null ? '' : ` (${said})`}`
  if (status === 401 || status === 403) {
    // The OAuth token is not sent (this path does not take it), and a gateway that does not serve the list
    // of models refuses the path with its own words: either way the route is there.
    if (route.kind === 'oauth' || said === 'connection not allowed by policy') return { ok: true }
    return failure('model_unauthorized', `${answered}: ${credentialAction(route)}`)
  }
  if (status < 500) return { ok: true }
  if (status === 529) return failure('model_overloaded', `${answered}: overloaded, try again later`)
  if (said === 'cluster inference is not configured') {
    const action = 'an operator has to run `openshell cluster inference set` (see its --help)'
    return failure('model_unreachable', `${answered}: ${action}`)
  }
  const action =
    route.kind === 'gateway'
      ? "the gateway cannot reach the model behind it; an operator has to check the cluster's inference route"
      : 'the model endpoint is failing'
  return failure('model_unreachable', `${answered}: ${action}`)
}

/** Returns the text of the gateway's own body, `{"error": text}`; null for an upstream's, which may name a key. */
function gatewayError(body: string): string | null {
  try {
    const parsed = GatewayError.safeParse(JSON.parse(body))
    return parsed.success ? parsed.data.error.slice(0, EXCERPT_CHARS_MAX) : null
  } catch {
    return null // Not JSON: an upstream's page.
  }
}

/** Returns the broker's own sentence from a body in Anthropic's shape; undefined for any other body. */
function brokerError(body: string): string | undefined {
  try {
    return BrokerError.safeParse(JSON.parse(body)).data?.error.message
  } catch {
    return undefined
  }
}

const BrokerError = z.object({ error: z.object({ message: z.string() }) })

const isErrorCode = (code: string | undefined): code is ErrorCode => code !== undefined && code in ERRORS

const GatewayError = z.object({ error: z.string() })

function credentialAction(route: ModelRoute): string {
  if (route.kind === 'gateway')
    return "an operator has to check the credentials of the cluster's inference route"
  if (route.credential === 'placeholder')
    return 'it wants a key; set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN'
  return `check ${route.credential}`
}
