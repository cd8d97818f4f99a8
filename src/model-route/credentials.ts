import type { ModelRouteKind, RouteEnv } from './route-kind.ts'

/** Placeholder for an API key, as in model-route.sh; not a secret. */
export const PLACEHOLDER_KEY = 'inference-routing'

/** Text that the sandbox's proxy replaces with a provider's credential; not a secret. */
export const PROVIDER_PLACEHOLDER = /^openshell:resolve:env:[A-Za-z_][A-Za-z0-9_]*$/

/** Value of `anthropic-beta` that Claude Code sends with every request that carries an OAuth token. */
const OAUTH_BETA = 'oauth-2025-04-20'

/** Returns the address of `path` on a base address. Its credentials become Basic, as in Claude Code's client. */
export function addressOf(baseUrl: string, path: string): { url: URL; basic: Record<string, string> } {
  const url = new URL(baseUrl)
  const basic = url.username === '' ? {} : { authorization: toBasic(url) }
  url.username = ''
  url.password = ''
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`
  return { url, basic }
}

const toBasic = ({ username, password }: URL): string =>
  `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`

/** Returns the headers that Claude Code would authenticate with, by lower-case name; none for clouds, which sign. */
export function credentialHeaders(env: RouteEnv, kind: ModelRouteKind): Record<string, string> {
  // The gateway puts its own key in; the runner's key is not sent (see childEnvironment).
  if (kind === 'gateway') return { 'x-api-key': PLACEHOLDER_KEY }
  if (kind === 'vertex' || kind === 'bedrock' || kind === 'none') return {}
  const key = env['ANTHROPIC_API_KEY'] ?? ''
  const token = env['ANTHROPIC_AUTH_TOKEN'] ?? ''
  const oauth = env['CLAUDE_CODE_OAUTH_TOKEN'] ?? ''
  if (kind === 'oauth') return { authorization: `Bearer ${oauth}`, 'anthropic-beta': OAUTH_BETA }
  const headers: Record<string, string> = {}
  if (key !== '' && (kind === 'custom' || isCredential(key))) headers['x-api-key'] = key
  if (token !== '') headers['authorization'] = `Bearer ${token}`
  // Claude Code prefers an API key or an auth token to the OAuth token.
  if (key === '' && token === '' && oauth !== '') {
    Object.assign(headers, { authorization: `Bearer ${oauth}`, 'anthropic-beta': OAUTH_BETA })
  }
  if (key === '' && token === '' && oauth === '') headers['x-api-key'] = PLACEHOLDER_KEY
  return { ...headers, ...customHeaders(env['ANTHROPIC_CUSTOM_HEADERS'] ?? '') }
}

/** Parses `ANTHROPIC_CUSTOM_HEADERS`, one `Name: value` per line; names become lower-case. */
function customHeaders(text: string): Record<string, string> {
  const lines = text.split(/\r?\n/).map((line) => /^([\w!#$%&'*+.^`|~-]+):\s*(.*?)\s*$/.exec(line))
  return Object.fromEntries(
    lines.flatMap((line) => (line ? [[line[1]?.toLowerCase() ?? '', line[2] ?? '']] : [])),
  )
}

/** Variables that a route authenticates with. Behind a broker the agent gets a placeholder in one of them only. */
const HEADER_VARIABLES = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'ANTHROPIC_CUSTOM_HEADERS',
] as const

/** Returns the values that a broker keeps from the agent on this route; empty when there are none. */
export function secretsOf(env: RouteEnv, kind: ModelRouteKind): string[] {
  const values = (names: readonly string[]): string[] => names.map((name) => env[name] ?? '')
  switch (kind) {
    case 'gateway':
    case 'none':
      return []
    case 'oauth':
      return values(['CLAUDE_CODE_OAUTH_TOKEN'])
    case 'vertex':
      return values(['GOOGLE_APPLICATION_CREDENTIALS']).filter((value) => value !== '')
    case 'bedrock':
      return values(['AWS_BEARER_TOKEN_BEDROCK', 'AWS_SECRET_ACCESS_KEY']).filter((value) => value !== '')
    case 'api_key':
      return values(HEADER_VARIABLES).filter(isCredential)
    case 'custom': {
      const address = env['ANTHROPIC_BASE_URL'] ?? ''
      const { username, password, search } = new URL(address)
      return [...values(HEADER_VARIABLES).filter(isCredential), password || username, search].filter(
        (value) => value !== '',
      )
    }
  }
}

const isCredential = (value: string): boolean =>
  value !== '' && value !== 'notused' && value !== PLACEHOLDER_KEY && !PROVIDER_PLACEHOLDER.test(value)

export interface HeldBy {
  /** The broker's address, without a slash at the end. */
  url: string
  /** The token that the agent authenticates with at the broker. */
  token: string
}

/** Header that carries the agent's token on the cloud routes, where Claude Code then signs nothing itself. */
export const SESSION_HEADER = 'x-agui-session'

/**
 * Returns the environment that the agent may see when a broker holds the route's credential. It holds the broker's
 * address, and a placeholder of the credential's kind, so that Claude Code's requests have the shape of that kind.
 */
export function heldEnvironment(
  env: RouteEnv,
  kind: ModelRouteKind,
  { url, token }: HeldBy,
): Record<string, string | undefined> {
  const shown = { ...env }
  for (const name of [...HEADER_VARIABLES, 'ANTHROPIC_BASE_URL']) delete shown[name]
  for (const name of Object.keys(shown)) {
    if (CLOUD_CREDENTIAL.test(name) && !CLOUD_PLACE.has(name)) delete shown[name]
  }
  const { host } = new URL(url)
  for (const name of ['NO_PROXY', 'no_proxy']) {
    const past = shown[name] ?? ''
    shown[name] = past === '' ? host : `${past},${host}`
  }
  const header = `${SESSION_HEADER}: ${token}`
  if (kind === 'vertex') {
    return Object.assign(shown, {
      CLAUDE_CODE_SKIP_VERTEX_AUTH: '1',
      ANTHROPIC_VERTEX_BASE_URL: `${url}/v1`,
      ANTHROPIC_CUSTOM_HEADERS: header,
    })
  }
  if (kind === 'bedrock') {
    return Object.assign(shown, {
      CLAUDE_CODE_SKIP_BEDROCK_AUTH: '1',
      ANTHROPIC_BEDROCK_BASE_URL: url,
      ANTHROPIC_CUSTOM_HEADERS: header,
    })
  }
  const has = (name: string): boolean => (env[name] ?? '') !== ''
  const variable =
    kind === 'oauth'
      ? 'CLAUDE_CODE_OAUTH_TOKEN'
      : (HEADER_VARIABLES.slice(0, 3).find(has) ?? 'ANTHROPIC_API_KEY')
  return Object.assign(shown, { ANTHROPIC_BASE_URL: url, [variable]: token })
}

/** Variables of cloud credentials. Those in CLOUD_PLACE only name a region and stay. */
const CLOUD_CREDENTIAL = /^(?:AWS_|GOOGLE_APPLICATION_CREDENTIALS$|CLOUDSDK_|GCE_METADATA_HOST$)/
const CLOUD_PLACE = new Set(['AWS_REGION', 'AWS_DEFAULT_REGION'])
