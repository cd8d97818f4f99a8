// `agui-runner openshell` as it is started: the real runner in the sandbox, a launcher that is killed, and what is left of it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { parsePort } from '../../src/cli/openshell-gateway.ts'
import { checkPolicies, planSandbox } from '../../src/cli/openshell-plan.ts'
import { releaseOf } from '../../src/openshell/gateway-version.ts'
import { GatewayServer } from '../support/openshell-gateway.ts'
import { freePort } from '../support/ports.ts'

let folder = ''
let server: GatewayServer | undefined
const children = new Set<ChildProcess>()
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agui-openshell-test-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(async () => {
  for (const child of children)
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  children.clear()
  server?.close()
  server = undefined
})

const SECRET = 'sk-ant-very-secret-0001'

interface Started {
  child: ChildProcess
  /** The next line of stdout. */
  line(): Promise<string>
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>
}

function start(words: string[], env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, ['dist/main.js', 'openshell', ...words], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      OPENSHELL_GATEWAY_ENDPOINT: server?.url ?? '',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    child,
    line: async () => String((await lines.next()).value),
    ended: once(child, 'close').then(([code]) => ({ code, ...said })),
  }
}

const run = (...words: string[]) => start(words).ended

async function openServer(port = 1, version = '0.0.111'): Promise<GatewayServer> {
  server = new GatewayServer({ port, version })
  await server.open()
  return server
}

test('the real runner answers at the address; SIGTERM deletes the sandbox, and no secret is said', async () => {
  const port = await freePort()
  const gateway = await openServer(port)
  const [home, workspace] = [join(folder, 'home'), join(folder, 'workspace')]
  const env = [
    `HOME=${home}`,
    `RUNNER_STATE_DIR=${home}/state`,
    `WORKSPACE_PATH=${workspace}`,
    `AGUI_PORT=${port}`,
  ]
  const launch = start(
    [
      ...['launch', '--name', 'box', '--provider', 'anthropic', '--inference', 'anthropic', '--model', 'm-1'],
      ...['--no-verify', '--upload', `package.json:${workspace}`, ...env.flatMap((one) => ['--env', one])],
      ...['--', resolve('entrypoint.sh')],
    ],
    { ANTHROPIC_API_KEY: SECRET },
  )
  expect(JSON.parse(await launch.line())).toEqual({ msg: 'made', sandbox: 'box', phase: 'PROVISIONING' })
  const { address, ...launched } = JSON.parse(await launch.line())
  expect(launched).toEqual({ msg: 'launched', sandbox: 'box' })
  const health = await fetch(`${address}/health`)
  expect([health.status, await health.json()]).toEqual([200, expect.objectContaining({ status: 'healthy' })])
  const files = await (await fetch(`${address}/content/list?path=.`)).text()
  expect(files).toContain('"package.json"')
  expect(gateway.route).toMatchObject({ provider: 'agui-runner-anthropic', model: 'm-1', noVerify: true })
  expect([...gateway.providers.values()].map(({ type, credentials }) => [type, credentials])).toEqual([
    ['claude-code', { ANTHROPIC_API_KEY: SECRET }],
    ['anthropic', { ANTHROPIC_API_KEY: SECRET }],
  ])

  launch.child.kill('SIGTERM')
  expect(JSON.parse(await launch.line())).toEqual({ msg: 'ended', sandbox: 'box', state: 'deleted' })
  const { code, stdout, stderr } = await launch.ended
  expect(code).toBe(0)
  expect(stdout + stderr).not.toContain(SECRET)
  expect(gateway.leftovers).toEqual([])
  await gateway.until(() => gateway.commands.running === 0)
})

