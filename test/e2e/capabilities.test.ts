import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { type Bench, openBench } from '../support/runner.ts'

/** Each thing that is declared, and the test that proves it. */
const PROOFS: Record<string, string> = {
  'transport.streaming': 'a run answers with the events of the real Claude Code',
  'transport.websocket': 'WebSocket',
  'transport.httpBinary': 'protobuf is sent only when Accept names it',
  'tools.supported': 'tools run and their results are told',
  'tools.parallelCalls': 'all ids are pending, and all results come in one POST',
  'tools.clientProvided': 'a call of the client’s tool ends the run with the call pending',
  'output.structuredOutput': 'an output schema gives the run a result of its shape',
  'state.snapshots': 'the model may replace the state',
  'multiAgent.supported': 'subagent',
  'multiAgent.delegation': 'subagent',
  'reasoning.supported': "AG-UI's own client runs against the server",
  'reasoning.streaming': "AG-UI's own client runs against the server",
  'reasoning.encrypted': 'reasoning',
  'multimodal.input.image': 'image',
  'multimodal.input.pdf': 'document',
  'execution.codeExecution': 'tools run and their results are told',
  'humanInTheLoop.supported': 'what no rule allows waits for a person',
  'humanInTheLoop.approvals': 'what no rule allows waits for a person',
  'humanInTheLoop.interrupts': 'the interrupt and the resume',
  'humanInTheLoop.approveWithEdits': 'edited arguments run and are shown',
  'humanInTheLoop.interventions': 'steer',
  'humanInTheLoop.feedback': 'feedback',
}

let bench: Bench
afterEach(() => bench.close())

function declared(value: unknown, path = ''): string[] {
  if (value === true) return [path]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  return Object.entries(value).flatMap(([key, member]) =>
    declared(member, path === '' ? key : `${path}.${key}`),
  )
}

const GROUPS = /^(transport|tools|output|state|multiAgent|reasoning|multimodal|execution|humanInTheLoop)\./

test('every capability that is declared has a test that proves it', async () => {
  bench = await openBench()
  const { url } = await bench.open({ PERMISSION_MODE: 'ask' })
  const capabilities = await (await fetch(`${url}/capabilities`)).json()
  const titles = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.includes('capabilities'))
    .map((file) => readFileSync(`test/${file}`, 'utf8'))
    .join('\n')
  const claims = declared(capabilities).filter(
    (claim) => GROUPS.test(claim) && claim !== 'execution.sandboxed',
  )
  expect(claims.length).toBeGreaterThan(15)
  for (const claim of claims) {
    expect(PROOFS[claim], `${claim} is declared and nothing proves it`).toBeDefined()
    expect(titles, `${claim}: no test says “${PROOFS[claim]}”`).toContain(PROOFS[claim])
  }
})

test('where Claude Code never asks, approvals are not declared', async () => {
  bench = await openBench()
  const { url } = await bench.open()
  const { humanInTheLoop, execution } = (await (await fetch(`${url}/agui/capabilities`)).json()) as Record<
    string,
    unknown
  >
  expect(humanInTheLoop).toMatchObject({ approvals: false, interrupts: false })
  expect(execution).toMatchObject({ sandboxed: true })
})
