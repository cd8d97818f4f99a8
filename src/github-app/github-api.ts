import { fetch as fetchBy } from 'undici'
import { RunnerError } from '../errors.ts'
import { createDispatcher } from '../model-route/dispatcher.ts'
import { proxySettings } from '../proxy-settings.ts'
import type { GitHubApi } from './app-token.ts'

const API = 'https://api.github.com'

/**
 * GitHub's REST API, or that of GITHUB_API_URL, through the environment's proxy and trusting its authorities.
 *
 * @throws {RunnerError} `config_invalid` for an address that is none.
 */
export async function openGitHubApi(
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<GitHubApi & { close(): Promise<void> }> {
  const apiUrl = env['GITHUB_API_URL']?.replace(/\/+$/, '') || API
  if (!/^https?:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/.test(apiUrl) || !URL.canParse(apiUrl))
    throw new RunnerError(
      'config_invalid',
      'GITHUB_API_URL has to be an http address without credentials or a query.',
    )
  const { hostname, port, protocol } = new URL(apiUrl)
  const target = { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
  const caFiles = [env['NODE_EXTRA_CA_CERTS'], env['SSL_CERT_FILE']].flatMap((file) => (file ? [file] : []))
  const dispatcher = await createDispatcher({ proxy: proxySettings(env).proxyFor(target) ?? null, caFiles })
  return {
    apiUrl,
    signal,
    fetch: (url, options) => fetchBy(url, { ...options, dispatcher }),
    close: () => dispatcher.destroy(),
  }
}