test('a launcher that is killed: what it left is told, used and removed', async () => {
  const gateway = await openServer()
  gateway.faults.phases = ['PROVISIONING']
  const launch = start(['launch', '--name', 'box', '--provider', 'github'], { GITHUB_TOKEN: 'ghp_secret' })
  expect(JSON.parse(await launch.line())).toMatchObject({ msg: 'made' })
  launch.child.kill('SIGKILL')
  await launch.ended
  expect(gateway.leftovers).toEqual(['box', 'box-github'])

  // Whoever of the five below looks first must not be the one for whom it is ready.
  gateway.faults.phases = []
  for (const sandbox of gateway.sandboxes.values()) sandbox.phase = 'READY'
  gateway.sandboxes.set('theirs', {
    id: 'x',
    name: 'theirs',
    labels: {},
    spec: {},
    phase: 'READY',
    message: '',
    rules: {},
  })
  const [list, exec, logs, absent, foreign] = await Promise.all([
    run('stop'),
    run('exec', 'box', '--', '/bin/sh', '-c', 'echo out; echo err >&2; exit 9'),
    run('logs', 'box', '--lines', '5'),
    run('exec', 'gone', '--', 'true'),
    run('stop', 'theirs'),
  ])
  expect(list).toMatchObject({ code: 0, stdout: expect.stringMatching(/^box \w+\n$/) })
  expect(exec).toEqual({ code: 9, stdout: 'out\n', stderr: 'err\n' })
  expect(logs).toMatchObject({
    code: 0,
    stdout: '2026-09-21T14:13:20.000Z supervisor INFO policy loaded for box\ufffd[2J\ufffd2027\n',
  })
  expect(absent).toMatchObject({
    code: 6,
    stderr: "agui-runner: There is no sandbox gone here, or it is somebody else's.\n",
  })
  expect(foreign).toMatchObject({
    code: 6,
    stderr: "agui-runner: The sandbox theirs is none of agui-runner's, and stays.\n",
  })

  const [kept, removed] = [await run('stop', 'box', '--keep'), await run('stop', 'box')]
  expect(JSON.parse(kept.stdout)).toEqual({ msg: 'ended', sandbox: 'box', state: 'stopped' })
  expect(JSON.parse(removed.stdout)).toEqual({ msg: 'ended', sandbox: 'box', state: 'deleted' })
  expect(gateway.leftovers).toEqual([])
  expect([...gateway.sandboxes.keys()]).toEqual(['theirs'])
})

test('a command that ends by itself: its code before it answered is a failed launch', async () => {
  const gateway = await openServer()
  const { code, stderr } = await run('launch', '--name', 'box', '--', '/bin/sh', '-c', 'echo why >&2; exit 7')
  expect(code).toBe(6)
  expect(stderr).toBe(
    'why\nagui-runner: /bin/sh ended with 7 before it answered. The sandbox box is deleted.\n',
  )
  expect(gateway.leftovers).toEqual([])
})

const POLICIES = {
  binding: 'credential_binding: { provider: p }',
  revisions:
    'protocol: mcp, enforcement: enforce, mcp: { versions: ["2025-11-25"] }, rules: [{ allow: { method: tools/call } }]',
  typo: 'protocol: rest, access: full, enforcement: enforced',
}
const policyFile = (name: keyof typeof POLICIES): string => {
  const file = join(folder, `${name}.yaml`)
  const endpoint = `{ host: a.example, port: 443, ${POLICIES[name]} }`
  const rule = `{ endpoints: [${endpoint}], binaries: [{ path: /usr/bin/git }] }`
  writeFileSync(file, `version: 1\nnetwork_policies:\n  a: ${rule}\n`)
  return file
}

test('a policy that the gateway’s release does not know is refused before anything is made', async () => {
  const gateway = await openServer(1, '0.0.95')
  const { code, stderr } = await run('launch', '--name', 'box', '--policy', policyFile('binding'))
  expect(code).toBe(2)
  expect(stderr).toMatch(/OpenShell 0\.0\.95 would refuse the policy:\n.*needs OpenShell 0\.0\.103/)
  expect(gateway.count('CreateSandbox')).toBe(0)
})

test.each([
  ['binding', '0.0.111', undefined],
  ['revisions', '0.0.111', 'mcp.versions needs OpenShell 0.1.0'],
  ['revisions', '0.1.5', undefined],
  ['typo', '0.0.111', undefined],
  ['typo', '0.1.0', 'enforced'],
] as const)('a policy with %s for %s', async (name, version, refusal) => {
  const flags = { ...FLAGS, policy: policyFile(name) }
  const { plan } = await planSandbox(flags, { command: [], env: {} })
  expect(plan.policy?.network_policies?.['a']?.endpoints).toHaveLength(1)
  const checked = checkPolicies(flags, releaseOf(version))
  if (refusal === undefined) await checked
  else await expect(checked).rejects.toThrow(refusal)
})

const FLAGS = {
  ...{ gateway: 'https://gateway:1', workspace: 'default', name: 'box', image: 'agui-runner:0.1.0', env: [] },
  ...{ provider: [], attach: [], verify: true, upload: [], listen: 0, port: 8001, onEnd: 'auto' as const },
}

