// What is pure of a launch: the plan, with what a gateway would refuse, and a policy file as the gateway takes it.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readGoogleCredential } from '../../src/openshell/google-refresh.ts'
import { policyMessage } from '../../src/openshell/policy-message.ts'
import { providerType } from '../../src/openshell/provider-types.ts'
import { checkPlan, type SandboxPlan } from '../../src/openshell/sandbox-plan.ts'
import { openshellServices } from '../../src/openshell/service.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'

const PLAN: SandboxPlan = {
  ...{ gateway: 'https://gateway:1', workspace: 'default', name: 'box', image: 'agui-runner:0.1.0' },
  ...{ labels: {}, environment: {}, driverConfig: {}, providers: [], attached: [], inference: undefined },
  ...{ policy: undefined, rules: {}, uploads: [], command: ['/runner/entrypoint.sh'] },
  ...{ forward: { port: 8001, listen: 0 }, onEnd: 'auto' },
}

function problems(changes: Partial<SandboxPlan>): string[] {
  try {
    checkPlan({ ...PLAN, ...changes })
    return []
  } catch (error) {
    return String(error)
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
  }
}

/** As OpenShell's server has it, in other words than the plan's (control-plane.md 3.4). */
const isName = (name: string): boolean =>
  name !== '' &&
  name.length <= 19 &&
  [...name].every((char) => 'abcdefghijklmnopqrstuvwxyz0123456789-'.includes(char)) &&
  !name.startsWith('-') &&
  !name.endsWith('-') &&
  !name.includes('--')

test('a name is taken when the gateway takes it', () => {
  const char = fc.constantFrom('a', 'z', '0', '9', '-', 'A', '_', '.', 'é')
  const name = fc.oneof(fc.string({ unit: char, maxLength: 24 }), fc.stringMatching(/^[a-z0-9-]{0,24}$/))
  fc.assert(
    fc.property(name, (text) => {
      expect(problems({ name: text }).length === 0).toBe(isName(text))
      expect(problems({ workspace: text }).length === 0).toBe(isName(text))
    }),
  )
})

test('a variable is taken when the gateway takes it', () => {
  const key = fc.oneof(
    fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,5}$/),
    fc.string({ maxLength: 4 }),
    fc.constant('OPENSHELL_X'),
  )
  const value = fc.string({ unit: fc.constantFrom('a', '=', ' ', '\n', '\r', '\0', 'é'), maxLength: 6 })
  fc.assert(
    fc.property(key, value, (name, text) => {
      const isTaken = /^[A-Za-z_]\w*$/.test(name) && !name.startsWith('OPENSHELL_') && !/[\n\r\0]/.test(text)
      expect(problems({ environment: { [name]: text } }).length === 0).toBe(isTaken)
    }),
  )
})

const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`V${at}`, 'x']))
const provider = { name: 'box-x', type: 'generic', credentials: ['A'], config: {}, refresh: undefined }

