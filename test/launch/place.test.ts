// What a launch finds out of its place: whose repository this is, and how far it may be opened.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { parseRunFlags } from '../../src/cli/run.ts'
import { repositoryAt } from '../../src/launch/checkout.ts'
import { ContainerIsolation } from '../../src/launch/container-place.ts'
import { Engine } from '../../src/launch/engine.ts'
import { openGatewayRelay } from '../../src/launch/gateway-relay.ts'
import { thisLauncher } from '../../src/launch/prepare.ts'
import { findRunFolders, makeRunFolder } from '../../src/launch/run-folder.ts'
import { sweep } from '../../src/launch/sweep.ts'
import { decideMode, type ModeRequest } from '../../src/launch/visibility.ts'
import { processOf } from '../../src/process-table.ts'
import { isRepositoryName } from '../../src/repository-name.ts'

const decide = (request: Partial<ModeRequest>) =>
  decideMode({
    ...{ wanted: 'auto', repository: undefined, eventJson: undefined, ask: () => Promise.resolve(undefined) },
    ...request,
  })

test.each([
  ['{"repository":{"visibility":"public","private":false}}', 'public'],
  ['{"repository":{"private":false}}', 'public'],
  ['{"repository":{"visibility":"public","private":true}}', 'private'],
  ['{"repository":{"visibility":"internal","private":true}}', 'private'],
  ['{"repository":{"visibility":"internal","private":false}}', 'private'],
  ['{"repository":{"private":true}}', 'private'],
  ['{"repository":{}}', 'private'],
  ['{"repository":{"full_name":"a/other","visibility":"public"}}', 'private'],
  ['{"repository":{"full_name":"A/B","visibility":"public"}}', 'public'],
  ['{"schedule":"0 0 * * *"}', 'private'],
  ['no json', 'private'],
  [undefined, 'private'],
] as const)('auto with the event %s is %s', async (eventJson, mode) => {
  expect((await decide({ eventJson, repository: 'a/b' })).mode).toBe(mode)
})

test.each([
  [undefined, 'no GITHUB_EVENT_PATH'],
  ['{"schedule":"0 0 * * *"}', 'the event is not about it'],
])('the reason says why the event %s did not help', async (eventJson, words) => {
  const reason = `the visibility of the repository is not known (${words}`
  expect((await decide({ eventJson })).reason).toBe(`${reason})`)
  expect((await decide({ eventJson, repository: 'a/b' })).reason).toBe(`${reason}, and GitHub did not say)`)
})

test('without an event GitHub is asked, once', async () => {
  const asked: string[] = []
  const ask = (answer: string) => (name: string) => {
    asked.push(name)
    return Promise.resolve(answer)
  }
  const publicly = ask('{"visibility":"public","private":false}')
  expect((await decide({ repository: 'a/b', ask: publicly })).mode).toBe('public')
  expect((await decide({ repository: 'a/b', ask: ask('{"private":true}') })).mode).toBe('private')
  expect((await decide({ ask: publicly })).mode).toBe('private')
  expect(asked).toEqual(['a/b', 'a/b'])
})

test('what is said counts, but an open network is for public repositories only', async () => {
  const eventJson = '{"repository":{"visibility":"public"}}'
  expect((await decide({ wanted: 'private', eventJson, repository: 'a/b' })).mode).toBe('private')
  expect((await decide({ wanted: 'public' })).mode).toBe('public')
  expect((await decide({ wanted: 'public', eventJson, repository: 'a/b' })).mode).toBe('public')
  await expect(decide({ wanted: 'public', repository: 'a/b' })).rejects.toThrow('not known')
  await expect(
    decide({ wanted: 'public', repository: 'a/b', eventJson: '{"repository":{"private":true}}' }),
  ).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringContaining('use --mode private') })
})

test.each([
  ['https://github.com/acme/app.git', 'acme/app'],
  ['https://github.com/acme/app/', 'acme/app'],
  ['https://x-access-token:t@github.com/acme/app', 'acme/app'],
  ['git@github.com:acme/app.git', 'acme/app'],
  ['ssh://git@github.com/acme/app', 'acme/app'],
  ['ssh://git@github.com:22/acme/app.git', 'acme/app'],
  ['https://github.com.evil.example/acme/app', undefined],
  ['https://github.com@evil.example/acme/app', undefined],
  ['https://github.com:8443/acme/app', undefined],
  ['git@evil.example:acme/app', undefined],
  ['https://github.com/acme/.github.git', 'acme/.github'],
  ['git@github.com:acme/-.git', 'acme/-'],
  ['https://github.com/acme', undefined],
  ['https://github.com/acme/app/extra', undefined],
  ['https://github.com/acme/..', undefined],
  ['https://github.com/acme/.git', undefined],
  ['/srv/git/acme/app', undefined],
  ['../app', undefined],
])('%s on GitHub is %s', (remote, name) => {
  expect(repositoryAt(remote, 'https://github.com')).toBe(name)
})

test.each(['app', '../..', 'acme/..', 'acme/app.git', 'acme/app/x', '-a/app', 'acme/a%70p', ''])(
  '%j names no repository',
  (name) => expect(isRepositoryName(name)).toBe(false),
)

