import { describe, expect, test } from 'vitest'
import { type ChildEnvironmentOptions, childEnvironment } from '../../src/model-route/environment.ts'

const options: ChildEnvironmentOptions = {
  routeKind: 'none',
  retriesMax: 3,
  apiTimeoutMs: 60_000,
  streamHoldMs: 0,
  isSandboxed: false,
  alsoPass: [],
}

const SETTINGS = {
  CLAUDE_CODE_MAX_RETRIES: '3',
  API_TIMEOUT_MS: '60000',
  ENABLE_TOOL_SEARCH: 'false',
  CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
  CLAUDE_CODE_DISABLE_FILE_MENTIONS: '1',
  CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
}

/** Names that pass on every route, with a value that tells where it came from. */
const ALWAYS = Object.freeze(
  [
    'ACP_OPENSHELL_INFERENCE ALL_PROXY ANTHROPIC_BASE_URL ANTHROPIC_BETAS ANTHROPIC_DEFAULT_HAIKU_MODEL',
    'ANTHROPIC_DEFAULT_OPUS_MODEL ANTHROPIC_MODEL ANTHROPIC_SMALL_FAST_MODEL BASH_DEFAULT_TIMEOUT_MS',
    'BASH_MAX_OUTPUT_LENGTH BASH_MAX_TIMEOUT_MS BUN_GC_TIMER_DISABLE CLAUDE_CLI_PATH CLAUDE_CODE_ATTRIBUTION_HEADER',
    'CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC',
    'CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK CLAUDE_CODE_DISABLE_THINKING CLAUDE_CODE_EFFORT_LEVEL',
    'CLAUDE_CODE_MAX_OUTPUT_TOKENS CLAUDE_CODE_SUBAGENT_MODEL CLAUDE_CODE_TMPDIR CLAUDE_CONFIG_DIR CURL_CA_BUNDLE',
    'DENO_CERT DISABLE_AUTOUPDATER DISABLE_ERROR_REPORTING DISABLE_PROMPT_CACHING DISABLE_TELEMETRY',
    'GIT_AUTHOR_EMAIL GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_NAME GIT_SSL_CAINFO HOME HTTPS_PROXY',
    'HTTP_PROXY LANG LANGUAGE LC_ALL LC_CTYPE LOGNAME MAX_MCP_OUTPUT_TOKENS MAX_THINKING_TOKENS MCP_TIMEOUT',
    'MCP_TOOL_TIMEOUT NODE_EXTRA_CA_CERTS NODE_USE_ENV_PROXY NO_PROXY OPENSHELL_ENABLED OPENSHELL_LOG_LEVEL',
    'OPENSHELL_POLICY_DATA OPENSHELL_POLICY_RULES OPENSHELL_PROXY_TLS_DIR OPENSHELL_SANDBOX PATH',
    'REQUESTS_CA_BUNDLE SHELL SSL_CERT_DIR SSL_CERT_FILE TERM TMPDIR TZ USER XDG_CACHE_HOME XDG_CONFIG_HOME',
    'XDG_DATA_HOME XDG_STATE_HOME all_proxy grpc_proxy http_proxy https_proxy no_proxy',
  ].flatMap((line) => line.split(' ')),
)

/** Names that pass on one route and on no other that is not listed with them. */
const BY_ROUTE = Object.freeze({
  custom: 'ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_CUSTOM_HEADERS CLAUDE_CODE_OAUTH_TOKEN',
  gateway: '',
  vertex:
    'ANTHROPIC_VERTEX_BASE_URL ANTHROPIC_VERTEX_PROJECT_ID CLAUDE_CODE_SKIP_VERTEX_AUTH CLAUDE_CODE_USE_VERTEX ' +
    'CLOUDSDK_CONFIG CLOUD_ML_REGION GCE_METADATA_HOST GCLOUD_PROJECT GOOGLE_APPLICATION_CREDENTIALS ' +
    'GOOGLE_CLOUD_PROJECT USE_VERTEX VERTEX_REGION_CLAUDE_4_0_SONNET',
  bedrock:
    'ANTHROPIC_BEDROCK_BASE_URL ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION AWS_ACCESS_KEY_ID AWS_BEARER_TOKEN_BEDROCK ' +
    'AWS_CA_BUNDLE AWS_CONFIG_FILE AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_CREDENTIALS_FULL_URI ' +
    'AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED AWS_PROFILE AWS_REGION AWS_ROLE_ARN AWS_ROLE_SESSION_NAME ' +
    'AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SHARED_CREDENTIALS_FILE AWS_WEB_IDENTITY_TOKEN_FILE ' +
    'CLAUDE_CODE_SKIP_BEDROCK_AUTH CLAUDE_CODE_USE_BEDROCK',
  oauth: 'CLAUDE_CODE_OAUTH_TOKEN',
  api_key: 'ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_CUSTOM_HEADERS',
  none: '',
})

