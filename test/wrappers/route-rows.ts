import { GATEWAY_ROWS } from './gateway-rows.ts'
import type { RouteRow } from './route-row.ts'

const CUSTOM: readonly RouteRow[] = [
  {
    title: 'a base URL elsewhere is used as it is, with a placeholder where no key is',
    env: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:4010/path/' },
    kind: 'custom',
    credential: 'placeholder',
    adds: { ANTHROPIC_API_KEY: 'inference-routing' },
  },
  {
    title: 'a base URL elsewhere keeps its key',
    env: { ANTHROPIC_BASE_URL: 'https://gateway.example', ANTHROPIC_API_KEY: 'sk-secret' },
    kind: 'custom',
    credential: 'ANTHROPIC_API_KEY',
  },
  {
    title: 'a base URL elsewhere keeps its bearer token',
    env: { ANTHROPIC_BASE_URL: 'https://gateway.example', ANTHROPIC_AUTH_TOKEN: 'secret' },
    kind: 'custom',
    credential: 'ANTHROPIC_AUTH_TOKEN',
  },
  {
    title: 'a base URL elsewhere keeps its OAuth token',
    env: { ANTHROPIC_BASE_URL: 'https://gateway.example', CLAUDE_CODE_OAUTH_TOKEN: 'secret' },
    kind: 'custom',
    credential: 'CLAUDE_CODE_OAUTH_TOKEN',
  },
  {
    title: 'a base URL elsewhere wins over gateway inference and the sandbox CA',
    tls: 'ca',
    env: { ANTHROPIC_BASE_URL: 'https://gateway.example', ACP_OPENSHELL_INFERENCE: 'true' },
    kind: 'custom',
    credential: 'placeholder',
    adds: { NODE_EXTRA_CA_CERTS: '<tls>/openshell-ca.pem', ANTHROPIC_API_KEY: 'inference-routing' },
  },
  {
    title: 'a base URL elsewhere wins over every cloud, which Claude Code would otherwise prefer',
    env: {
      ANTHROPIC_BASE_URL: 'https://gateway.example',
      ANTHROPIC_API_KEY: 'sk-secret',
      USE_VERTEX: '1',
      CLAUDE_CODE_USE_VERTEX: '1',
      CLAUDE_CODE_USE_BEDROCK: '1',
      CLAUDE_CODE_USE_FOUNDRY: '1',
      CLAUDE_CODE_USE_MANTLE: '1',
      CLAUDE_CODE_USE_GATEWAY: '1',
      CLAUDE_CODE_USE_ANTHROPIC_AWS: '1',
      CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD: '1',
    },
    kind: 'custom',
    credential: 'ANTHROPIC_API_KEY',
    drops: [
      'USE_VERTEX',
      'CLAUDE_CODE_USE_VERTEX',
      'CLAUDE_CODE_USE_BEDROCK',
      'CLAUDE_CODE_USE_FOUNDRY',
      'CLAUDE_CODE_USE_MANTLE',
      'CLAUDE_CODE_USE_GATEWAY',
      'CLAUDE_CODE_USE_ANTHROPIC_AWS',
      'CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD',
    ],
  },
  {
    title: 'a base URL elsewhere keeps proxy and NO_PROXY as they are',
    env: {
      ANTHROPIC_BASE_URL: 'https://gateway.example',
      ANTHROPIC_API_KEY: 'sk-secret',
      HTTPS_PROXY: 'http://proxy.example:8080',
      NO_PROXY: '.svc.cluster.local',
    },
    kind: 'custom',
    credential: 'ANTHROPIC_API_KEY',
  },
  {
    title: 'a name that only begins with inference.local is elsewhere',
    env: { ANTHROPIC_BASE_URL: 'https://inference.local.example', ANTHROPIC_API_KEY: 'k' },
    kind: 'custom',
    credential: 'ANTHROPIC_API_KEY',
  },
  {
    title: 'a name that only ends in inference.local is elsewhere',
    env: { ANTHROPIC_BASE_URL: 'https://my-inference.local', ANTHROPIC_API_KEY: 'k' },
    kind: 'custom',
    credential: 'ANTHROPIC_API_KEY',
  },
  {
    title: 'inference.local in a path or as a user name is elsewhere',
    env: {
      ANTHROPIC_BASE_URL: 'https://inference.local@gateway.example/inference.local',
      ANTHROPIC_API_KEY: 'k',
    },
    kind: 'custom',
    credential: 'ANTHROPIC_API_KEY',
  },
]

