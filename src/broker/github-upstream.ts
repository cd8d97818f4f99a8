import type { Dispatcher } from 'undici'
import { RunnerError } from '../errors.ts'
import type { RouteEnv } from '../model-route/route-kind.ts'
import { proxySettings } from '../proxy-settings.ts'

/** A GitHub server: git at one address, its REST API at another. */
export interface GitHubUpstream {
  /** `https://github.com`, without a slash at the end. */
  readonly serverUrl: string
  /** `https://api.github.com`, likewise. */
  readonly apiUrl: string
  /** Returns the connections to the address's host, opened at first use. */
  connections(url: URL): Promise<Dispatcher>
  close(): Promise<void>
}

const SERVER = 'https://github.com'

/**
 * Opens GitHub, or the server that GITHUB_SERVER_URL and GITHUB_API_URL name.
 *
 * @throws {RunnerError} `config_invalid` for an invalid address.
 */
export function openGitHub(env: RouteEnv): GitHubUpstream {
  const serverUrl = addressIn(env, 'GITHUB_SERVER_URL') ?? SERVER
  const apiUrl =
    addressIn(env, 'GITHUB_API_URL') ??
    (serverUrl === SERVER ? 'https://api.github.com' : `${serverUrl}/api/v3`)
  const opened = new Map<string, Promise<Dispatcher>>()
  return {
    serverUrl,
    apiUrl,
    connections({ host, hostname, port, protocol }) {
      const known = opened.get(host)
      if (known !== undefined) return known
      const target = { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
      const caFiles = [env['NODE_EXTRA_CA_CERTS'], env['SSL_CERT_FILE']].flatMap((file) =>
        file ? [file] : [],
      )
      const made = import('../model-route/dispatcher.ts').then(({ createDispatcher }) =>
        createDispatcher({ proxy: proxySettings(env).proxyFor(target) ?? null, caFiles }),
      )
      opened.set(host, made)
      return made
    },
    async close() {
      await Promise.all([...opened.values()].map(async (made) => (await made).destroy()))
    },
  }
}

function addressIn(env: RouteEnv, name: string): string | undefined {
  const text = env[name]?.replace(/\/+$/, '')
  if (!text) return undefined
  if (/^https?:\/\/[^/?#@]+(?:\/[^?#]*)?$/.test(text) && URL.canParse(text)) return text
  throw new RunnerError('config_invalid', `${name} has to be an http address without credentials or a query.`)
}
