// A launch from nothing to nothing, and what each failure of the platform's table leaves (control-plane.md 3.8). Commands and
// ports are real; the gateway is made of the facts.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { ProviderPlan } from '../../src/openshell/sandbox-plan.ts'
import { type OpenShellBench, openShellBench } from '../support/openshell-launch.ts'

let bench: OpenShellBench | undefined
afterEach(async () => {
  await bench?.close()
  bench = undefined
})

const GITHUB: ProviderPlan = {
  ...{ name: 'box-github', type: 'github', credentials: ['GITHUB_TOKEN'], config: {} },
  refresh: undefined,
}
const VERTEX: ProviderPlan = {
  ...{ name: 'box-vertex', type: 'google-vertex-ai', credentials: ['GOOGLE_SERVICE_ACCOUNT_KEY'] },
  config: { VERTEX_AI_REGION: 'us-east5' },
  refresh: {
    ...{ credential: 'GOOGLE_VERTEX_AI_SERVICE_ACCOUNT_TOKEN', strategy: 5 },
    ...{ material: ['client_email', 'private_key'], secretMaterial: ['private_key'] },
  },
}
const ANTHROPIC: ProviderPlan = {
  ...{ name: 'agui-runner-anthropic', type: 'anthropic', credentials: ['ANTHROPIC_API_KEY'], config: {} },
  refresh: undefined,
}
const SECRETS = {
  'box-github': { credentials: { GITHUB_TOKEN: 'ghp_secret-1' }, material: {} },
  'box-vertex': {
    credentials: { GOOGLE_SERVICE_ACCOUNT_KEY: '{"secret":2}' },
    material: { client_email: 'a@b', private_key: 'secret-3' },
  },
  'agui-runner-anthropic': { credentials: { ANTHROPIC_API_KEY: 'sk-secret-4' }, material: {} },
}
const RULE = { name: 'web', endpoints: [{ host: 'example.com', port: 443, ports: [443] }], binaries: [] }

describe.each(['0.0', '0.1'] as const)('a gateway of %s', (protocol) => {
  test('everything is made, the runner answers through the forward, and nothing is left', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'agui-openshell-test-'))
    try {
      const source = join(folder, 'source')
      mkdirSync(join(source, 'deep'), { recursive: true })
      // More than one request carries.
      const large = 'x'.repeat(2_000_000)
      writeFileSync(join(source, 'deep', 'large.txt'), large)
      bench = await openShellBench({ protocol, hasRunner: true })
      const { server } = bench
      const launched = await bench.launch({
        plan: {
          providers: [GITHUB, VERTEX],
          inference:
            protocol === '0.0' ? { provider: ANTHROPIC, model: 'm-1', isVerified: false } : undefined,
          rules: { web: RULE },
          uploads: [{ source, target: join(folder, 'target') }],
        },
        secrets: SECRETS,
      })
      const box = server.sandboxes.get('box')
      expect(box?.labels).toEqual({ 'agui-runner.sandbox': 'box', 'agui-runner.run': 'run-1' })
      expect(box?.spec.providers).toEqual(['box-github', 'box-vertex'])
      expect(box?.rules['web']?.endpoints?.[0]?.host).toBe('example.com')
      expect(server.providers.get('box-github')?.credentials).toEqual({ GITHUB_TOKEN: 'ghp_secret-1' })
      expect(server.providers.get('box-vertex')?.refresh).toEqual({
        strategy: 5,
        material: { client_email: 'a@b', private_key: 'secret-3' },
        secret: ['private_key'],
      })
      if (protocol === '0.0') {
        expect(server.route).toEqual({ provider: 'agui-runner-anthropic', model: 'm-1', noVerify: true })
        expect(server.hasProfiles).toBe(true)
      }
      expect(readFileSync(join(folder, 'target', 'deep', 'large.txt'), 'utf8')).toBe(large)
      const environment = await (await fetch(`${launched.address}/env`)).json()
      expect(environment).toMatchObject(box?.spec.environment ?? {})
      expect(environment).not.toHaveProperty('IS_RESUME')
      // Every call says its workspace in this gateway's own way, but those that go by a token or the whole gateway.
      const silent = server.calls.filter(({ workspace }) => workspace !== 'team').map(({ method }) => method)
      const byId = protocol === '0.0' ? ['CreateSshSession', 'ExecSandbox'] : []
      const global = ['ForwardTcp', 'GetGatewayConfig', 'Health', 'RevokeSshSession', 'UpdateConfig', ...byId]
      expect(global).toEqual(expect.arrayContaining([...new Set(silent)]))

      expect(await launched.close()).toEqual({ state: 'deleted', sentence: 'The sandbox box is deleted.' })
      expect(server.leftovers).toEqual([])
      await server.until(() => server.commands.running === 0)
      expect([...server.sshTokens.keys()]).toEqual([])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('more connections than a token allows, each with its answer', async () => {
    bench = await openShellBench({ protocol })
    const { address } = await bench.launch()
    const answers = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(address)).status))
    expect(answers).toEqual(Array.from({ length: 8 }, () => 200))
  })
})

