// Our own policy.yaml: it loads without a word, and grants what docs/policy.md says and nothing else.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import { decideFile } from '../../src/policy/decide/file-access.ts'
import { formatProblem, parsePolicy } from '../../src/policy/read/load.ts'
import { policyOf } from './policy-source.ts'

const text = readFileSync('policy.yaml', 'utf8')
const policy = policyOf(text)
const NODE = '/usr/local/bin/node'
const CLAUDE = '/app/node_modules/@anthropic-ai/claude-agent-sdk-linux-x64/claude'

test.each(['typed', 'file'] as const)('it is clean for the %s loader', (mode) => {
  expect(parsePolicy(text, { file: 'policy.yaml', mode }).problems.map(formatProblem)).toEqual([])
})

test.each(['package_registry'])('the commented block %s is clean once it is used', (name) => {
  const lines = text.split('\n')
  const start = lines.indexOf(`  # ${name}:`)
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('  #'))
  expect(start).toBeGreaterThan(0)
  const block = lines.slice(start, end).map((line) => line.replace('  # ', '  '))
  const used = [...lines.slice(0, start), ...block, ...lines.slice(end)].join('\n')
  const { policy: parsed, problems } = parsePolicy(used, { file: 'policy.yaml' })
  expect(problems.map(formatProblem)).toEqual([])
  expect(Object.keys(parsed?.network_policies ?? {})).toContain(name)
})

test.each([
  ['/sandbox/.claude.json.lock', 'write', 'allow'],
  ['/sandbox/.runner/log/data.mdb', 'write', 'allow'],
  ['/sandbox/workspace/a.txt', 'write', 'allow'],
  ['/tmp/x', 'write', 'allow'],
  ['/dev/null', 'write', 'allow'],
  [NODE, 'exec', 'allow'],
  [CLAUDE, 'exec', 'allow'],
  ['/usr/local/bin/claude', 'exec', 'allow'],
  ['/runner/entrypoint.sh', 'exec', 'allow'],
  ['/etc/openshell-tls/openshell-ca.pem', 'read', 'allow'],
  [CLAUDE, 'write', 'deny'],
  [NODE, 'write', 'deny'],
  ['/etc/openshell/policy.yaml', 'write', 'deny'],
  ['/etc/claude-code/managed-settings.json', 'write', 'deny'],
  ['/app/dist/main.js', 'write', 'deny'],
  ['/app/policy.yaml', 'write', 'deny'],
  ['/runner/entrypoint.sh', 'write', 'deny'],
  ['/proc/1/mem', 'write', 'deny'],
  ['/root/.ssh/id_ed25519', 'read', 'deny'],
  ['/home/x', 'read', 'deny'],
  ['/var/run/secrets/token', 'read', 'deny'],
] as const)('%s, %s: %s', (path, op, verdict) => {
  expect(decideFile(policy, { path, op, workdir: '/' }).verdict).toBe(verdict)
})

describe('network', () => {
  const ask = (
    binary: string,
    host: string,
    method: string,
    path: string,
    ancestors: string[] = [],
  ): string => decideEgress(policy, { host, port: 443, binary, ancestors, method, path }).verdict

  test('git reads and does not push', () => {
    const git = '/usr/bin/git'
    const helper = '/usr/lib/git-core/git-remote-http'
    expect(ask(helper, 'github.com', 'GET', '/o/r.git/info/refs?service=git-upload-pack', [git])).toBe(
      'allow',
    )
    expect(ask(helper, 'github.com', 'POST', '/o/r/git-upload-pack', [git])).toBe('allow')
    expect(ask(helper, 'github.com', 'GET', '/o/r.git/info/refs?service=git-receive-pack', [git])).toBe(
      'deny',
    )
    expect(ask(helper, 'github.com', 'GET', '/o/r.git/info/refs', [git])).toBe('deny')
    expect(ask(helper, 'github.com', 'POST', '/o/r.git/git-receive-pack', [git])).toBe('deny')
    expect(ask(helper, 'github.com', 'GET', '/o/r/archive/main.tar.gz', [git])).toBe('deny')
    expect(ask(helper, 'gist.github.com', 'GET', '/o/r.git/info/refs?service=git-upload-pack', [git])).toBe(
      'deny',
    )
    expect(
      ask('/usr/bin/curl', 'github.com', 'GET', '/o/r/info/refs?service=git-upload-pack', [CLAUDE, NODE]),
    ).toBe('deny')
  })

  test('Claude Code and its children read the API and write nothing', () => {
    expect(ask(CLAUDE, 'api.github.com', 'GET', '/repos/o/r')).toBe('allow')
    expect(ask('/usr/bin/curl', 'api.github.com', 'GET', '/repos/o/r', ['/usr/bin/bash', CLAUDE, NODE])).toBe(
      'allow',
    )
    expect(ask(CLAUDE, 'api.github.com', 'POST', '/graphql')).toBe('deny')
    expect(ask(CLAUDE, 'api.github.com', 'DELETE', '/repos/o/r')).toBe('deny')
    expect(ask(NODE, 'api.github.com', 'GET', '/repos/o/r')).toBe('deny')
  })

  test('model traffic goes to inference.local and nowhere else', () => {
    expect(ask(CLAUDE, 'inference.local', 'POST', '/v1/messages')).toBe('allow')
    expect(ask(CLAUDE, 'api.anthropic.com', 'POST', '/v1/messages')).toBe('deny')
    expect(ask(CLAUDE, 'example.com', 'GET', '/')).toBe('deny')
  })
})