test.each<[Partial<SandboxPlan>, string[]]>([
  [{}, []],
  [{ environment: many(128) }, []],
  [{ environment: many(129) }, ['environment: at most 128 variables']],
  [{ environment: { A: 'é'.repeat(4096) } }, []],
  [{ environment: { A: `é${'x'.repeat(8191)}` } }, ['environment: A is longer than 8192 bytes']],
  [{ image: '' }, ['image: a reference without blanks']],
  [{ image: 'a b' }, ['image: a reference without blanks']],
  [{ attached: ['a', 'b', 'a'] }, ['providers: a is there twice']],
  [{ providers: [provider], attached: ['box-x'] }, ['providers: box-x is there twice']],
  [{ attached: Object.keys(many(33)) }, ['providers: at most 32']],
  [
    { providers: [{ ...provider, credentials: [] }] },
    ['provider box-x: name the variables that hold its credential: TYPE=NAME,NAME'],
  ],
  [
    { providers: [{ ...provider, credentials: ['a b'] }] },
    ['provider box-x: "a b" is no name of a variable'],
  ],
  [{ inference: { provider, model: ' ', isVerified: true } }, ['inference: name the model']],
  [{ command: [] }, ['command: at least one word']],
  [{ command: ['a', 'b\0'] }, ['command: no NUL']],
  [{ command: ['a', 'x'.repeat(32_769)] }, ['command: no word longer than 32768 bytes']],
  [{ command: Array.from({ length: 1025 }, () => 'x') }, ['command: at most 1024 words']],
  [{ command: Array.from({ length: 9 }, () => "'".repeat(6000)) }, ['command: at most 262144 bytes']],
  [{ uploads: [{ source: 'x', target: '/sandbox/work-space/.x' }] }, []],
  [
    { uploads: [{ source: 'x', target: '/sandbox/../etc' }] },
    ['upload: /sandbox/../etc is not a plain absolute path without .. in it'],
  ],
  [
    { uploads: [{ source: 'x', target: "/a'b" }] },
    ["upload: /a'b is not a plain absolute path without .. in it"],
  ],
  [{ driverConfig: { docker: { mounts: [] } } }, []],
  [
    { driverConfig: { kubernetes: { pod: { securityContext: { runAsUser: 0 } } } } },
    ['driver config: a security context is the driver’s own to set; the policy’s `process` names the user'],
  ],
  [{ driverConfig: { docker: { x: 'x'.repeat(65_536) } } }, ['driver config: at most 65536 bytes']],
  [{ forward: { port: 0, listen: 0 } }, ['forward: a port is 1 to 65535']],
  [
    { name: 'Box', workspace: 'a--b' },
    [
      'name: a-z, 0-9 and single hyphens between them, at most 19 characters',
      'workspace: a-z, 0-9 and single hyphens between them, at most 19 characters',
    ],
  ],
])('%j: %j', (changes, expected) => {
  expect(problems(changes)).toEqual(expected)
})

test('the platform’s words for a provider', () => {
  const types = [
    'github',
    'anthropic',
    'claude',
    'claude-code',
    'vertex',
    'codex',
    'nvidia',
    'jira',
    'kubeconfig',
    'constructor',
  ]
  expect(types.map((type) => providerType(type).type)).toEqual([
    ...['github', 'claude-code', 'claude-code', 'claude-code', 'google-vertex-ai', 'codex', 'nvidia'],
    ...['generic', 'generic', 'generic'],
  ])
  expect(providerType('anthropic').route).toBe('anthropic')
  expect(providerType('github').route).toBeUndefined()
})

test('the two files of Google’s, and what is neither', () => {
  const key = {
    type: 'service_account',
    client_email: 'a@b',
    private_key: 'p',
    token_uri: 'https://evil.example',
  }
  expect(readGoogleCredential(JSON.stringify(key))).toEqual({
    refresh: {
      ...{ credential: 'GOOGLE_VERTEX_AI_SERVICE_ACCOUNT_TOKEN', strategy: 5 },
      ...{ material: ['client_email', 'private_key'], secretMaterial: ['private_key'] },
    },
    credentials: { GOOGLE_SERVICE_ACCOUNT_KEY: JSON.stringify(key) },
    material: { client_email: 'a@b', private_key: 'p' },
  })
  const user = { type: 'authorized_user', client_id: 'i', client_secret: 's', refresh_token: 'r' }
  expect(readGoogleCredential(JSON.stringify(user))).toMatchObject({
    refresh: { strategy: 3, secretMaterial: ['client_secret', 'refresh_token'] },
    credentials: {},
    material: { client_id: 'i', client_secret: 's', refresh_token: 'r' },
  })
  for (const text of ['', '[]', '{"type":"external_account"}', '{"type":"authorized_user"}'])
    expect(readGoogleCredential(text)).toBeUndefined()
})

const EVERYTHING = `
version: 1
filesystem_policy: { include_workdir: true, read_only: [/usr], read_write: [/sandbox] }
landlock: { compatibility: best_effort }
process: { run_as_user: sandbox, run_as_group: "1000" }
network_policies:
  api:
    endpoints:
      - { host: a.example.com, port: 443, protocol: rest, enforcement: enforce, tls: terminate, access: read-only,
          deny_rules: [{ method: POST, path: /x/**, query: { force: "true", tag: { any: [a, b] } } }],
          credential_binding: { provider: p } }
      - { host: b.example.com, ports: [80, 8080], tls: skip }
  tools:
    name: mcp-tools
    endpoints:
      - { host: c.example.com, port: 443, protocol: mcp, enforcement: enforce, path: /mcp,
          mcp: { max_body_bytes: 9, strict_tool_names: true },
          rules: [{ allow: { method: tools/call, tool: search* } }] }
    binaries: [{ path: /usr/local/bin/node }]
network_middlewares:
  scan: { middleware: openshell/secrets, order: -3, config: { deep: { on: true, ports: [1, 2.5, null] } }, endpoints: { include: [a.example.com] } }
`