test('a socket in the place of a port is its user’s alone, and goes with the launch; one that is there is refused', async () => {
  bench = await openShellBench()
  const folder = mkdtempSync(join(tmpdir(), 'agui-openshell-test-'))
  const listen = join(folder, 'runner.sock')
  const forward = { port: 8001, listen }
  const launched = await bench.launch({ plan: { forward } })
  expect(launched.address).toBe(listen)
  expect(statSync(listen).mode & 0o777).toBe(0o600)
  await expect(bench.launch({ plan: { name: 'box-2', forward } })).rejects.toThrow(
    /^--listen .*runner\.sock: .*EADDRINUSE.*\. The sandbox box-2 is deleted\.$/,
  )
  await launched.close()
  expect(existsSync(listen)).toBe(false)
  rmSync(folder, { recursive: true, force: true })
})

test.each([false, true])(
  'a command’s stream that is cut again and again (without a word: %s); its exit code is heard all the same',
  async (isQuietCut) => {
    bench = await openShellBench({ hasRunner: true })
    const { server } = bench
    Object.assign(server.faults, { cuts: 3, isQuietCut })
    const launched = await bench.launch()
    await server.until(() => server.commands.output.match(/attached/g)?.length === 3)
    await fetch(`${launched.address}/exit/3`)
    expect(await launched.ended).toEqual({ code: 3 })
    expect(await launched.close()).toMatchObject({ state: 'deleted' })
  },
)

test('a stream that breaks more often than it is begun again: the session’s state is said', async () => {
  bench = await openShellBench()
  const { server } = bench
  const launched = await bench.launch()
  server.faults.refuse = (method) =>
    method === 'ExecSandbox' ? { code: status.UNAVAILABLE, details: 'supervisor relay failed' } : undefined
  server.commands.cutStreams()
  expect(await launched.ended).toMatchObject({
    failure: { message: expect.stringContaining('supervisor relay failed') },
  })
  expect(server.count('ExecSandbox')).toBe(1 + 5)
  expect(await launched.close()).toMatchObject({ state: 'deleted' })
})

test('a sandbox that was there before is gone on with, and left', async () => {
  bench = await openShellBench({ hasRunner: true })
  const first = await bench.launch({ plan: { onEnd: 'stop' } })
  expect(await first.close()).toMatchObject({ state: 'stopped' })
  expect(bench.server.sandboxes.get('box')?.phase).toBe('STOPPED')

  const second = await bench.launch({ run: 'run-2', plan: { uploads: [{ source: '/', target: '/x' }] } })
  expect(bench.said).toEqual(
    expect.arrayContaining(['found box', 'nothing is uploaded into a sandbox that was there before']),
  )
  expect(await (await fetch(`${second.address}/env`)).json()).toMatchObject({ IS_RESUME: 'true' })
  expect(await second.close()).toEqual({
    state: 'left',
    sentence: 'The sandbox box stays, READY; `agui-runner openshell stop box` removes it.',
  })
})

