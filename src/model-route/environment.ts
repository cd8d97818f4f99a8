import { PROXY_VARIABLES } from '../proxy-settings.ts'
import { PROVIDER_PLACEHOLDER } from './credentials.ts'
import type { ModelRouteKind, RouteEnv } from './route-kind.ts'

/** Variables that pass on every route. A name ending in `*` is a prefix. */
const ALWAYS = [
  // The process's surroundings.
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'LANGUAGE',
  'LC_*',
  'TZ',
  'TERM',
  'USER',
  'LOGNAME',
  'SHELL',
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'XDG_STATE_HOME',
  // The author of commits.
  'GIT_AUTHOR_NAME',
  'GIT_AUTHOR_EMAIL',
  'GIT_COMMITTER_NAME',
  'GIT_COMMITTER_EMAIL',
  // Network access. A password in a proxy's address passes: without it the network cannot be reached.
  ...PROXY_VARIABLES,
  'grpc_proxy',
  'NODE_USE_ENV_PROXY',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'DENO_CERT',
  // Variables that the wrapper reads.
  'ACP_OPENSHELL_INFERENCE',
  'ANTHROPIC_BASE_URL',
  'CLAUDE_CLI_PATH',
  'OPENSHELL_ENABLED',
  'OPENSHELL_LOG_LEVEL',
  'OPENSHELL_POLICY_DATA',
  'OPENSHELL_POLICY_RULES',
  'OPENSHELL_PROXY_TLS_DIR',
  'OPENSHELL_SANDBOX',
  // Settings of Claude Code that an operator may want.
  'ANTHROPIC_BETAS',
  'ANTHROPIC_DEFAULT_*',
  'ANTHROPIC_MODEL',
  'ANTHROPIC_SMALL_FAST_MODEL',
  'BUN_GC_TIMER_DISABLE',
  'CLAUDE_CONFIG_DIR',
  'CLAUDE_CODE_ATTRIBUTION_HEADER',
  'CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS',
  'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC',
  'CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK',
  'CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING',
  'CLAUDE_CODE_DISABLE_THINKING',
  'CLAUDE_CODE_EFFORT_LEVEL',
  'CLAUDE_CODE_MAX_OUTPUT_TOKENS',
  'CLAUDE_CODE_SUBAGENT_MODEL',
  'CLAUDE_CODE_TMPDIR',
  'DISABLE_AUTOUPDATER',
  'DISABLE_ERROR_REPORTING',
  'DISABLE_PROMPT_CACHING',
  'DISABLE_TELEMETRY',
  'MAX_THINKING_TOKENS',
  'BASH_DEFAULT_TIMEOUT_MS',
  'BASH_MAX_OUTPUT_LENGTH',
  'BASH_MAX_TIMEOUT_MS',
  'MAX_MCP_OUTPUT_TOKENS',
  'MCP_TIMEOUT',
  'MCP_TOOL_TIMEOUT',
] as const

const KEYS = ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN'] as const