const DIRECT: readonly RouteRow[] = [
  {
    title: 'USE_VERTEX is Vertex, in the words Claude Code knows',
    env: { USE_VERTEX: 'true', ANTHROPIC_VERTEX_PROJECT_ID: 'p', CLOUD_ML_REGION: 'r' },
    kind: 'vertex',
    credential: '',
    adds: { CLAUDE_CODE_USE_VERTEX: '1' },
  },
  {
    title: "USE_VERTEX counts also where Claude Code's own flag says no",
    env: { USE_VERTEX: '1', CLAUDE_CODE_USE_VERTEX: '0' },
    kind: 'vertex',
    credential: '',
    adds: { CLAUDE_CODE_USE_VERTEX: '1' },
  },
  {
    title: 'Vertex wins over Bedrock, a token and a key',
    env: {
      CLAUDE_CODE_USE_VERTEX: '1',
      CLAUDE_CODE_USE_BEDROCK: '1',
      CLAUDE_CODE_OAUTH_TOKEN: 'secret',
      ANTHROPIC_API_KEY: 'sk-secret',
    },
    kind: 'vertex',
    credential: '',
    drops: ['CLAUDE_CODE_USE_BEDROCK'],
  },
  {
    title: 'Bedrock wins over a token and a key',
    env: {
      CLAUDE_CODE_USE_BEDROCK: 'yes',
      CLAUDE_CODE_OAUTH_TOKEN: 'secret',
      ANTHROPIC_API_KEY: 'sk-secret',
    },
    kind: 'bedrock',
    credential: '',
    adds: { CLAUDE_CODE_USE_BEDROCK: '1' },
  },
  {
    title: 'an OAuth token wins over the keys that Claude Code would otherwise prefer',
    env: {
      CLAUDE_CODE_OAUTH_TOKEN: 'secret',
      ANTHROPIC_API_KEY: 'sk-secret',
      ANTHROPIC_AUTH_TOKEN: 'secret',
    },
    kind: 'oauth',
    credential: 'CLAUDE_CODE_OAUTH_TOKEN',
    drops: ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN'],
  },
  {
    title: 'an API key is the key',
    env: { ANTHROPIC_API_KEY: 'sk-secret' },
    kind: 'api_key',
    credential: 'ANTHROPIC_API_KEY',
  },
  {
    title: 'an API key keeps its proxy, NO_PROXY and CA variables',
    env: {
      ANTHROPIC_API_KEY: 'sk-secret',
      https_proxy: 'http://user:password@proxy.example:8080',
      NO_PROXY: 'example.com',
      NODE_EXTRA_CA_CERTS: '/etc/ssl/company.pem',
      SSL_CERT_FILE: '/etc/ssl/company.pem',
    },
    kind: 'api_key',
    credential: 'ANTHROPIC_API_KEY',
  },
  {
    title: 'a bearer token alone is a key',
    env: { ANTHROPIC_AUTH_TOKEN: 'secret' },
    kind: 'api_key',
    credential: 'ANTHROPIC_AUTH_TOKEN',
  },
  {
    title: 'a key that is none does not stand before a bearer token',
    env: { ANTHROPIC_AUTH_TOKEN: 'secret', ANTHROPIC_API_KEY: 'notused' },
    kind: 'api_key',
    credential: 'ANTHROPIC_AUTH_TOKEN',
    drops: ['ANTHROPIC_API_KEY'],
  },
  ...['0', 'false', 'no', 'off', '', '2', 'truely'].map((value) => ({
    title: `flags that say "${value}" name no route`,
    env: {
      ACP_OPENSHELL_INFERENCE: value,
      USE_VERTEX: value,
      CLAUDE_CODE_USE_VERTEX: value,
      CLAUDE_CODE_USE_BEDROCK: value,
    },
    kind: 'none',
    credential: '',
  })),
  {
    title: 'a key that is none names no route',
    env: { ANTHROPIC_API_KEY: 'inference-routing' },
    kind: 'none',
    credential: '',
  },
  {
    title: 'a proxy and CA files name no route and stay as they are',
    env: { HTTPS_PROXY: 'http://proxy.example:1', NODE_EXTRA_CA_CERTS: '/etc/ssl/company.pem' },
    kind: 'none',
    credential: '',
  },
]

export const ROUTE_ROWS: readonly RouteRow[] = [...CUSTOM, ...GATEWAY_ROWS, ...DIRECT]