/** What the gateway refuses, how the sentence begins, and what is left of it. */
const FAILURES = [
  [
    'UpdateConfig',
    status.PERMISSION_DENIED,
    'admin is needed',
    /^UpdateConfig failed \(PERMISSION_DENIED\): admin is needed; ask for the role/,
  ],
  [
    'CreateProvider',
    status.INVALID_ARGUMENT,
    'unknown type',
    /^CreateProvider failed \(INVALID_ARGUMENT\): unknown type\. Nothing/,
  ],
  ['ConfigureProviderRefresh', status.INVALID_ARGUMENT, 'no such key', /^ConfigureProviderRefresh failed/],
  [
    'SetInferenceRoute',
    status.FAILED_PRECONDITION,
    'upstream said 401',
    /^SetInferenceRoute failed .*: upstream said 401\. Nothing/,
  ],
  [
    'CreateSandbox',
    status.RESOURCE_EXHAUSTED,
    'quota reached',
    /^CreateSandbox failed \(RESOURCE_EXHAUSTED\): quota reached; .* Nothing of it is left/,
  ],
  [
    'CreateSandbox',
    status.UNAVAILABLE,
    'starting',
    /^CreateSandbox failed \(UNAVAILABLE\): starting; see whether the gateway runs/,
  ],
  [
    'ExecSandbox',
    status.INVALID_ARGUMENT,
    'no such command',
    /^ExecSandbox failed .*: no such command\. The sandbox box is deleted\.$/,
  ],
  [
    'ExecSandbox',
    status.UNAVAILABLE,
    'supervisor relay failed',
    /^ExecSandbox failed \(UNAVAILABLE\): supervisor relay failed; .* The sandbox box is deleted\.$/,
  ],
  [
    'ExecSandbox',
    status.NOT_FOUND,
    'sandbox not found',
    /^The sandbox box is gone\. The sandbox box is deleted\.$/,
  ],
] as const

test.each(FAILURES)(
  '%s refused (%i, %s): one sentence, and nothing is left',
  async (method, code, details, sentence) => {
    bench = await openShellBench({ hasRunner: method === 'ExecSandbox' })
    const { server } = bench
    server.faults.refuse = (name) => (name === method ? { code, details } : undefined)
    const launch = bench.launch({
      plan: {
        providers: [GITHUB, VERTEX],
        inference: { provider: ANTHROPIC, model: 'm', isVerified: true },
        rules: {},
      },
      secrets: SECRETS,
    })
    const error: unknown = await launch.catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'sandbox_failed', message: expect.stringMatching(sentence) })
    expect(String(error)).not.toContain('secret')
    expect(server.leftovers).toEqual([])
    expect(server.commands.running).toBe(0)
  },
)

test('a policy that is refused: the sandbox that was made for it is gone', async () => {
  bench = await openShellBench()
  const { server } = bench
  const details = 'endpoint example.com:443 is ambiguous'
  server.faults.refuse = (name) =>
    name === 'UpdateConfig' ? { code: status.INVALID_ARGUMENT, details } : undefined
  await expect(bench.launch({ plan: { rules: { web: RULE } } })).rejects.toThrow(
    `UpdateConfig failed (INVALID_ARGUMENT): ${details}. The sandbox box is deleted.`,
  )
  expect(server.leftovers).toEqual([])
})

test.each([
  [['PROVISIONING', 'ERROR', 'ERROR', 'PROVISIONING', 'READY'], undefined],
  [['ERROR'], /^The sandbox box is ERROR \(Failed: no such image\)\. The sandbox box is deleted\.$/],
  [['PROVISIONING'], /^The sandbox box is not ready after 0 seconds; it is PROVISIONING/],
  [['DELETING'], /^The sandbox box is being deleted/],
  [['COMPLETED'], /^The sandbox box has ended by itself/],
] as const)('phases %j', async (phases, sentence) => {
  bench = await openShellBench()
  const { server } = bench
  server.faults.phases = [...phases]
  server.faults.refuse = (method) => {
    const box = server.sandboxes.get('box')
    if (method === 'GetSandbox' && box !== undefined) box.message = 'no such image'
    return undefined
  }
  const pace = { sandbox: { look: 5, ready: 400, error: 60, gone: 2000 } }
  if (sentence === undefined) await bench.launch()
  else await expect(bench.launch({ pace })).rejects.toThrow(sentence)
  if (sentence !== undefined) expect(server.leftovers).toEqual([])
})