test('the plan holds every name and no value of a credential, and equal flags give an equal plan', async () => {
  const key = JSON.stringify({ type: 'service_account', client_email: 'a@b', private_key: 'pk-very-secret' })
  const file = join(folder, 'google.json')
  writeFileSync(file, key)
  const env = {
    ...{ ANTHROPIC_API_KEY: SECRET, JIRA_TOKEN: 'jira-very-secret', JIRA_URL: 'https://jira.example' },
    ...{ GOOGLE_APPLICATION_CREDENTIALS: file, VERTEX_AI_PROJECT_ID: 'p-1' },
  }
  const flags = {
    ...FLAGS,
    provider: ['jira=JIRA_TOKEN,JIRA_URL', 'vertex'],
    inference: 'vertex',
    model: 'm',
  }
  const [first, second] = await Promise.all([1, 2].map(() => planSandbox(flags, { command: [], env })))
  expect(first).toEqual(second)
  const json = JSON.stringify(first?.plan)
  for (const secret of [SECRET, 'jira-very-secret', 'pk-very-secret']) expect(json).not.toContain(secret)
  expect(first?.plan).toMatchObject({
    command: ['/runner/entrypoint.sh'],
    environment: {
      ...{ ANTHROPIC_BASE_URL: 'https://inference.local', ANTHROPIC_API_KEY: 'notused' },
      ...{ CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1' },
    },
    providers: [
      { name: 'box-jira', type: 'generic', credentials: ['JIRA_TOKEN', 'JIRA_URL'] },
      { name: 'box-vertex', config: { VERTEX_AI_PROJECT_ID: 'p-1', VERTEX_AI_REGION: 'us-central1' } },
    ],
    inference: { provider: { name: 'agui-runner-google-vertex-ai', type: 'google-vertex-ai' }, model: 'm' },
  })
  expect(first?.secrets['box-jira']?.credentials).toEqual({
    ...{ JIRA_TOKEN: 'jira-very-secret', JIRA_URL: 'https://jira.example' },
  })
})

test('a folder may be written with the slash at its end', async () => {
  const flags = { ...FLAGS, upload: ['a:b:/tmp/', './x:/sandbox/workspace'] }
  const { plan } = await planSandbox(flags, { command: [], env: {} })
  expect(plan.uploads).toEqual([
    { source: 'a:b', target: '/tmp' },
    { source: './x', target: '/sandbox/workspace' },
  ])
})

test('wrong usage exits as it does of every command', () => {
  const { OPENSHELL_GATEWAY_ENDPOINT: _, ...env } = process.env
  const at = ['--gateway', 'http://127.0.0.1:9']
  for (const words of [
    ['stop'],
    ['launch', '--nope'],
    ['logs', 'x', ...at, '--level', 'loud'],
    ['exec', 'x', ...at],
  ])
    expect([
      words,
      spawnSync(process.execPath, ['dist/main.js', 'openshell', ...words], { env }).status,
    ]).toEqual([words, 2])
})

test.each(['0x50', '1e3', '', ' 80', '65536', '-1'])('%j is no port', (text) => {
  expect(() => parsePort(text)).toThrow('Give a port.')
})

test.each<[object, RegExp]>([
  [{ upload: ['x:/'] }, /upload: \/ is not a plain absolute path/],
  [{ provider: ['github'] }, /provider box-github: GITHUB_TOKEN is not set here/],
  [{ provider: ['git hub'] }, /no type of a provider/],
  [{ provider: ['cursor'] }, /provider box-cursor: name the variables/],
  [{ provider: ['vertex'] }, /GOOGLE_APPLICATION_CREDENTIALS and VERTEX_AI_PROJECT_ID are not both set/],
  [{ inference: 'github' }, /--inference github: no route is made of it/],
  [{ inference: 'anthropic' }, /inference: name the model/],
  [{ model: 'm' }, /--model and --inference-url belong to --inference/],
  [{ env: ['AGUI_TOKEN=very-secret-token'] }, /--env AGUI_TOKEN would be a credential/],
  [{ env: [`NOTE=${SECRET}`] }, /a credential would stand in the plan/],
  [{ env: ['NOTE'] }, /--env is NAME=VALUE/],
  [{ upload: ['x'] }, /--upload x: SOURCE:FOLDER/],
  [{ driverConfig: 'README.md' }, /README\.md is no JSON object/],
  [{ policy: '/no/such' }, /cannot read the policy \/no\/such/],
  [{ name: 'a-name-of-twenty-cha' }, /name: a-z, 0-9/],
])('%j is refused before any gateway is asked', async (flags, message) => {
  const env = { ANTHROPIC_API_KEY: SECRET }
  const planned = planSandbox({ ...FLAGS, ...flags }, { command: [], env })
  const error: unknown = await planned.catch((thrown: unknown) => thrown)
  expect(String(error)).toMatch(message)
  expect(String(error)).not.toContain('very-secret')
})
