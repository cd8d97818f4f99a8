// What OpenShell itself answered: its policy loader and its engine, built from their source (0.0.111 and seven commits), were
// asked about random policies and requests on 2026-11-28. Where nothing was asked, they refused the policy.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'
import type { Policy } from '../../src/policy/read/schema.ts'
import { readGraphql } from '../../src/policy/request/graphql.ts'
import { readJsonRpc } from '../../src/policy/request/json-rpc.ts'

const questionSchema = z.strictObject({
  host: z.string(),
  port: z.number(),
  binary: z.string(),
  ancestors: z.array(z.string()).optional(),
  resolved_ips: z.array(z.string()),
  method: z.string().optional(),
  path: z.string().optional(),
  body: z.string().optional(),
  verdict: z.enum(['allow', 'audit', 'deny']),
})
const seenSchema = z.strictObject({
  mode: z.enum(['typed', 'file']),
  policy: z.unknown(),
  asked: z.array(questionSchema).optional(),
})

const seen = readFileSync('test/fixtures/policy/seen.jsonl', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => seenSchema.parse(JSON.parse(line)))

/** As the egress proxy asks: of a body only when the policy says that it is to be read. */
function verdictOf(policy: Policy, question: z.infer<typeof questionSchema>): string {
  const { resolved_ips: addresses, body = '', verdict: _, ...rest } = question
  const request = { ...rest, addresses, ...(rest.method !== undefined && { isBodyUnread: true }) }
  const decision = decideEgress(policy, request)
  const { reading } = decision
  if (reading === undefined) return decision.verdict
  const bytes = Buffer.from(body)
  const { method = '', path: target = '' } = rest
  const read =
    reading.protocol === 'graphql'
      ? { graphql: readGraphql({ method, target, body: bytes }) }
      : { jsonRpc: readJsonRpc(bytes, { ...reading, isMcp: reading.protocol === 'mcp' }) }
  return decideEgress(policy, { ...request, isBodyUnread: false, ...read }).verdict
}

test('there are answers of every kind', () => {
  const verdicts = seen.flatMap(({ asked = [] }) => asked.map(({ verdict }) => verdict))
  expect(new Set(verdicts)).toEqual(new Set(['allow', 'audit', 'deny']))
  expect([seen.length, verdicts.length]).toEqual([130, 418])
})

test('every policy loads here that loads there, and every request gets the same answer', () => {
  for (const { mode, policy: source, asked } of seen) {
    const text = JSON.stringify(source)
    const { policy, problems } = parsePolicy(text, { file: 'p', mode })
    const said = problems.map(({ message }) => message).join('; ')
    expect(policy === undefined ? 'refused' : 'loaded', `${mode} ${text}: ${said}`).toBe(
      asked === undefined ? 'refused' : 'loaded',
    )
    if (policy === undefined) continue
    for (const question of asked ?? [])
      expect(verdictOf(policy, question), `${JSON.stringify(question)} by ${text}`).toBe(question.verdict)
  }
})