test('an upload that the sandbox refuses, and one whose stream breaks', async () => {
  bench = await openShellBench()
  const { server } = bench
  const uploads = [{ source: 'package.json', target: '/proc/nowhere' }]
  await expect(bench.launch({ plan: { uploads } })).rejects.toThrow(
    /^The upload of package\.json ended with 1 in the sandbox: .*\/proc\/nowhere.*\. The sandbox box is deleted\.$/s,
  )
  await expect(
    bench.launch({ plan: { uploads: [{ source: '/no/such', target: '/tmp/x' }] } }),
  ).rejects.toThrow(/^\/no\/such cannot be uploaded: ENOENT/)
  const folder = mkdtempSync(join(tmpdir(), 'agui-openshell-test-'))
  server.faults.refuse = (method, nth) =>
    method === 'ExecSandbox' && nth % 2 === 0 ? { code: status.UNAVAILABLE, details: 'relay' } : undefined
  await bench.launch({ plan: { uploads: [{ source: 'package.json', target: folder }] } })
  expect(readFileSync(join(folder, 'package.json'), 'utf8')).toBe(readFileSync('package.json', 'utf8'))
  rmSync(folder, { recursive: true, force: true })
})

test('the answer to the making is lost: what was made is found, used and removed', async () => {
  bench = await openShellBench()
  const { server } = bench
  server.faults.loseAnswer = (method, nth) =>
    nth === 1 && method.startsWith('Create') ? { code: status.UNAVAILABLE, details: 'gone' } : undefined
  const launched = await bench.launch({ plan: { providers: [GITHUB] }, secrets: SECRETS })
  expect(await launched.close()).toMatchObject({ state: 'deleted' })
  expect(server.leftovers).toEqual([])
})

test('the answer to each call is lost once: nothing is done otherwise', async () => {
  bench = await openShellBench()
  const { server } = bench
  const lost = new Set<string>()
  server.faults.loseAnswer = (method) => {
    if (lost.has(method) || method === 'ForwardTcp') return undefined
    lost.add(method)
    return { code: status.UNAVAILABLE, details: 'gone' }
  }
  const inference = { provider: ANTHROPIC, model: 'm', isVerified: false }
  const plan = { providers: [GITHUB, VERTEX], inference, rules: { web: RULE } }
  const first = await bench.launch({ plan: { ...plan, onEnd: 'stop' }, secrets: SECRETS })
  expect(await first.close()).toMatchObject({ state: 'stopped' })
  const second = await bench.launch({ plan: { ...plan, onEnd: 'delete' }, secrets: SECRETS })
  expect(await second.close()).toMatchObject({ state: 'deleted' })
  expect(server.leftovers).toEqual([])
  expect([...lost].sort()).toEqual([
    ...['ConfigureProviderRefresh', 'CreateProvider', 'CreateSandbox', 'CreateSshSession', 'DeleteProvider'],
    ...['DeleteSandbox', 'GetGatewayConfig', 'GetInferenceRoute', 'GetProvider', 'GetSandbox', 'Health'],
    ...['ListProviders', 'RevokeSshSession', 'RotateProviderCredential', 'SetInferenceRoute', 'StartSandbox'],
    ...['StopSandbox', 'UpdateConfig', 'UpdateProvider'],
  ])
})

test('one that is stopped already is stopped', async () => {
  bench = await openShellBench()
  const { server } = bench
  const launched = await bench.launch({ plan: { onEnd: 'stop' } })
  const box = server.sandboxes.get('box')
  if (box !== undefined) box.phase = 'STOPPED'
  expect(await launched.close()).toMatchObject({ state: 'stopped' })
})

test('the gateway dies while the sandbox is made: what is left is not known, and is said so', async () => {
  bench = await openShellBench()
  const { server } = bench
  server.faults.refuse = (method) =>
    method === 'Health' ? undefined : { code: status.UNAVAILABLE, details: 'down' }
  await expect(bench.launch()).rejects.toThrow(
    /^CreateSandbox failed .* What is left at the gateway is not known \(GetSandbox failed .*\); `agui-runner openshell stop box` removes it\.$/,
  )
})

