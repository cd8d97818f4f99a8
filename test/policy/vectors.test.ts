// OpenShell's own behaviour as data: every vector names the Rust or Rego line behind it.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import { decideFile } from '../../src/policy/decide/file-access.ts'
import type { PolicyMode } from '../../src/policy/read/fields.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'
import { policyOf } from './policy-source.ts'

const base = { id: z.string(), policy: z.unknown(), why: z.string() }
const vectorSchema = z.discriminatedUnion('kind', [
  z.object({
    ...base,
    kind: z.literal('parse'),
    expect: z.enum(['accept', 'reject']),
    file_mode_expect: z.enum(['accept', 'reject']),
  }),
  z.object({
    ...base,
    kind: z.literal('egress'),
    expect: z.enum(['allow', 'deny']),
    stage: z.string(),
    logged: z.boolean().optional(),
    request: z.strictObject({
      host: z.string(),
      port: z.number(),
      binary: z.string(),
      ancestors: z.array(z.string()).optional(),
      resolved_ips: z.array(z.string()).optional(),
      hash: z.object({ first: z.string(), now: z.string() }).optional(),
      method: z.string().optional(),
      path: z.string().optional(),
      transport: z.enum(['connect', 'plain-http']).optional(),
    }),
  }),
  z.object({
    ...base,
    kind: z.literal('fs'),
    expect: z.enum(['allow', 'deny', 'reject']),
    request: z.strictObject({
      path: z.string(),
      op: z.enum(['read', 'write', 'exec', 'readdir', 'stat']),
      realpath: z.string().optional(),
      workdir: z.string().optional(),
      mode: z.enum(['gateway', 'file']).optional(),
      missing: z.array(z.string()).optional(),
      symlink_entries: z.array(z.string()).optional(),
    }),
  }),
])
type Vector = z.infer<typeof vectorSchema>

const vectors = z
  .array(vectorSchema)
  .parse(JSON.parse(readFileSync('test/fixtures/policy/vectors.json', 'utf8')))
const ofKind = <K extends Vector['kind']>(kind: K) =>
  vectors
    .filter((vector): vector is Extract<Vector, { kind: K }> => vector.kind === kind)
    .map((vector) => [vector.id, vector.why, vector] as const)

test('all 122 vectors are read', () => {
  expect(vectors).toHaveLength(122)
  expect([ofKind('parse'), ofKind('egress'), ofKind('fs')].map((list) => list.length)).toEqual([42, 56, 24])
})

const verdictOf = (policy: unknown, mode: PolicyMode): string =>
  // JSON is YAML.
  parsePolicy(JSON.stringify(policy), { file: 'vector', mode }).policy === undefined ? 'reject' : 'accept'

test.each(ofKind('parse'))('%s: %s', (_id, _why, vector) => {
  expect([verdictOf(vector.policy, 'typed'), verdictOf(vector.policy, 'file')]).toEqual([
    vector.expect,
    vector.file_mode_expect,
  ])
})

test.each(ofKind('egress'))('%s: %s', (_id, _why, vector) => {
  const { resolved_ips: addresses, ...request } = vector.request
  const decision = decideEgress(policyOf(vector.policy), { ...request, addresses })
  const verdict = vector.logged === true ? 'audit' : vector.expect
  expect([decision.verdict, decision.stage], decision.reason).toEqual([verdict, vector.stage])
})

test.each(ofKind('fs'))('%s: %s', (_id, _why, vector) => {
  const { mode, symlink_entries: symlinks, ...request } = vector.request
  const policy = policyOf(vector.policy, mode === 'file' ? 'file' : 'typed')
  const decision = decideFile(policy, { ...request, symlinks })
  const refusesStart = decision.reason.startsWith('the sandbox refuses to start')
  expect(refusesStart ? 'reject' : decision.verdict, decision.reason).toBe(vector.expect)
})
