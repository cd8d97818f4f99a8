import { access, constants, readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici'
import { z } from 'zod'
import { type ErrorCode, toMessage } from '../errors.ts'
import { within } from '../within.ts'
import type { ModelRoute } from './route.ts'

/** More than any error body a gateway sends; what follows is not read. */
const BODY_BYTES_MAX = 64 * 1024

const EXCERPT_CHARS_MAX = 200

export interface ProbeOptions {
  /** Bounds the whole probe: connecting, TLS, answer. */
  timeoutMs: number
  signal: AbortSignal
}

export type ProbeResult = { ok: true } | { ok: false; code: ErrorCode; message: string }

/**
 * Asks once, without retries, whether the route answers: `GET /v1/models`, which the gateway serves itself or
 * passes on (never count_tokens: the gateway refuses it and closes the connection).
 *
 * Vertex and Bedrock are only reached with a cloud's signature, so they pass unasked. Never throws, except the
 * signal's reason when the caller gives up.
 */
export async function probeRoute(
  route: ModelRoute,
  { timeoutMs, signal }: ProbeOptions,
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
      return judgeAnswer(route, await ask(route, timeoutMs, limit))
    } catch (error) {
      signal.throwIfAborted()
      if (limit.aborted)
        return failure('model_unreachable', `${where(route)} did not answer within ${timeoutMs} ms`)
      return await judgeFailure(route, error)
    }
  })
}

const NO_ROUTE =
  'No model route: set ANTHROPIC_BASE_URL, ACP_OPENSHELL_INFERENCE, CLAUDE_CODE_USE_VERTEX, ' +
  'CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY'

interface Answer {
  status: number
  body: string
}

async function ask(route: ModelRoute, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
  const { baseUrl, headers } = route.secrets.reveal()
  const url = new URL(baseUrl ?? '')
  // undici refuses an address with credentials in it; Claude Code's client sends them as Basic.
  const basic = url.username === '' ? {} : { authorization: toBasic(url) }
  url.username = ''
  url.password = ''
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/models`
  const dispatcher = await createDispatcher(route, timeoutMs)
  signal.throwIfAborted()
  // undici does not pass a signal on to a CONNECT that waits for its answer.
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  const exchange = async (): Promise<Answer> => {
    const response = await request(url, { dispatcher, signal, headers: { ...basic, ...headers } })
    return { status: response.statusCode, body: await readStart(response.body) }
  }
  try {
    return await Promise.race([exchange(), stopped])
  } finally {
    // Closes the sockets now; what the destroyed request still says has been answered by the race.
    dispatcher.destroy().catch(() => undefined)
  }
}

async function createDispatcher(route: ModelRoute, timeoutMs: number): Promise<Dispatcher> {
  const tls = { secureContext: await trust(route), timeout: timeoutMs }
  const { proxy } = route.secrets.reveal()
  if (proxy === null) return new Agent({ connect: tls })
  const host = proxy.host.includes(':') ? `[${proxy.host}]` : proxy.host
  const uri = `${proxy.isSecure ? 'https' : 'http'}://${host}:${proxy.port}`
  const token = proxy.authorization === undefined ? {} : { token: proxy.authorization }
  // Claude Code tunnels https only; http goes to the proxy with the absolute address.
  return new ProxyAgent({ uri, ...token, requestTls: tls, proxyTls: tls, proxyTunnel: false })
}

/** Reading the system's roots stops the event loop for some 20 ms, so they are read once for the same files. */
let trusted: { key: string; context: SecureContext } | undefined

/** The system's roots and the route's own CA files, as far as they can be read; a TLS failure names the file. */
async function trust(route: ModelRoute): Promise<SecureContext> {
  const files = [route.caFile, route.caBundle].filter((file) => file !== null)
  const extra = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  const key = extra.join('\0')
  if (trusted?.key !== key)
    trusted = { key, context: createSecureContext({ ca: [...rootCertificates, ...extra] }) }
  return trusted.context
}

const toBasic = ({ username, password }: URL): string =>
  `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`

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

/** Any answer below 500 shows that the route works, unless it refuses who asks. */
function judgeAnswer(route: ModelRoute, { status, body }: Answer): ProbeResult {
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

/** The gateway's own bodies are `{"error": text}`; an upstream's text is not repeated, it may name a key. */
function gatewayError(body: string): string | null {
  try {
    const parsed = GatewayError.safeParse(JSON.parse(body))
    return parsed.success ? parsed.data.error.slice(0, EXCERPT_CHARS_MAX) : null
  } catch {
    return null // Not JSON: an upstream's page.
  }
}

const GatewayError = z.object({ error: z.string() })

function credentialAction(route: ModelRoute): string {
  if (route.kind === 'gateway')
    return "an operator has to check the credentials of the cluster's inference route"
  if (route.credential === 'placeholder')
    return 'it wants a key; set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN'
  return `check ${route.credential}`
}

const CERTIFICATE_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|UND_ERR_PRX_TLS|EPROTO|INVALID_CA)/

async function judgeFailure(route: ModelRoute, error: unknown): Promise<ProbeResult> {
  const code = codeOf(error)
  const why = code ?? (toMessage(error) || 'no reason given')
  const proxied = route.secrets.reveal().proxy !== null
  const proxy = `the proxy ${route.proxyUrl}`
  if (code !== null && CERTIFICATE_CODE.test(code)) {
    return failure(
      'model_unreachable',
      `TLS to ${where(route)} failed (${code}): ${await caAction(route.caFile)}`,
    )
  }
  const refusal = /Proxy response \((\d+)\)/.exec(toMessage(error))?.[1]
  if (refusal !== undefined) {
    const action = refusal === '407' ? "check the proxy's credentials" : 'its policy has to allow this host'
    return failure('model_unreachable', `${proxy} refused ${where(route)} with ${refusal}: ${action}`)
  }
  if (proxied && code === 'ECONNRESET') {
    const action = 'inference may not be set up for this sandbox'
    return failure(
      'model_unreachable',
      `${proxy} closed the connection to ${where(route)} (${why}): ${action}`,
    )
  }
  const target = proxied ? proxy : where(route)
  return failure(
    'model_unreachable',
    `cannot connect to ${target} (${why}): check that it runs and its address`,
  )
}

async function caAction(caFile: string | null): Promise<string> {
  if (caFile === null) return 'set NODE_EXTRA_CA_CERTS to the file of the CA that signed it'
  const isReadable = await access(caFile, constants.R_OK).then(
    () => true,
    () => false,
  )
  return isReadable
    ? `the CA in ${caFile} (NODE_EXTRA_CA_CERTS) did not sign its certificate`
    : `the CA file ${caFile} (NODE_EXTRA_CA_CERTS) cannot be read`
}

/** The system's or undici's code of a failure, looked for along its causes. */
function codeOf(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string')
      return at.code === 'UND_ERR_SOCKET' ? 'ECONNRESET' : at.code
  }
  return null
}

const where = (route: ModelRoute): string => route.baseUrl ?? route.kind

const failure = (code: ErrorCode, message: string): ProbeResult => ({ ok: false, code, message })
