import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Bench, openBench } from '../support/runner.ts'

interface Finding {
  name: string
  ok: boolean
  says: string
  facts?: Record<string, unknown>
}

const KEY = 'sk-ant-api03-not-a-real-key-0123456789'

let bench: Bench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

/** Runs `doctor --json` on the bench's folders and gateway. */
async function examine(env: Record<string, string> = {}): Promise<{
  code: number | string
  ok: boolean
  printed: string
  of(name: string): Finding
}> {
  const doctor = bench.spawn(env, ['doctor', '--json'])
  const line = await Promise.race([
    doctor.line((said) => 'findings' in said),
    doctor.exited.then((code) => {
      throw new Error(`doctor ended (${code}) without a word: ${doctor.stderr()}`)
    }),
  ])
  const findings = line['findings'] as Finding[]
  return {
    code: await doctor.exited,
    ok: line['ok'] === true,
    printed: doctor.stderr(),
    of(name) {
      const finding = findings.find((other) => other.name === name)
      if (finding === undefined) throw new Error(`nothing about ${name} in ${JSON.stringify(findings)}`)
      return finding
    },
  }
}

test('where a run would work it says by what, leaves nothing behind, and exits with 0', async () => {
  const { code, ok, of } = await examine()
  expect({ code, ok }).toEqual({ code: 0, ok: true })
  expect(of('model route').facts).toMatchObject({
    kind: 'gateway',
    baseUrl: 'https://inference.local',
    proxyUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/),
    caFile: expect.any(String),
    credential: 'placeholder',
  })
  expect(of('model answers').says).toMatch(/^yes, in \d+ ms$/)
  expect(of('claude code starts').facts?.['version']).toMatch(/^\d+\.\d+\.\d+/)
  expect(of('policy')).toMatchObject({ ok: true, says: expect.stringContaining('valid') })
  expect(of('enforcement').facts).toMatchObject({ backend: 'openshell' })
  expect(of('permission mode').facts).toEqual({ mode: 'never-ask', asked: 'auto' })
  expect(existsSync(bench.state)).toBe(false)
  expect(readdirSync(bench.directory).filter((name) => name.startsWith('agui-runner-doctor-'))).toEqual([])
})

test('for a person it prints a line for each, and the verdict', async () => {
  const doctor = bench.spawn({}, ['doctor'])
  expect(await doctor.exited).toBe(0)
  const printed = doctor.stderr()
  expect(printed).toContain('ok   model route')
  expect(printed).toContain('A run would work.')
})

test('without enforcement it says so, and that the mode is to ask', async () => {
  const { code, of } = await examine({ OPENSHELL_SANDBOX: '', POLICY_ENFORCEMENT: 'off' })
  expect(code).toBe(0)
  expect(of('enforcement').says).toMatch(/^Policy not enforced: POLICY_ENFORCEMENT=off$/)
  expect(of('permission mode').facts).toEqual({ mode: 'ask', asked: 'auto' })
})

test('whatever keeps a run from working is named, and the exit code is 1', async () => {
  const policy = join(bench.directory, 'policy.yaml')
  writeFileSync(policy, 'version: 2\nnetwork_policies: 7\n')
  const { code, ok, of } = await examine({
    ACP_OPENSHELL_INFERENCE: '',
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
    CLAUDE_CLI_PATH: '/nowhere/claude',
    POLICY_FILE: policy,
    WORKSPACE_PATH: '/proc/nowhere',
    HOME: '/nowhere',
    OPENSHELL_SANDBOX: '',
    POLICY_ENFORCEMENT: 'off',
    PERMISSION_MODE: 'never-ask',
  })
  expect({ code, ok }).toEqual({ code: 1, ok: false })
  expect(of('model answers')).toMatchObject({ ok: false, says: expect.stringContaining('127.0.0.1:9') })
  expect(of('claude code')).toMatchObject({ ok: false, says: expect.stringContaining('/nowhere/claude') })
  // Nobody reads it while enforcement is off; it is told all the same.
  expect(of('policy')).toMatchObject({ ok: true, says: expect.stringContaining('policy.yaml:2:') })
  expect(of('workspace').ok).toBe(false)
  expect(of('home').ok).toBe(false)
  expect(of('permission mode')).toMatchObject({ ok: false, says: expect.stringContaining('PERMISSION_MODE') })
})

test('an invalid policy that is to be enforced is a failure', async () => {
  const policy = join(bench.directory, 'policy.yaml')
  writeFileSync(policy, 'version: 1\nnetwork_policies: 7\n')
  const { code, of } = await examine({ POLICY_FILE: policy })
  expect(code).toBe(1)
  expect(of('policy').ok).toBe(false)
})

test('a wrong environment is told by its variables', async () => {
  const { code, of } = await examine({ AGUI_PORT: 'ninety', PERMISSION_MODE: 'yolo' })
  expect(code).toBe(1)
  expect(of('configuration').says).toMatch(/AGUI_PORT[\s\S]*PERMISSION_MODE/)
})

test('no secret is printed, wherever it stands', async () => {
  const { printed, of } = await examine({
    ACP_OPENSHELL_INFERENCE: '',
    ANTHROPIC_BASE_URL: 'http://user:hunter2-hunter2@127.0.0.1:9',
    ANTHROPIC_API_KEY: KEY,
    AGUI_TOKEN: 'the-runners-own-token',
    HTTPS_PROXY: 'http://proxy:another-password@127.0.0.1:9',
  })
  expect(of('model route').facts).toMatchObject({ kind: 'custom' })
  for (const secret of [KEY, 'hunter2', 'another-password', 'the-runners-own-token'])
    expect(printed).not.toContain(secret)
})

test('what is to be brought into the workspace is told by number, without an address', async () => {
  const url = 'https://someone:glpat-SecretOfTheDoctor@git.example.test/app.git'
  const { code, of, printed } = await examine({
    REPOS_JSON: JSON.stringify([{ url }]),
    ACTIVE_WORKFLOW_GIT_URL: url,
    SESSION_CONFIG_PATH: '/nowhere/session-config',
  })
  expect(code).toBe(0)
  expect(of('workspace setup')).toMatchObject({
    ok: true,
    says: expect.stringMatching(
      /^REPOS_JSON names 1\nACTIVE_WORKFLOW_GIT_URL names a workflow\ngit version /,
    ),
  })
  expect(of('session configuration').says).toContain('not used')
  expect(printed).not.toContain('SecretOfTheDoctor')
})
