import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { trustingEnvironment } from '../sandbox/egress/proxied-environment.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface GatewayRelay {
  /** The variables that make it the way to the model, to git and to every other host. */
  environment: Record<string, string>
  close(): Promise<void>
}

/**
 * Opens a relay from a loopback port to the broker's socket, for programs that can only dial addresses. Small writes are
 * not held back, which would cost 44 ms per request (outside.md 4.1).
 */
export async function openGatewayRelay(path: string, env: Env): Promise<GatewayRelay> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inside) => {
    const outside = createConnection({ path, allowHalfOpen: true })
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.once('close', () => open.delete(one))
      one.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    environment: {
      ...modelEnvironment(url, env),
      ...gitEnvironment(url, env),
      ...networkEnvironment(url, env),
      ...certificateEnvironment(dirname(path)),
    },
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Returns the variables for the model. The broker signs for the clouds. */
function modelEnvironment(url: string, env: Env): Record<string, string> {
  if (env['CLAUDE_CODE_USE_VERTEX'] === '1')
    return { CLAUDE_CODE_SKIP_VERTEX_AUTH: '1', ANTHROPIC_VERTEX_BASE_URL: `${url}/v1` }
  if (env['CLAUDE_CODE_USE_BEDROCK'] === '1')
    return { CLAUDE_CODE_SKIP_BEDROCK_AUTH: '1', ANTHROPIC_BEDROCK_BASE_URL: url }
  return { ANTHROPIC_BASE_URL: url }
}

/** Returns git settings as variables: every address of the repository leads to the broker. */
function gitEnvironment(url: string, env: Env): Record<string, string> {
  const repository = env['GITHUB_REPOSITORY']
  if (!repository) return {}
  const server = env['GITHUB_SERVER_URL'] || 'https://github.com'
  const { host, hostname } = new URL(server)
  const insteadOf = `url.${url}/git/.insteadOf`
  const settings = [
    ...[`${server}/`, `git@${hostname}:`, `ssh://git@${hostname}/`, `ssh://git@${host}/`].map((address) => [
      insteadOf,
      address,
    ]),
    ['remote.origin.url', `${server}/${repository}.git`],
    ['remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*'],
    ['push.default', 'current'],
  ]
  return {
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([name = '', value = ''], index) => [
        [`GIT_CONFIG_KEY_${index}`, name],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    GIT_TERMINAL_PROMPT: '0',
    GITHUB_REPOSITORY: repository,
    GITHUB_SERVER_URL: server,
    GITHUB_API_URL: `${url}/github`,
  }
}

/** Returns the proxy variables of a launch without a network. The model never goes through a proxy (A42). */
function networkEnvironment(url: string, env: Env): Record<string, string> {
  const loopback = { NO_PROXY: '127.0.0.1,localhost,::1', no_proxy: '127.0.0.1,localhost,::1' }
  if (env['AGUI_LAUNCH'] === 'public') return loopback
  const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']
  return { ...loopback, NODE_USE_ENV_PROXY: '1', ...Object.fromEntries(names.map((name) => [name, url])) }
}

/** Returns the variables of the broker's certificate authority, for inspected connections. */
function certificateEnvironment(folder: string): Record<string, string> {
  return existsSync(join(folder, 'openshell-ca.pem')) ? trustingEnvironment(folder) : {}
}