test.each([
  ['feature/#42-größe', true],
  ['dependabot/npm_and_yarn/@types/node', true],
  ['main~1', false],
  ['a..b', false],
  ['--upload-pack=x', false],
])('--base %s is a branch: %s', (base, isBranch) => {
  const parsed = (): unknown => parseRunFlags(['--base', base], '0').base
  if (isBranch) expect(parsed()).toBe(base)
  else expect(parsed).toThrow('Give a branch.')
})

test('a server with a path of its own', () => {
  expect(repositoryAt('https://ghe.example/git/acme/app.git', 'https://ghe.example/git')).toBe('acme/app')
  expect(repositoryAt('https://ghe.example/acme/app.git', 'https://ghe.example/git')).toBeUndefined()
})

test('a run’s folder is there with its mark, or not at all; a taken name is said', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'agui-folders-'))
  const launcher = { pid: 4_194_305, started: '1', startedAt: new Date(0) }
  await makeRunFolder(parent, 'one', launcher)
  await expect(makeRunFolder(parent, 'one', launcher)).rejects.toMatchObject({
    code: 'sandbox_failed',
    message: expect.stringMatching(/agui-launch-one cannot be made: a run of that name is under way/),
  })
  expect(readdirSync(parent)).toEqual(['agui-launch-one'])
  await expect(makeRunFolder(join(parent, 'none'), 'two', launcher)).rejects.toThrow('ENOENT')
  expect(await findRunFolders(parent)).toMatchObject([{ run: 'one', pid: launcher.pid, startedAt: 0 }])
  rmSync(parent, { recursive: true })
})

test('a launch is swept when its launcher is dead, though its pid is another’s or nobody waits for it', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'agui-folders-'))
  const launcher = thisLauncher()
  await makeRunFolder(parent, 'living', launcher)
  await makeRunFolder(parent, 'another', { ...launcher, started: '1' })
  const careless = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'])
  const pid = Number(await once(careless.stdout, 'data'))
  await makeRunFolder(parent, 'zombie', { ...launcher, pid, started: processOf(pid)?.started ?? '' })
  process.kill(pid, 'SIGKILL')
  await expect.poll(() => processOf(pid)).toBeUndefined()
  const swept = await sweep(undefined, { run: undefined, olderThanMs: undefined, parent, path: undefined })
  careless.kill('SIGKILL')
  expect(swept.map(({ name }) => basename(name)).sort()).toEqual([
    'agui-launch-another',
    'agui-launch-zombie',
  ])
  expect(readdirSync(parent)).toEqual(['agui-launch-living'])
  rmSync(parent, { recursive: true })
})

test('the relay names itself as the way to whatever the container was given', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agui-relay-'))
  const broker = createServer().listen(join(directory, 'gateway.sock'))
  await once(broker, 'listening')
  const environmentOf = async (env: Record<string, string>) => {
    const relay = await openGatewayRelay(join(directory, 'gateway.sock'), env)
    await relay.close()
    return relay.environment
  }
  const url = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)
  const open = await environmentOf({ AGUI_LAUNCH: 'public' })
  expect(open).toEqual({
    ANTHROPIC_BASE_URL: url,
    NO_PROXY: '127.0.0.1,localhost,::1',
    no_proxy: '127.0.0.1,localhost,::1',
  })
  expect(await environmentOf({ AGUI_LAUNCH: 'private', CLAUDE_CODE_USE_BEDROCK: '1' })).toMatchObject({
    ...{ CLAUDE_CODE_SKIP_BEDROCK_AUTH: '1', ANTHROPIC_BEDROCK_BASE_URL: url },
    ...{ HTTPS_PROXY: url, https_proxy: url, HTTP_PROXY: url, http_proxy: url },
  })
  expect(await environmentOf({ GITHUB_REPOSITORY: 'acme/app' })).toMatchObject({
    GITHUB_API_URL: expect.stringMatching(/\/github$/),
    GIT_CONFIG_VALUE_0: 'https://github.com/',
  })
  broker.close()
  rmSync(directory, { recursive: true })
})

test('an image that is being pulled is not waited for when the launch is ended', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'agui-pull-'))
  const [docker, pulling] = [join(folder, 'docker'), join(folder, 'pulling')]
  const script = `case $1 in info) ;; pull) echo >"${pulling}"; exec sleep 600 ;; *) exit 1 ;; esac`
  writeFileSync(docker, `#!/bin/sh\n${script}\n`)
  chmodSync(docker, 0o755)
  execFileSync('mkfifo', [pulling])
  const engine = await Engine.need('docker', { PATH: `${folder}:${process.env['PATH']}` })
  const launch = new AbortController()
  const needed = engine.needImage('agui-runner:0.1.0', launch.signal)
  await readFile(pulling)
  launch.abort(new Error('the launch was ended'))
  await expect(needed).rejects.toThrow('the launch was ended')
  // What names another image tomorrow is not even pulled.
  rmSync(pulling)
  for (const image of ['agui-runner', 'agui-runner:latest', 'Agui-Runner:1', '--help', ''])
    await expect(new ContainerIsolation(engine, image).need(launch.signal)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('an exact tag'),
    })
  expect(existsSync(pulling)).toBe(false)
  rmSync(folder, { recursive: true })
})
