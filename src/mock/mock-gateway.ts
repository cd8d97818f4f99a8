import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { type Authority, createAuthority } from '../tunnel/authority.ts'
import type { Target } from '../tunnel/connect.ts'
import { writeAuthorityFiles } from './authority-files.ts'
import { type ConnectDecision, createConnectProxy } from './connect-proxy.ts'
import { DEMO } from './demo.ts'
import { answerDirect } from './direct-route.ts'
import { createInferenceEdge, INFERENCE_HOST, type InferenceEdge, STREAM_LIMITS } from './inference-edge.ts'
import { createMessagesApi } from './messages-api.ts'
import { MockError } from './mock-error.ts'
import { createRequestLog, type RecordedRequest } from './request-log.ts'
import type { StreamLimits } from './response-relay.ts'
import type { Script } from './script.ts'

const LOOPBACK = '127.0.0.1'
/** Not a secret: the gateway strips it and puts the route's own key in its place. */
const PLACEHOLDER_KEY = 'inference-routing'
const NO_PROXY = '127.0.0.1,localhost,::1'

export interface MockGatewayOptions {
  /** The port to listen on. Default 0: a free port. */
  port?: number | undefined
  /** The folder into which `openshell-ca.pem` and `ca-bundle.pem` are written; the caller removes it. */
  directory: string
  /** Who signs the certificate of inference.local. Default: a new one. */
  authority?: Authority | undefined
  /** The script that answers. Default: the built-in demo. */
  script?: Script | undefined
  /** Policy for every CONNECT and plain proxy request except inference.local:443. Default: all denied. */
  decide?: ((target: Target) => ConnectDecision) | undefined
  /** The one model that the gateway writes into every request; overrides the script's. */
  model?: string | undefined
  /** Limits on a stream. Default: the real gateway's 120 s and 32 MiB; tests use less. */
  limits?: StreamLimits | undefined
}

export interface MockGateway {
  readonly port: number
  /** Value for HTTPS_PROXY. */
  readonly proxyUrl: string
  /** Value for ANTHROPIC_BASE_URL without a gateway in between. */
  readonly directUrl: string
  readonly caFile: string
  readonly caBundleFile: string
  /** The variables of a process in the sandbox, as far as model traffic needs them (openshell.md 3.1). */
  readonly environment: Readonly<Record<string, string>>
  /** The latest requests, oldest first. */
  readonly requests: readonly RecordedRequest[]
  /** Replaces the script. Used-up rules and open gates start anew; answers in progress go on. Throws MockError. */
  use(script: Script): void
  /** Opens a gate: replies that wait in a `gate` step with this name go on, now and later. */
  open(gate: string): void
  /** Calls `listener` for each request when it is recorded; returns a function that stops that. */
  onRequest(listener: (request: RecordedRequest) => void): () => void
  /** Resolves with the oldest recorded request that fits, else the next to arrive. Rejects with the signal's reason. */
  waitForRequest(
    predicate: (request: RecordedRequest) => boolean,
    signal: AbortSignal,
  ): Promise<RecordedRequest>
  /** Destroys every socket. The files stay: the directory is the caller's. */
  close(): Promise<void>
}

/**
 * Starts an imitation of OpenShell's sandbox edge on loopback (openshell.md 4.5). Throws MockError when the script is
 * wrong or the port is taken.
 */
export async function startMockGateway(options: MockGatewayOptions): Promise<MockGateway> {
  const log = createRequestLog()
  const api = createMessagesApi({ script: options.script ?? DEMO, model: options.model })
  const authority = options.authority ?? createAuthority('OpenShell Sandbox CA (mock)')
  const files = writeAuthorityFiles(options.directory, authority.pem)
  const edgeOptions = { api, log, limits: options.limits ?? STREAM_LIMITS }
  const edge = createInferenceEdge({ ...edgeOptions, leaf: authority.issue(INFERENCE_HOST) })
  let untrusted: InferenceEdge | undefined
  const server = createConnectProxy({
    log,
    decide:
      options.decide ??
      (() => ({ allow: false, reason: 'no policy: the mock gateway allows only inference.local' })),
    nextConnectFault: () => api.nextConnectFault(),
    answerDirect: (request, response) => answerDirect(request, response, { api, log }),
    acceptInference(socket, { trusted }) {
      if (trusted) return edge.accept(socket)
      untrusted ??= createInferenceEdge({
        ...edgeOptions,
        leaf: createAuthority('another authority').issue(INFERENCE_HOST),
      })
      untrusted.accept(socket)
    },
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await listen(server, options.port ?? 0)
  const { port } = server.address() as AddressInfo
  const url = `http://${LOOPBACK}:${port}`
  let closing: Promise<void> | undefined
  return {
    port,
    proxyUrl: url,
    directUrl: url,
    ...files,
    environment: toEnvironment(url, files),
    get requests() {
      return log.requests
    },
    use: (script) => api.use(script),
    open: (gate) => api.openGate(gate),
    onRequest: log.onRequest,
    waitForRequest: log.waitForRequest,
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
      return closing
    },
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, LOOPBACK)
  try {
    await once(server, 'listening')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `The mock gateway cannot listen on ${LOOPBACK}:${port}: ${reason}; choose another port`
    throw new MockError(message, { cause: error })
  }
}

/**
 * Returns the sandbox's variables. OPENSHELL_SANDBOX is left out on purpose: the mock imitates the edge, not the
 * sandbox, and nothing may believe that a policy is enforced here.
 */
function toEnvironment(
  proxy: string,
  files: { caFile: string; caBundleFile: string },
): Record<string, string> {
  return {
    ACP_OPENSHELL_INFERENCE: 'true',
    ANTHROPIC_BASE_URL: `https://${INFERENCE_HOST}`,
    ANTHROPIC_API_KEY: PLACEHOLDER_KEY,
    HTTPS_PROXY: proxy,
    HTTP_PROXY: proxy,
    https_proxy: proxy,
    http_proxy: proxy,
    ALL_PROXY: proxy,
    NO_PROXY,
    no_proxy: NO_PROXY,
    NODE_USE_ENV_PROXY: '1',
    NODE_EXTRA_CA_CERTS: files.caFile,
    DENO_CERT: files.caFile,
    SSL_CERT_FILE: files.caBundleFile,
    REQUESTS_CA_BUNDLE: files.caBundleFile,
    CURL_CA_BUNDLE: files.caBundleFile,
    GIT_SSL_CAINFO: files.caBundleFile,
  }
}
