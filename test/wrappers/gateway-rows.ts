import type { RouteRow } from './route-row.ts'

const PROXY = 'http://10.200.0.1:3128'
const LOOPBACK = '127.0.0.1,localhost,::1'

/** What the gateway route adds to an environment that names no part of it. */
const GATEWAY = {
  ANTHROPIC_BASE_URL: 'https://inference.local',
  ANTHROPIC_API_KEY: 'inference-routing',
  HTTPS_PROXY: PROXY,
  https_proxy: PROXY,
  HTTP_PROXY: PROXY,
  http_proxy: PROXY,
  NO_PROXY: LOOPBACK,
  no_proxy: LOOPBACK,
  NODE_EXTRA_CA_CERTS: '<tls>/openshell-ca.pem',
  CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1',
}

const CA = { NODE_EXTRA_CA_CERTS: '<tls>/openshell-ca.pem' }

const BUNDLE = {
  SSL_CERT_FILE: '<tls>/ca-bundle.pem',
  REQUESTS_CA_BUNDLE: '<tls>/ca-bundle.pem',
  CURL_CA_BUNDLE: '<tls>/ca-bundle.pem',
  GIT_SSL_CAINFO: '<tls>/ca-bundle.pem',
}

const proxies = (url: string): Record<string, string> => ({
  HTTPS_PROXY: url,
  https_proxy: url,
  HTTP_PROXY: url,
  http_proxy: url,
})

const NAMED: readonly RouteRow[] = [
  ...['1', 'true', 'TRUE', 'Yes', 'on'].map((value) => ({
    title: `ACP_OPENSHELL_INFERENCE=${value} is the gateway`,
    env: { ACP_OPENSHELL_INFERENCE: value },
    kind: 'gateway',
    credential: 'placeholder',
    adds: GATEWAY,
  })),
  ...[
    'https://inference.local',
    'https://inference.local/',
    'https://inference.local/v1',
    'https://inference.local:443',
    'http://inference.local',
    'HTTPS://Inference.LOCAL',
    'https://user:password@inference.local',
    'inference.local',
  ].map((url) => ({
    title: `the base URL ${url} is the gateway, spelt as it takes it`,
    env: { ANTHROPIC_BASE_URL: url },
    kind: 'gateway',
    credential: 'placeholder',
    adds: GATEWAY,
  })),
  {
    title: 'the gateway removes every cloud flag and the OAuth token, and keeps a key that is set',
    env: {
      ACP_OPENSHELL_INFERENCE: 'true',
      USE_VERTEX: '1',
      CLAUDE_CODE_USE_VERTEX: '1',
      CLAUDE_CODE_USE_BEDROCK: '1',
      CLAUDE_CODE_OAUTH_TOKEN: 'secret',
      ANTHROPIC_API_KEY: 'sk-secret',
    },
    kind: 'gateway',
    credential: 'ANTHROPIC_API_KEY',
    adds: { ...GATEWAY, ANTHROPIC_API_KEY: 'sk-secret' },
    drops: ['USE_VERTEX', 'CLAUDE_CODE_USE_VERTEX', 'CLAUDE_CODE_USE_BEDROCK', 'CLAUDE_CODE_OAUTH_TOKEN'],
  },
  {
    title: 'the gateway adds no placeholder beside a bearer token',
    env: { ACP_OPENSHELL_INFERENCE: 'true', ANTHROPIC_AUTH_TOKEN: 'secret' },
    kind: 'gateway',
    credential: 'ANTHROPIC_AUTH_TOKEN',
    adds: GATEWAY,
    drops: ['ANTHROPIC_API_KEY'],
  },
  {
    title: 'the gateway keeps betas that someone switched on',
    env: { ACP_OPENSHELL_INFERENCE: 'true', CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '0' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '0' },
  },
  {
    title: 'the gateway takes an empty variable for an unset one',
    env: { ACP_OPENSHELL_INFERENCE: '1', ANTHROPIC_BASE_URL: '', HTTPS_PROXY: '', NODE_EXTRA_CA_CERTS: '' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: GATEWAY,
  },
]

const NETWORK: readonly RouteRow[] = [
  {
    title: 'the gateway keeps HTTPS_PROXY and gives it to the other three spellings',
    env: { ACP_OPENSHELL_INFERENCE: '1', HTTPS_PROXY: 'http://127.0.0.1:3128' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...proxies('http://127.0.0.1:3128') },
  },
  {
    title: 'the gateway keeps https_proxy and gives it to the other three spellings',
    env: { ACP_OPENSHELL_INFERENCE: '1', https_proxy: 'http://127.0.0.1:3128' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...proxies('http://127.0.0.1:3128') },
  },
  {
    title: 'the gateway keeps an HTTP_PROXY of its own, which says nothing about HTTPS_PROXY',
    env: { ACP_OPENSHELL_INFERENCE: '1', HTTP_PROXY: 'http://plain.example:1' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, HTTP_PROXY: 'http://plain.example:1', http_proxy: 'http://plain.example:1' },
  },
  {
    title: 'the gateway keeps an http_proxy of its own just as well',
    env: { ACP_OPENSHELL_INFERENCE: '1', http_proxy: 'http://plain.example:1' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, HTTP_PROXY: 'http://plain.example:1', http_proxy: 'http://plain.example:1' },
  },
  {
    title: 'the gateway keeps four proxies that differ',
    env: {
      ACP_OPENSHELL_INFERENCE: '1',
      HTTPS_PROXY: 'http://a.example:1',
      https_proxy: 'http://b.example:1',
      HTTP_PROXY: 'http://c.example:1',
      http_proxy: 'http://d.example:1',
    },
    kind: 'gateway',
    credential: 'placeholder',
    adds: {
      ...GATEWAY,
      HTTPS_PROXY: 'http://a.example:1',
      https_proxy: 'http://b.example:1',
      HTTP_PROXY: 'http://c.example:1',
      http_proxy: 'http://d.example:1',
    },
  },
  {
    title: 'the gateway narrows NO_PROXY to loopback, whatever it held',
    env: { ACP_OPENSHELL_INFERENCE: '1', NO_PROXY: 'inference.local,.svc.cluster.local', no_proxy: '*' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: GATEWAY,
  },
  {
    title: 'the gateway keeps NODE_EXTRA_CA_CERTS',
    tls: 'ca',
    env: { ACP_OPENSHELL_INFERENCE: '1', NODE_EXTRA_CA_CERTS: '/elsewhere/ca.pem' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, NODE_EXTRA_CA_CERTS: '/elsewhere/ca.pem' },
  },
  {
    title: 'what the control plane sets becomes the gateway with the bundle in the place of the CA alone',
    tls: 'ca+bundle',
    env: {
      ANTHROPIC_BASE_URL: 'https://inference.local',
      ANTHROPIC_API_KEY: 'notused',
      HTTPS_PROXY: PROXY,
      NO_PROXY: '127.0.0.1,localhost',
      NODE_EXTRA_CA_CERTS: '<tls>/openshell-ca.pem',
      SSL_CERT_FILE: '<tls>/openshell-ca.pem',
      REQUESTS_CA_BUNDLE: '<tls>/openshell-ca.pem',
      CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1',
      ACP_OPENSHELL_INFERENCE: 'true',
    },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...BUNDLE, ANTHROPIC_API_KEY: 'notused' },
  },
  {
    title: 'the CA alone is known by its file, not by its spelling',
    tls: 'ca+bundle',
    env: {
      ACP_OPENSHELL_INFERENCE: '1',
      SSL_CERT_FILE: '<tls>/./openshell-ca.pem',
      CURL_CA_BUNDLE: '<tls>/link.pem',
    },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...BUNDLE },
  },
  {
    title: 'a CA file of someone else is kept beside the bundle',
    tls: 'ca+bundle',
    env: {
      ACP_OPENSHELL_INFERENCE: '1',
      SSL_CERT_FILE: '/etc/ssl/mine.pem',
      GIT_SSL_CAINFO: '/etc/ssl/git.pem',
    },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...BUNDLE, SSL_CERT_FILE: '/etc/ssl/mine.pem', GIT_SSL_CAINFO: '/etc/ssl/git.pem' },
  },
  {
    title: 'without a bundle the CA alone stays where the control plane put it',
    tls: 'ca',
    env: { ACP_OPENSHELL_INFERENCE: '1', SSL_CERT_FILE: '<tls>/openshell-ca.pem' },
    kind: 'gateway',
    credential: 'placeholder',
    adds: GATEWAY,
  },
  {
    title: "the bundle beside NODE_EXTRA_CA_CERTS counts when that is a sandbox's CA",
    tls: 'ca+bundle',
    env: {
      ACP_OPENSHELL_INFERENCE: '1',
      OPENSHELL_PROXY_TLS_DIR: '<tls>/nowhere',
      NODE_EXTRA_CA_CERTS: '<tls>/openshell-ca.pem',
      SSL_CERT_FILE: '<tls>/openshell-ca.pem',
    },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...BUNDLE },
  },
]

