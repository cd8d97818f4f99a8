import { createServer, type RequestListener, type Server } from 'node:http'
import { type ProbeResult, probeRoute } from '../../src/model-route/probe.ts'
import { detectRoute } from '../../src/model-route/route.ts'
import {
  closeServer,
  listen,
  type SandboxEdge,
  type SandboxEdgeOptions,
  startSandboxEdge,
} from './sandbox-edge.ts'

const never = new AbortController().signal

/** What the running test has opened; each test file closes it after each test. */
export const closers: (() => Promise<unknown>)[] = []

export async function closeAll(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()))
}

/** Detects the route of `env`, nothing else, and probes it. */
export async function probe(
  env: Readonly<Record<string, string>>,
  timeoutMs = 10_000,
  signal = never,
): Promise<ProbeResult> {
  const full = { OPENSHELL_PROXY_TLS_DIR: '/nowhere', ...env }
  const route = await detectRoute({ env: full, wrappersDirectory: 'wrappers', signal: never })
  return probeRoute(route, { timeoutMs, signal })
}

export async function edge(options?: SandboxEdgeOptions): Promise<SandboxEdge> {
  const started = await startSandboxEdge(options)
  closers.push(started.close)
  return started
}

export async function plainServer(answer: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(answer)
  const url = `http://127.0.0.1:${await listen(server)}`
  closers.push(() => closeServer(server))
  return { url, server }
}

export const gatewayEnv = ({ proxyUrl, caFile }: SandboxEdge): Record<string, string> => ({
  ACP_OPENSHELL_INFERENCE: '1',
  HTTPS_PROXY: proxyUrl,
  NODE_EXTRA_CA_CERTS: caFile,
})

export const json =
  (status: number, body: unknown): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
