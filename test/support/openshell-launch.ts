// A gateway of the facts, and the launcher on it. What it runs is `sleep`, beside a server of this process that answers for it;
// or, where the command is the point, an HTTP server that behaves like a runner's entrypoint: a second start waits for the first
// and exits as that does.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { Access, type AccessOptions } from '../../src/openshell/access.ts'
import { Gateway } from '../../src/openshell/gateway-client.ts'
import type { ProviderSecrets } from '../../src/openshell/providers.ts'
import { type LaunchedSandbox, type LaunchPace, launchSandbox } from '../../src/openshell/sandbox-launch.ts'
import type { SandboxPlan } from '../../src/openshell/sandbox-plan.ts'
import { proxySettings } from '../../src/proxy-settings.ts'
import { GatewayServer, type GatewayServerOptions } from './openshell-gateway.ts'

/** GET /health, GET /env (its environment), GET /exit/N (it ends with N, and so does whoever waits). */
const RUNNER = `
const http = require('node:http')
const port = Number(process.env.PORT)
const waiting = []
const server = http.createServer((request, response) => {
  if (request.url === '/wait') return void (waiting.push(response), response.flushHeaders())
  const code = /^\\/exit\\/(\\d+)$/.exec(request.url)?.[1]
  if (code === undefined) return void response.end(JSON.stringify(process.env))
  response.end('bye')
  for (const one of waiting) one.end(code)
  server.close(() => process.exit(Number(code)))
})
server.on('error', () => http.get({ port, path: '/wait' }, async (response) => {
  console.log('attached')
  let code = ''
  for await (const piece of response) code += piece
  process.exit(Number(code))
}))
server.listen(port, '127.0.0.1', () => console.log('serving'))
`
const RUNNER_COMMAND = [process.execPath, '-e', RUNNER]
const IDLE_COMMAND = ['sleep', '600']

const QUICK: LaunchPace = {
  sandbox: { look: 5, ready: 2000, error: 60, gone: 2000 },
  exec: { retries: 5, pause: 5, stood: 60_000 },
  uploadPauses: [5, 5],
  health: 20_000,
  end: 5000,
}
const QUICK_CALLS = { call: 5000, pauses: [5, 5, 5, 5] }

export interface OpenShellBench {
  readonly server: GatewayServer
  /** Lines that were said to the person. */
  readonly said: string[]
  plan(changes?: Partial<SandboxPlan>): SandboxPlan
  gateway(access?: Partial<AccessOptions>): Promise<Gateway>
  launch(options?: SandboxLaunchOptions): Promise<LaunchedSandbox>
  close(): Promise<void>
}

interface SandboxLaunchOptions {
  plan?: Partial<SandboxPlan>
  secrets?: ProviderSecrets
  signal?: AbortSignal
  run?: string
  pace?: Partial<LaunchPace>
}

interface BenchOptions extends GatewayServerOptions {
  /** The command itself answers. */
  hasRunner?: boolean
}

export async function openShellBench({ hasRunner, ...options }: BenchOptions = {}): Promise<OpenShellBench> {
  const answering = createServer((_request, response) => response.end()).listen(0, '127.0.0.1')
  await once(answering, 'listening')
  const address = answering.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  if (hasRunner === true) answering.close()
  const server = new GatewayServer({ port, ...options })
  await server.open()
  const said: string[] = []
  const gateways: Gateway[] = []
  const launched: LaunchedSandbox[] = []
  const bench: OpenShellBench = {
    server,
    said,
    plan: (changes) => ({
      ...{ gateway: server.url, workspace: 'team', name: 'box', image: 'agui-runner:0.1.0', labels: {} },
      ...{ environment: { PORT: String(port) }, driverConfig: {}, providers: [], attached: [] },
      ...{ inference: undefined, policy: undefined, rules: {}, uploads: [] },
      ...{ command: hasRunner === true ? RUNNER_COMMAND : IDLE_COMMAND },
      ...{ forward: { port: 8001, listen: 0 }, onEnd: 'auto' },
      ...changes,
    }),
    async gateway(access = {}) {
      const gateway = await Gateway.open(
        {
          access: new Access({ gateway: server.url, ...access }),
          proxies: proxySettings({}),
          pace: QUICK_CALLS,
        },
        new AbortController().signal,
      )
      gateways.push(gateway)
      return gateway
    },
    async launch({
      plan = {},
      secrets = {},
      signal = new AbortController().signal,
      run = 'run-1',
      pace,
    } = {}) {
      const one = await launchSandbox({
        ...{ gateway: await bench.gateway(), plan: bench.plan(plan), secrets, run, signal },
        say: (line) => void said.push(line),
        onOutput: (data) => void said.push(Buffer.from(data).toString('utf8')),
        onSandbox: ({ name }, isMade) => void said.push(`${isMade ? 'made' : 'found'} ${name}`),
        pace: { ...QUICK, ...pace },
      })
      launched.push(one)
      return one
    },
    async close() {
      server.faults = {}
      for (const one of launched) await one.close()
      for (const gateway of gateways) gateway.close()
      server.close()
      answering.close()
      answering.closeAllConnections()
    },
  }
  return bench
}