/** What must stay out on every route: secrets of the runner and of others, what loads code, what is not ours. */
const HOSTILE = Object.freeze(
  [
    'AGUI_TOKEN AGUI_HOST AGUI_PORT AGUI_CLAUDE_DEPTH AMBIENT_CP_TOKEN_URL AMBIENT_CP_TOKEN_PUBLIC_KEY',
    'AMBIENT_GRPC_URL API_TIMEOUT BASH_ENV BASH_FUNC_x%% BOT_TOKEN CLAUDECODE CLAUDE_AGENT_SDK_VERSION',
    'CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_MESSAGING_TOKEN CLAUDE_CODE_SESSION_ID CLAUDE_CODE_SSE_PORT',
    'CLAUDE_CODE_USE_FOUNDRY CLAUDE_CODE_SIMPLE CREDENTIAL_IDS CREDENTIAL_MCP_URLS DATABASE_URL DEBUG ENV',
    'EVENT_LOG_URL GH_TOKEN GITHUB_TOKEN GIT_ASKPASS GIT_CONFIG_GLOBAL GIT_SSH_COMMAND GITLAB_TOKEN IFS',
    'INITIAL_PROMPT JIRA_API_TOKEN KUBECONFIG LD_LIBRARY_PATH LD_PRELOAD LLM_MODEL LOG_FILE MALLOC_ARENA_MAX',
    'MALLOC_CONF MALLOC_MMAP_THRESHOLD_',
    'MLFLOW_TRACKING_TOKEN NODE_OPTIONS NODE_PATH NODE_TLS_REJECT_UNAUTHORIZED NPM_TOKEN OPENAI_API_KEY',
    'OPENSHELL_SANDBOX_TOKEN PAYLOAD_MCP_CONFIG_FILE PGPASSWORD PYTHONPATH PYTHONSTARTUP REDIS_URL REPOS_JSON',
    'RUNNER_STATE_DIR SDK_OPTIONS SESSION_ID SSH_AUTH_SOCK SUDO_ASKPASS WORKSPACE_PATH Path HOMEX XHOME home',
    'IS_SANDBOX PROXY_PASSWORD npm_config_registry',
  ].flatMap((line) => line.split(' ')),
)

const words = (text: string): string[] => (text === '' ? [] : text.split(' '))
const valued = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, `value of ${name}`]))

const FULL = Object.freeze({
  ...valued(ALWAYS),
  ...valued(Object.values(BY_ROUTE).flatMap(words)),
  ...valued(HOSTILE),
})

describe('of a full and hostile environment', () => {
  test.each(Object.entries(BY_ROUTE))('exactly this passes on the route %s', (kind, own) => {
    const routeKind = kind as ChildEnvironmentOptions['routeKind']
    const expected = { ...valued([...ALWAYS, ...words(own)]), ...SETTINGS }
    expect(childEnvironment(FULL, { ...options, routeKind })).toEqual(expected)
  })
})

test('a provider’s placeholder passes under any name, unchanged; what only looks like one does not', () => {
  const env = {
    GITHUB_TOKEN: 'openshell:resolve:env:GITHUB_TOKEN',
    ANTHROPIC_API_KEY: 'openshell:resolve:env:ANTHROPIC_API_KEY',
    A: 'xopenshell:resolve:env:A',
    B: 'openshell:resolve:env:B secret',
    C: 'openshell:resolve:env:',
    D: 'openshell:resolve:env:D\nsecret',
    AGUI_TOKEN: 'openshell:resolve:env:AGUI_TOKEN',
  }
  expect(childEnvironment(env, { ...options, routeKind: 'gateway' })).toEqual({
    GITHUB_TOKEN: env.GITHUB_TOKEN,
    ANTHROPIC_API_KEY: env.ANTHROPIC_API_KEY,
    ...SETTINGS,
  })
})

test('what is asked for by name passes too, by exactly that name, but never the runner’s own token', () => {
  const env = { MY_SERVER_KEY: 'a', MY_SERVER_KEYS: 'b', AGUI_TOKEN: 'c', '*': 'd' }
  const child = childEnvironment(env, {
    ...options,
    alsoPass: ['MY_SERVER_KEY', 'AGUI_TOKEN', 'MISSING', 'MY_*'],
  })
  expect(child).toEqual({ MY_SERVER_KEY: 'a', ...SETTINGS })
})

test('unset and empty variables are left out', () => {
  expect(childEnvironment({ HOME: undefined, PATH: '', LANG: 'C' }, options)).toEqual({
    LANG: 'C',
    ...SETTINGS,
  })
})

test('the runner’s settings win over the environment’s', () => {
  const env = { CLAUDE_CODE_MAX_RETRIES: '99', API_TIMEOUT_MS: '1', ENABLE_TOOL_SEARCH: 'true' }
  expect(childEnvironment(env, { ...options, alsoPass: Object.keys(env) })).toEqual(SETTINGS)
})

test('holding deltas back and bypassing as root are set only when wanted', () => {
  expect(childEnvironment({}, { ...options, streamHoldMs: 30, isSandboxed: true })).toEqual({
    ...SETTINGS,
    CLAUDE_CODE_STREAM_EVENT_HOLD_MS: '30',
    IS_SANDBOX: '1',
  })
})

test('the environment that is given stays as it is', () => {
  const env = Object.freeze({ PATH: '/bin', AGUI_TOKEN: 'x' })
  childEnvironment(env, options)
  expect(env).toEqual({ PATH: '/bin', AGUI_TOKEN: 'x' })
})