test('a name or a provider that somebody else has is left as it is', async () => {
  bench = await openShellBench()
  const { server } = bench
  const theirs = {
    id: 'i',
    name: 'box',
    labels: {},
    spec: {},
    phase: 'READY' as const,
    message: '',
    rules: {},
  }
  server.sandboxes.set('box', theirs)
  await expect(bench.launch({ plan: { providers: [GITHUB] }, secrets: SECRETS })).rejects.toThrow(
    'The name box is taken by a sandbox that no launch of agui-runner made; choose another. Nothing of it is left at the gateway.',
  )
  expect([...server.sandboxes.keys()]).toEqual(['box'])
  expect(server.providers.size).toBe(0)

  server.sandboxes.clear()
  const provider = {
    metadata: { id: 'p', name: 'box-github', labels: {} },
    type: 'github',
    credentials: {},
    config: {},
  }
  server.providers.set('box-github', provider)
  await expect(bench.launch({ plan: { providers: [GITHUB] }, secrets: SECRETS })).rejects.toThrow(
    'The provider box-github is there, and no launch of agui-runner made it.',
  )
  expect(provider.credentials).toEqual({})
})

test('a credential that cannot be fetched yet is said, and hinders nothing', async () => {
  bench = await openShellBench()
  bench.server.faults.rotateFails = true
  await bench.launch({ plan: { providers: [VERTEX] }, secrets: SECRETS })
  expect(bench.said.join('\n')).toMatch(/box-vertex has no credential yet: .*token host said no/)
})

test('the workspace’s model changes under its other sandboxes: that is said', async () => {
  bench = await openShellBench()
  bench.server.route = { provider: 'theirs', model: 'm-0', noVerify: false }
  const inference = { provider: ANTHROPIC, model: 'm-1', isVerified: true }
  await bench.launch({ plan: { inference }, secrets: SECRETS })
  expect(bench.said).toContain(
    'the model of this workspace was m-0 by theirs and is m-1 by agui-runner-anthropic, for all of its sandboxes',
  )
})

test('no route is made where there are none', async () => {
  bench = await openShellBench({ protocol: '0.1' })
  const inference = { provider: ANTHROPIC, model: 'm-1', isVerified: true }
  await expect(bench.launch({ plan: { inference }, secrets: SECRETS })).rejects.toThrow(
    /^This gateway has no routes to a model \(OpenShell 0\.1\): .* Nothing of it is left/,
  )
  expect(bench.server.providers.size).toBe(0)
})

test('a runner that ends before it answers', async () => {
  bench = await openShellBench({ hasRunner: true })
  await expect(bench.launch({ plan: { command: ['/bin/sh', '-c', 'exit 7'] } })).rejects.toThrow(
    '/bin/sh ended with 7 before it answered. The sandbox box is deleted.',
  )
})

test('a runner that never answers', async () => {
  bench = await openShellBench({ hasRunner: true })
  await expect(bench.launch({ plan: { command: ['sleep', '600'] }, pace: { health: 300 } })).rejects.toThrow(
    /^The runner does not answer GET \/health after 0 seconds\. The sandbox box is deleted\.$/,
  )
  await bench.server.until(() => bench?.server.commands.running === 0)
})

test('a launch that is stopped on its way leaves nothing', async () => {
  bench = await openShellBench()
  const { server } = bench
  server.faults.phases = ['PROVISIONING']
  const stop = new AbortController()
  const launch = bench.launch({ signal: stop.signal, plan: { providers: [GITHUB] }, secrets: SECRETS })
  launch.catch(() => undefined)
  await server.until(() => server.count('GetSandbox') === 1)
  stop.abort()
  await expect(launch).rejects.toThrow('The launch was stopped. The sandbox box is deleted.')
  expect(server.leftovers).toEqual([])
})

test('a gateway that is older than the launcher knows', async () => {
  bench = await openShellBench({ version: '0.0.87' })
  await expect(bench.gateway()).rejects.toThrow(
    'The gateway is OpenShell 0.0.87; this launcher knows 0.0.88 to 0.1.5.',
  )
})