/** Variables that pass on one route only: its credentials and its flags. */
const BY_ROUTE = {
  custom: [...KEYS, 'CLAUDE_CODE_OAUTH_TOKEN', 'ANTHROPIC_CUSTOM_HEADERS'],
  // The gateway discards a client's credential, so a real key is not passed.
  gateway: [],
  vertex: [
    'USE_VERTEX',
    'CLAUDE_CODE_USE_VERTEX',
    'CLAUDE_CODE_SKIP_VERTEX_AUTH',
    'ANTHROPIC_VERTEX_BASE_URL',
    'ANTHROPIC_VERTEX_PROJECT_ID',
    'CLOUD_ML_REGION',
    'CLOUDSDK_CONFIG',
    'GCE_METADATA_HOST',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'GOOGLE_CLOUD_PROJECT',
    'GCLOUD_PROJECT',
    'VERTEX_REGION_*',
  ],
  bedrock: [
    'CLAUDE_CODE_USE_BEDROCK',
    'CLAUDE_CODE_SKIP_BEDROCK_AUTH',
    'ANTHROPIC_BEDROCK_BASE_URL',
    'ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION',
    'AWS_ACCESS_KEY_ID',
    'AWS_BEARER_TOKEN_BEDROCK',
    'AWS_CA_BUNDLE',
    'AWS_CONFIG_FILE',
    'AWS_CONTAINER_*',
    'AWS_DEFAULT_REGION',
    'AWS_EC2_METADATA_DISABLED',
    'AWS_PROFILE',
    'AWS_REGION',
    'AWS_ROLE_ARN',
    'AWS_ROLE_SESSION_NAME',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_SHARED_CREDENTIALS_FILE',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
  ],
  oauth: ['CLAUDE_CODE_OAUTH_TOKEN'],
  api_key: [...KEYS, 'ANTHROPIC_CUSTOM_HEADERS'],
  none: [],
} as const satisfies Record<ModelRouteKind, readonly string[]>

/** Variables that never pass, even as placeholders or by `alsoPass`: a holder may drive the runner or speak for it. */
const NEVER: ReadonlySet<string> = new Set(['AGUI_TOKEN', 'AMBIENT_RUNNER_BOOTSTRAP_TOKEN', 'BOT_TOKEN'])

export interface ChildEnvironmentOptions {
  routeKind: ModelRouteKind
  /** Attempts after the first that Claude Code makes when the model fails (its own default is 10, 3 minutes). */
  retriesMax: number
  /** Bound on connecting and on the first byte of an answer, per attempt, in milliseconds. */
  apiTimeoutMs: number
  /** How long Claude Code may hold deltas back to send them as one, in milliseconds; 0 leaves its default. */
  streamHoldMs: number
  /** Whether root may use bypassPermissions; true only where something else confines Claude Code. */
  isSandboxed: boolean
  /** Names of further variables of `env` that pass, such as the ones that an MCP configuration refers to. */
  alsoPass: readonly string[]
}

/**
 * Returns the environment that the wrapper, and so Claude Code and its tools, are started with: the allowed part of
 * `env`, then the runner's settings, which win. The wrapper adds the route and the settings of every start.
 * Unset and empty variables are left out. Sources: contract section 3, the launch measured for 2.1.329.
 */
export function childEnvironment(env: RouteEnv, options: ChildEnvironmentOptions): Record<string, string> {
  const allowed: readonly string[] = [...ALWAYS, ...BY_ROUTE[options.routeKind]]
  const names = new Set([...allowed, ...options.alsoPass])
  const prefixes = allowed.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))
  const passes = (name: string, value: string): boolean =>
    !NEVER.has(name) &&
    (names.has(name) ||
      prefixes.some((prefix) => name.startsWith(prefix)) ||
      PROVIDER_PLACEHOLDER.test(value))

  const child: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value !== '' && passes(name, value)) child[name] = value
  }
  return Object.assign(child, settings(options))
}

function settings(options: ChildEnvironmentOptions): Record<string, string> {
  return {
    CLAUDE_CODE_MAX_RETRIES: String(options.retriesMax),
    API_TIMEOUT_MS: String(options.apiTimeoutMs),
    // Tools of the configured MCP servers are available from the first turn, not behind a search.
    ENABLE_TOOL_SEARCH: 'false',
    // One prompt, one result: no turn that Claude Code starts by itself.
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    // `@/etc/passwd` in a prompt stays text.
    CLAUDE_CODE_DISABLE_FILE_MENTIONS: '1',
    // A failed start gives its reason in a result line.
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
    ...(options.streamHoldMs > 0 && { CLAUDE_CODE_STREAM_EVENT_HOLD_MS: String(options.streamHoldMs) }),
    ...(options.isSandboxed && { IS_SANDBOX: '1' }),
  }
}