test('a policy of everything, on the wire and back, in both forms', () => {
  const { policy, problems: wrong } = parsePolicy(EVERYTHING, { file: 'made' })
  if (policy === undefined) throw new Error(JSON.stringify(wrong))
  const [first, second] = (['0.0', '0.1'] as const).map((protocol) => {
    const { requestSerialize, requestDeserialize } = openshellServices(protocol).CreateSandbox
    const request: { spec?: { policy?: object } } = requestDeserialize(
      requestSerialize({ spec: { policy: policyMessage(policy) } }),
    )
    return request.spec?.policy
  })
  expect(first).toMatchObject({
    version: 1,
    filesystem: { include_workdir: true, read_only: ['/usr'], read_write: ['/sandbox'] },
    landlock: { compatibility: 'best_effort' },
    process: { run_as_user: 'sandbox', run_as_group: '1000' },
    network_policies: {
      api: {
        name: 'api',
        endpoints: [
          {
            ...{ host: 'a.example.com', port: 443, ports: [443], protocol: 'rest', tls: 'terminate' },
            ...{ enforcement: 'enforce', access: 'read-only', credential_binding: { provider: 'p' } },
            deny_rules: [
              { method: 'POST', path: '/x/**', query: { force: { glob: 'true' }, tag: { any: ['a', 'b'] } } },
            ],
          },
          { host: 'b.example.com', port: 80, ports: [80, 8080], tls: 'skip' },
        ],
      },
      tools: {
        name: 'mcp-tools',
        endpoints: [
          {
            ...{ path: '/mcp', json_rpc_max_body_bytes: 9, mcp: { strict_tool_names: true } },
            rules: [{ allow: { method: 'tools/call', params: { name: { glob: 'search*' } } } }],
          },
        ],
        binaries: [{ path: '/usr/local/bin/node' }],
      },
    },
    network_middlewares: {
      scan: {
        ...{ middleware: 'openshell/secrets', order: -3, endpoints: { include: ['a.example.com'] } },
        config: {
          fields: {
            deep: {
              struct_value: {
                fields: {
                  on: { bool_value: true },
                  ports: {
                    list_value: { values: [{ number_value: 1 }, { number_value: 2.5 }, { null_value: 0 }] },
                  },
                },
              },
            },
          },
        },
      },
    },
  })
  expect(second).toMatchObject({
    network_policies: {
      api: {
        endpoints: [{ tls_mode: 2, enforcement_mode: 1, access_preset: 1 }, { tls_mode: 1 }],
      },
    },
  })
})

test('the revisions of MCP reach the releases that read them', () => {
  const endpoint =
    '{ host: a.example, port: 443, protocol: mcp, enforcement: enforce, mcp: { versions: ["2025-11-25"] }, rules: [{ allow: { method: tools/call } }] }'
  const text = `version: 1\nnetwork_policies: { a: { endpoints: [${endpoint}], binaries: [{ path: /usr/bin/git }] } }\n`
  const { policy } = parsePolicy(text, { file: 'made', release: [0, 1, 5] })
  if (policy === undefined) throw new Error('no policy')
  const { requestSerialize, requestDeserialize } = openshellServices('0.1').CreateSandbox
  expect(requestDeserialize(requestSerialize({ spec: { policy: policyMessage(policy) } }))).toMatchObject({
    spec: { policy: { network_policies: { a: { endpoints: [{ mcp: { versions: ['2025-11-25'] } }] } } } },
  })
})

test('the image’s policy is one that can be sent', () => {
  const { policy } = parsePolicy(readFileSync('policy.yaml', 'utf8'), { file: 'policy.yaml' })
  if (policy === undefined) throw new Error('policy.yaml')
  const { requestSerialize } = openshellServices('0.0').CreateSandbox
  const bytes = requestSerialize({ spec: { policy: policyMessage(policy) } }).length
  expect(bytes).toBeGreaterThan(500)
  expect(bytes).toBeLessThan(256 * 1024)
})