const IN_SANDBOX: readonly RouteRow[] = [
  {
    title: 'the sandbox CA and no credential is the gateway',
    tls: 'ca+bundle',
    env: {},
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ...BUNDLE },
  },
  ...['notused', 'inference-routing'].map((key) => ({
    title: `the sandbox CA beside the key ${key}, which is none, is the gateway`,
    tls: 'ca' as const,
    env: { ANTHROPIC_API_KEY: key },
    kind: 'gateway',
    credential: 'placeholder',
    adds: { ...GATEWAY, ANTHROPIC_API_KEY: key },
  })),
  {
    title: 'the sandbox CA beside a key is the key, with the CA and the bundle',
    tls: 'ca+bundle',
    env: { ANTHROPIC_API_KEY: 'sk-secret' },
    kind: 'api_key',
    credential: 'ANTHROPIC_API_KEY',
    adds: { ...CA, ...BUNDLE },
  },
  {
    title: "the sandbox CA beside a provider's placeholder is the key, passed unchanged",
    tls: 'ca',
    env: { ANTHROPIC_API_KEY: 'openshell:resolve:env:ANTHROPIC_API_KEY', HTTPS_PROXY: PROXY },
    kind: 'api_key',
    credential: 'ANTHROPIC_API_KEY',
    adds: CA,
  },
  {
    title: 'the sandbox CA beside Vertex is Vertex',
    tls: 'ca',
    env: { CLAUDE_CODE_USE_VERTEX: '1' },
    kind: 'vertex',
    credential: '',
    adds: CA,
  },
  {
    title: 'the sandbox CA beside Bedrock is Bedrock',
    tls: 'ca',
    env: { CLAUDE_CODE_USE_BEDROCK: '1' },
    kind: 'bedrock',
    credential: '',
    adds: CA,
  },
  {
    title: 'the sandbox CA beside an OAuth token is OAuth',
    tls: 'ca',
    env: { CLAUDE_CODE_OAUTH_TOKEN: 'secret' },
    kind: 'oauth',
    credential: 'CLAUDE_CODE_OAUTH_TOKEN',
    adds: CA,
  },
]

export const GATEWAY_ROWS: readonly RouteRow[] = [...NAMED, ...NETWORK, ...IN_SANDBOX]
