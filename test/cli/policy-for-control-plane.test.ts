// The rule that lets a Node runner reach its control plane, and what becomes of it when the control plane merges its own
// (control-plane.md 3.7: by the documented rule; the real merge was not run).
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { forControlPlaneCommand, withControlPlane } from '../../src/cli/policy-for-control-plane.ts'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'
import type { Policy } from '../../src/policy/read/schema.ts'

const IMAGE = readFileSync('policy.yaml', 'utf8')
const [TOKENS, API, MESSAGES] = ['tokens.team.svc:8080', 'api.team.svc:8000', 'api.team.svc:9000']
const OPTIONS = {
  policy: 'policy.yaml',
  endpoint: [TOKENS, API],
  tlsEndpoint: [MESSAGES],
  node: '/usr/local/bin/node',
}
const PYTHON = '/sandbox/.venv/bin/python'

const read = (text: string): Policy => {
  const { policy, problems } = parsePolicy(text, { file: 'made' })
  if (policy === undefined) throw new Error(JSON.stringify(problems))
  return policy
}

const verdict = (policy: Policy, target: string, binary: string) => {
  const [host = '', port] = target.split(':')
  return decideEgress(policy, { host, port: Number(port), binary, ancestors: [], addresses: ['10.0.0.1'] })
    .verdict
}

/** The control plane's own rule, merged into a policy as the gateway does: folded into a rule of the same endpoints, else beside it. */
function merged(text: string, targets: readonly string[]): string {
  const document = parse(text)
  const rules: Record<string, { endpoints: { host: string; port: number }[]; binaries: object[] }> =
    document.network_policies
  const endpoints = targets.map((target) => ({
    host: target.split(':')[0] ?? '',
    port: Number(target.split(':')[1]),
  }))
  const binaries = [{ path: PYTHON }]
  const names = (of: typeof endpoints) => of.map(({ host, port }) => `${host}:${port}`).sort()
  const like = Object.values(rules).find((rule) => names(rule.endpoints).join() === names(endpoints).join())
  if (like === undefined) rules['_acp_internal'] = { endpoints, binaries }
  else like.binaries.push(...binaries)
  return stringify(document)
}

test('the runner reaches exactly the endpoints, and the policy is else as it was', () => {
  const made = withControlPlane(IMAGE, OPTIONS)
  const policy = read(made)
  for (const target of [TOKENS, API, MESSAGES]) {
    expect(verdict(policy, target, '/usr/local/bin/node')).toBe('allow')
    expect(verdict(policy, target, '/usr/bin/curl')).toBe('deny')
  }
  expect(verdict(policy, 'api.team.svc:9001', '/usr/local/bin/node')).toBe('deny')
  const { control_plane, ...others } = policy.network_policies
  expect(others).toEqual(read(IMAGE).network_policies)
  expect(control_plane?.endpoints.map(({ tls }) => tls)).toEqual(['', '', 'skip'])
  expect(made.match(/#/g)?.length).toBe(IMAGE.match(/#/g)?.length)
})

test('the control plane’s own rule is folded into it, and TLS stays unread', () => {
  const policy = read(merged(withControlPlane(IMAGE, OPTIONS), [TOKENS, API, MESSAGES]))
  expect(Object.keys(policy.network_policies)).not.toContain('_acp_internal')
  expect(verdict(policy, MESSAGES, PYTHON)).toBe('allow')
  expect(policy.network_policies['control_plane']?.endpoints.at(-1)?.tls).toBe('skip')
})

test('one endpoint more on either side, and OpenShell refuses both', () => {
  const text = merged(withControlPlane(IMAGE, OPTIONS), [TOKENS, API, MESSAGES, 'other.team.svc:80'])
  const { policy, problems } = parsePolicy(text, { file: 'made' })
  expect(policy).toBeUndefined()
  expect(problems.map(({ message }) => message).join()).toContain('differs in tls')
})

test.each([
  [{ endpoint: [], tlsEndpoint: [] }, 'name what'],
  [{ endpoint: [API], tlsEndpoint: [API] }, 'named twice'],
  [{ endpoint: ['api.github.com:443'], tlsEndpoint: [] }, 'rule github_api'],
  [{ node: 'node' }, 'absolute'],
  [{ endpoint: ['localhost:8080'] }, 'localhost:8080 all the same: localhost resolves to 127.0.0.1'],
  [{ endpoint: ['127.0.0.1:8080'] }, 'is loopback'],
  [{ endpoint: ['[::1]:8080'] }, 'is loopback'],
  [{ endpoint: ['169.254.169.254:80'] }, 'link-local'],
  [{ endpoint: ['api.team.svc:6443'] }, 'port 6443 belongs to a control plane'],
])('%j is refused with a sentence', (wrong, says) => {
  expect(() => withControlPlane(IMAGE, { ...OPTIONS, ...wrong })).toThrow(says)
})

test('an endpoint of a rule with several ports, or in other letters, is the same endpoint', () => {
  const rule = `network_policies: { theirs: { endpoints: [{ host: API.team.svc, ports: [80, 8000] }] } }`
  expect(() => withControlPlane(`version: 1\n${rule}\n`, OPTIONS)).toThrow('the rule theirs')
})

test.each(['version: 1', 'version: 1\nnetwork_policies:', 'version: 1\nnetwork_policies: {}'])(
  'a policy without rules gets one: %j',
  (text) => {
    expect(Object.keys(read(withControlPlane(`${text}\n`, OPTIONS)).network_policies)).toEqual([
      'control_plane',
    ])
  },
)

test('addresses are endpoints too', () => {
  const made = read(withControlPlane(IMAGE, { ...OPTIONS, endpoint: ['10.0.0.7:8080', '[fd00::7]:8080'] }))
  expect(made.network_policies['control_plane']?.endpoints.map(({ host }) => host)).toEqual([
    '10.0.0.7',
    'fd00::7',
    'api.team.svc',
  ])
})

const given = (...endpoints: string[]): readonly string[] => {
  const command = forControlPlaneCommand('policy.yaml').configureOutput({ writeErr: () => undefined })
  command
    .action(() => undefined)
    .parse(
      endpoints.flatMap((one) => ['--endpoint', one]),
      { from: 'user' },
    )
  return command.getOptionValue('endpoint')
}

test('an endpoint is one, however it is spelled', () => {
  expect(given('API.Team.svc:8000', 'api:0080', '[FD00::7]:1')).toEqual([
    'api.team.svc:8000',
    'api:80',
    '[fd00::7]:1',
  ])
})

test.each([
  'https://api.team.svc:8000',
  'api.team.svc:443/grpc',
  '*.team.svc:8000',
  'api.team.svc.:8000',
  '.svc:1',
  'a..b:1',
  'api.team.svc',
  'api:0',
  'api:65536',
  'fd00::7:80',
  ' api:80',
  '',
])('%j is no endpoint', (text) => {
  expect(() => given(text)).toThrow(CommanderError)
})

test('a policy that has the rule already, or is none, is not begun with', () => {
  expect(() =>
    withControlPlane(withControlPlane(IMAGE, OPTIONS), { ...OPTIONS, endpoint: ['x.y:1'], tlsEndpoint: [] }),
  ).toThrow('already')
  expect(() => withControlPlane('version: 1\nnetwork: {}\n', OPTIONS)).toThrow('OpenShell would refuse it')
})
