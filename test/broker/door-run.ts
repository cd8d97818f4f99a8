import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type OwnBroker, openOwnBroker } from '../../src/broker/own-broker.ts'
import { detectRoute } from '../../src/model-route/route.ts'

export const KEY = 'sk-ant-api03-canary-0123456789abcdef'

/** What the running test has opened; each test file closes it after each test. */
const closers: (() => Promise<unknown>)[] = []

export async function closeAll(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()))
}

export function closeAfterTest(close: () => Promise<unknown>): void {
  closers.push(close)
}

export interface Seen {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: Buffer
}

/** An upstream that keeps what it was asked. */
export async function upstream(answer: RequestListener): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    seen.push({ method, url, headers, body: Buffer.concat(pieces) })
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

/** The broker of a runner that has this environment. */
export async function broker(env: Record<string, string>): Promise<OwnBroker> {
  const full = { OPENSHELL_PROXY_TLS_DIR: '/nowhere', ...env }
  const signal = new AbortController().signal
  const route = await detectRoute({ env: full, wrappersDirectory: 'wrappers', signal })
  const opened = await openOwnBroker({ route, env: full })
  closers.push(() => opened.close())
  return opened
}

/** Everything that comes back for these bytes, until the other side ends or `until` is in it. */
export async function rawAnswer(url: string, bytes: string, until?: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(bytes)
  let text = ''
  for await (const piece of socket) {
    text += piece
    if (until !== undefined && text.includes(until)) break
  }
  socket.destroy()
  return text
}
