// What the environment brings into the workspace at the start, with the real Claude Code working in it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { Script } from '../../src/mock/script.ts'
import { findClaude } from '../../src/model-route/route.ts'
import { bodyOf, events, post, run, runInput, textOf } from '../support/client.ts'
import { type GitServer, git, startGitServer } from '../support/git-server.ts'
import { PATIENT } from '../support/processes.ts'
import { type Bench, type OpenRunner, openBench, type RunnerProcess } from '../support/runner.ts'

const PASSWORD = 'glpat-SecretOfTheSetupTest'
const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'where', round: 0 },
      reply: [{ tool: 'Bash', input: { command: 'echo "[$(pwd)]"; ls' } }],
    },
    { when: { prompt: 'where', round: 1 }, reply: 'It said: {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}
const AMBIENT = { name: 'Flow', startupPrompt: 'START of the flow', systemPrompt: 'SYSTEM WORDS OF ONE' }

let server: GitServer
let bench: Bench

beforeAll(async () => {
  server = await startGitServer({ password: PASSWORD })
  server.addRepository('app', { main: { 'README.md': 'hello\n' }, feature: { f: '1' } })
  server.addRepository('lib', { main: { 'lib.txt': 'lib\n' } })
  server.addRepository('flow', {
    main: {
      'one/.ambient/ambient.json': JSON.stringify(AMBIENT),
      'one/in-one.txt': '1',
      'one/CLAUDE.md': 'CLAUDE WORDS OF ONE',
      'one/.claude/settings.json': JSON.stringify({
        hooks: {
          UserPromptSubmit: [{ hooks: [{ type: 'command', command: 'touch "$HOME/hook-ran"' }] }],
        },
      }),
      'two/.ambient/ambient.json': JSON.stringify({ systemPrompt: 'SYSTEM WORDS OF TWO' }),
      'two/in-two.txt': '2',
    },
  })
})
afterAll(() => server.close())
beforeEach(async () => {
  bench = await openBench({ script: SCRIPT })
})
afterEach(() => bench.close())

const at = (path: string): string => join(bench.workspace, path)
const withPassword = (name: string): string =>
  `${server.url.replace('://', `://oauth2:${PASSWORD}@`)}/${name}.git`

const BASE = {
  SESSION_ID: 'session-1',
  INITIAL_PROMPT_FILE: '/nowhere/prompt.txt',
  CLAUDE_CONNECT_RETRY_DELAY: '0',
}
const tokens = () => ({ GITLAB_HOSTS: server.host, GITLAB_TOKEN: PASSWORD })
const flow = (path = 'one') => ({
  ACTIVE_WORKFLOW_GIT_URL: `${server.url}/flow.git`,
  ACTIVE_WORKFLOW_PATH: path,
})
const start = (env: Record<string, string> = {}): Promise<RunnerProcess> =>
  bench.start({ ...BASE, ...tokens(), ...env })
/** Where no prompt of the environment's is to run: that is the process's part. */
const open = (env: Record<string, string> = {}): Promise<OpenRunner> =>
  bench.open({ ...BASE, ...tokens(), ...env })

type AnyRunner = Pick<OpenRunner, 'url'>

async function checkOf(runner: AnyRunner, name: string) {
  const { checks } = await bodyOf(await fetch(`${runner.url}/ready`))
  return checks.find((check: { name: string }) => check.name === name)
}

const isSetUp = (runner: AnyRunner): Promise<void> =>
  expect.poll(() => checkOf(runner, 'workspace_setup'), PATIENT).toMatchObject({ ok: true })

async function ask(runner: AnyRunner, prompt: string, threadId = 'session-1') {
  return await run(runner.url, runInput(threadId, prompt))
}

/** What the model was sent last, as text. */
const lastRequest = (): string => {
  const { requests } = bench.gateway
  const sent = requests.filter(({ facts }) => facts !== undefined).at(-1)
  return JSON.stringify(sent?.body)
}

describe('REPOS_JSON', () => {
  test('is cloned before the first prompt, by the tokens of the environment, and kept as it is by a restart', async () => {
    const REPOS_JSON = JSON.stringify([
      { url: `${server.url}/app.git`, branch: 'feature' },
      { input: { url: withPassword('lib'), branch: null }, name: 'my-lib' },
    ])
    const runner = await start({ REPOS_JSON, INITIAL_PROMPT: 'hello' })
    const all = await events(await fetch(`${runner.url}/sessions/session-1/events?until=run&wait=true`))
    expect(textOf(all)).toBe('You said: hello')
    expect(readFileSync(at('repos/app/f'), 'utf8')).toBe('1')
    expect(readFileSync(at('repos/my-lib/lib.txt'), 'utf8')).toBe('lib\n')
    expect(await checkOf(runner, 'workspace_setup')).toEqual({ name: 'workspace_setup', ok: true })
    await runner.stop()

    git(at('repos/app'), 'switch', '--quiet', '--create', 'mine')
    writeFileSync(at('repos/app/mine.txt'), 'mine')
    const requests = server.authorizations.length
    const again = await start({ REPOS_JSON, SESSION_ID: '' })
    await again.line(({ repository, newlyCloned }) => repository === 'app' && newlyCloned === false)
    await again.line(({ repository }) => repository === 'my-lib')
    expect(git(at('repos/app'), 'branch', '--show-current').trim()).toBe('mine')
    expect(readFileSync(at('repos/app/mine.txt'), 'utf8')).toBe('mine')
    expect(server.authorizations).toHaveLength(requests)
    expect(runner.stderr() + again.stderr()).not.toContain(PASSWORD)
    expect(readFileSync(at('repos/my-lib/.git/config'), 'utf8')).not.toContain(PASSWORD)
  })

  test('that cannot be cloned is told of in the log, in /ready and in the first run; the rest is there', async () => {
    const REPOS_JSON = JSON.stringify([
      { url: `${server.url.replace('://', '://oauth2:wrong-password-1@')}/app.git` },
      { url: `${server.url}/lib.git` },
      { url: `${server.url}/lib.git`, name: '../../x' },
    ])
    const runner = await start({ REPOS_JSON, INITIAL_PROMPT: 'hello' })
    const all = await events(await fetch(`${runner.url}/sessions/session-1/events?until=run&wait=true`))
    expect(textOf(all)).toBe('You said: hello')
    const told = all.filter(({ name }) => name === 'agui-runner.workspace_problems')
    expect(told).toHaveLength(1)
    expect(told[0]?.['value'].problems.toSorted()).toEqual([
      expect.stringMatching(/^repository 1: git clone failed: .*Authentication failed/),
      expect.stringMatching(/^repository 3 \(\.\.\/\.\.\/x\): .*not a path/),
    ])
    const line = await runner.line(({ msg }) => msg === 'not in the workspace')
    expect(line).toMatchObject({ level: 'warn' })
    expect(await checkOf(runner, 'workspace_setup')).toMatchObject({
      ok: true,
      message: expect.stringContaining('Authentication failed'),
    })
    expect(readdirSync(at('repos'))).toEqual(['lib'])
    // Once, not with every run. And what stood in the URL is a secret like any other.
    const next = await ask(runner, 'and wrong-password-1')
    expect(JSON.stringify(next)).not.toContain('wrong-password-1')
    expect(next.filter(({ name }) => name === 'agui-runner.workspace_problems')).toEqual([])
    expect(JSON.stringify(all) + runner.stderr()).not.toContain('wrong-password-1')
  })

  test('that hangs keeps neither the server nor its end waiting; runs wait within the limit', async () => {
    const silent = await startGitServer({ silent: true })
    onTestFinished(() => silent.close())
    const REPOS_JSON = JSON.stringify([{ url: `${silent.url}/app.git` }])
    const runner = await open({ REPOS_JSON, WORKSPACE_SETUP_TIMEOUT_MS: '1500' })
    expect((await fetch(`${runner.url}/health`)).status).toBe(200)
    expect(await checkOf(runner, 'workspace_setup')).toMatchObject({ ok: false })
    const all = await ask(runner, 'hello')
    expect(textOf(all)).toBe('You said: hello')
    const problem = all.find(({ name }) => name === 'agui-runner.workspace_problems')
    expect(problem?.['value'].problems).toEqual([
      expect.stringContaining('WORKSPACE_SETUP_TIMEOUT_MS (1500 ms)'),
    ])
    await runner.stop()

    const waiting = await start({
      REPOS_JSON,
      INITIAL_PROMPT: 'hello',
      RUNNER_STATE_DIR: join(bench.directory, 'b'),
    })
    await silent.asked()
    const stopped = run(waiting.url, runInput('another', 'hello'))
    const running = await fetch(`${waiting.url}/sessions/another/events?wait=true`)
    await running.body?.getReader().read()
    await post(`${waiting.url}/sessions/another/interrupt`, {})
    expect((await stopped).at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
    expect(await waiting.stop('SIGTERM')).toBe(0)
  })

  test('that is wrong is told with the other variables, without a value', async () => {
    const REPOS_JSON = JSON.stringify([
      { url: `ssh://git:${PASSWORD}@host/x` },
      { url: withPassword('app'), branch: 7 },
      'x',
    ])
    const wrong = bench.spawn({
      REPOS_JSON,
      ACTIVE_WORKFLOW_GIT_URL: `git@host:${PASSWORD}/x.git`,
      WORKSPACE_SETUP_TIMEOUT_MS: 'long',
    })
    expect(await wrong.exited).toBe(2)
    const said = wrong.stderr()
    expect(said).toContain('REPOS_JSON: entry 1 url must be an https:// or http:// URL')
    expect(said).toContain('REPOS_JSON: entry 2 branch must be a text')
    expect(said).toContain('REPOS_JSON: entry 3 must be an object')
    expect(said).toContain('ACTIVE_WORKFLOW_GIT_URL: must be')
    expect(said).toContain('WORKSPACE_SETUP_TIMEOUT_MS: must be')
    expect(said).not.toContain(PASSWORD)
    const load = (env: Record<string, string>) => () =>
      loadConfig(env, { appDirectory: bench.directory, workingDirectory: bench.directory })
    const two = JSON.stringify([{ url: 'https://h/a' }, { url: 'https://h/b' }])
    expect(load({ REPOS_JSON: two, REPOS_MAX: '1' })).toThrow('REPOS_MAX (1)')
    expect(load({ REPOS_JSON: '{not json' })).toThrow('REPOS_JSON: must be a JSON array')
  })
})

describe('ACTIVE_WORKFLOW_GIT_URL', () => {
  test('is where Claude Code works, with the workspace beside it, its words in the system prompt and its settings unread', async () => {
    const runner = await open({ ...flow(), IS_RESUME: 'true' })
    const text = textOf(await ask(runner, 'where'))
    expect(text).toContain(`[${at('workflows/flow')}]`)
    expect(text).toContain('in-one.txt')
    const sent = lastRequest()
    expect(sent).toContain('SYSTEM WORDS OF ONE')
    expect(sent).toContain(`Additional working directories:\\n  - ${bench.workspace}`)
    expect(sent).not.toContain('CLAUDE WORDS OF ONE')
    expect(existsSync(join(bench.home, 'hook-ran'))).toBe(false)
    const metadata = await bodyOf(await fetch(`${runner.url}/content/workflow-metadata?session=x`))
    expect(metadata['config']).toMatchObject({ name: 'Flow' })
  })

  test('has its start-up prompt run before the initial one, once, and never on a resume', async () => {
    const env = { ...flow(), INITIAL_PROMPT: 'and the task' }
    const first = await start(env)
    const all = await events(await fetch(`${first.url}/sessions/session-1/events?until=run&wait=true`))
    expect(textOf(all)).toBe('You said: START of the flow\n\nand the task')
    await first.stop()
    const second = await start(env)
    await second.line(({ msg }) => String(msg).includes('was run before'))
    expect(await events(await fetch(`${second.url}/sessions/session-1/events?follow=false`))).toEqual(all)
    await second.stop()

    const sent = bench.gateway.requests.length
    const resumed = await start({
      ...env,
      RUNNER_STATE_DIR: join(bench.directory, 'resumed'),
      IS_RESUME: 'true',
      STOP_ON_RUN_FINISHED: 'true',
    })
    expect(textOf(await ask(resumed, 'where'))).toContain(`[${at('workflows/flow')}]`)
    expect(await resumed.exited).toBe(0)
    const bodies = bench.gateway.requests.slice(sent).map(({ body }) => JSON.stringify(body))
    expect(bodies.filter((body) => body?.includes('START of the flow'))).toEqual([])
  })

  test('has its start-up prompt run behind a client that was quicker', async () => {
    const runner = await start(flow())
    expect(textOf(await ask(runner, 'hello'))).toBe('You said: hello')
    const all = await events(await fetch(`${runner.url}/sessions/session-1/events?follow=false`))
    const rest = await events(
      await fetch(`${runner.url}/sessions/session-1/events?after=${all.length}&until=run`),
    )
    expect(textOf([...all, ...rest])).toContain('You said: START of the flow')
  })

  test('that cannot be fetched leaves the workspace, and the initial prompt runs alone', async () => {
    const runner = await start({ ...flow('nowhere'), INITIAL_PROMPT: 'where' })
    const all = await events(await fetch(`${runner.url}/sessions/session-1/events?until=run&wait=true`))
    expect(textOf(all)).toContain(`It said: [${bench.workspace}]`)
    const problem = all.find(({ name }) => name === 'agui-runner.workspace_problems')
    expect(problem?.['value'].problems).toEqual([expect.stringMatching(/^workflow: .*nowhere/)])
  })

  test('is the folder that is there when git has no way to it; alone what a session is started for, it ends it', async () => {
    mkdirSync(at('workflows/flow/.ambient'), { recursive: true })
    writeFileSync(at('workflows/flow/.ambient/ambient.json'), JSON.stringify({ startupPrompt: 'put there' }))
    const runner = await start({ ...flow(), GITLAB_TOKEN: 'wrong', STOP_ON_RUN_FINISHED: 'true' })
    const all = await events(await fetch(`${runner.url}/sessions/session-1/events?until=run&wait=true`))
    expect(textOf(all)).toBe('You said: put there')
    expect(await runner.exited).toBe(0)
  })
})

describe('what a workflow offers', () => {
  const SWITCHES = { CLAUDE_SETTING_SOURCES: 'project', CLAUDE_SLASH_COMMANDS: 'true' }
  const offers = async (runner: AnyRunner) => {
    const body = await bodyOf(await fetch(`${runner.url}/content/workflow-metadata?session=x`))
    return [...body['commands'], ...body['skills']] as { slashCommand: string; needs?: string[] }[]
  }

  test('works when it is sent, or says what must be switched on', async () => {
    server.addRepository('offers', {
      main: {
        '.claude/commands/greet.md': '---\ndescription: greets\n---\nWORDS OF THE COMMAND: $ARGUMENTS',
        '.claude/skills/dig/SKILL.md': '---\nname: dig\ndescription: digs\n---\nWORDS OF THE SKILL',
      },
    })
    const workflow = { ACTIVE_WORKFLOW_GIT_URL: `${server.url}/offers.git`, IS_RESUME: 'true' }
    const bare = await open(workflow)
    await isSetUp(bare)
    const wanted = Object.entries(SWITCHES).map(([name, value]) => `${name}=${value}`)
    expect(await offers(bare)).toMatchObject([
      { slashCommand: '/greet', needs: wanted },
      { slashCommand: '/dig', needs: wanted },
    ])
    await ask(bare, '/greet you')
    expect(lastRequest()).not.toContain('WORDS OF THE COMMAND')
    await bare.stop()

    const runner = await open({ ...workflow, ...SWITCHES })
    await isSetUp(runner)
    const offered = await offers(runner)
    expect(offered.map(({ needs }) => needs)).toEqual([undefined, undefined])
    for (const { slashCommand } of offered) {
      await ask(runner, `${slashCommand} you`)
      const word = slashCommand === '/greet' ? 'WORDS OF THE COMMAND: you' : 'WORDS OF THE SKILL'
      expect(lastRequest()).toContain(word)
    }
  })
})

describe('a workflow that is switched', () => {
  const switchTo = async (runner: AnyRunner, path: string): Promise<void> => {
    const headers = { 'X-GitLab-Token': PASSWORD }
    const choice = { gitUrl: `${server.url}/flow.git`, branch: 'main', path }
    const response = await post(`${runner.url}/workflow`, choice, headers)
    expect([response.status, await response.json()]).toEqual([
      200,
      { message: 'Workflow updated', ...choice },
    ])
  }

  test('is where the next run works, in the same conversation, and outlives a restart', async () => {
    const runner = await open()
    expect(textOf(await ask(runner, 'where'))).toContain(`It said: [${bench.workspace}]`)
    await switchTo(runner, 'two')
    const switched = await ask(runner, 'where')
    expect(textOf(switched)).toContain('in-two.txt')
    expect(switched.filter(({ name }) => name === 'agui-runner.session_reset')).toEqual([])
    expect(lastRequest()).toContain('SYSTEM WORDS OF TWO')
    // The same folder, another content.
    await switchTo(runner, 'one')
    expect(textOf(await ask(runner, 'where'))).toContain('in-one.txt')
    expect(lastRequest()).toContain('SYSTEM WORDS OF ONE')
    expect(lastRequest()).not.toContain('SYSTEM WORDS OF TWO')
    await runner.stop()

    const again = await start()
    expect(textOf(await ask(again, 'where'))).toContain('in-one.txt')
    // Four answers and four results: nothing was forgotten on the way.
    const { messages } = JSON.parse(lastRequest()) as { messages: { role: string }[] }
    expect(messages.filter(({ role }) => role === 'assistant')).toHaveLength(7)
    expect(again.stderr()).not.toContain('START of the flow')
    await post(`${again.url}/workflow`, {})
    expect(textOf(await ask(again, 'where'))).toContain(`It said: [${bench.workspace}]`)
    expect(lastRequest()).not.toContain('SYSTEM WORDS')
  })

  test('is not undone by a restart with the variable that was followed before', async () => {
    const runner = await open({ ...flow(), IS_RESUME: 'true', SESSION_ID: '' })
    await isSetUp(runner)
    await switchTo(runner, 'two')
    await runner.stop()
    const again = await open({ ...flow(), IS_RESUME: 'true' })
    expect(textOf(await ask(again, 'where'))).toContain('in-two.txt')
    await again.stop()
    // Its folder was lost: fetched again.
    rmSync(at('workflows'), { recursive: true })
    const third = await open({ ...flow('two'), IS_RESUME: 'true' })
    expect(textOf(await ask(third, 'where'))).toContain('in-two.txt')
  })

  test('leaves a conversation that can be resumed nowhere else where it began', async () => {
    // As Claude Code before 2.1.329: a session is found in its own directory only.
    const cli = join(bench.directory, 'claude')
    const wrappersDirectory = new URL('../../wrappers', import.meta.url).pathname
    const signal = AbortSignal.timeout(10_000)
    const real = await findClaude({ env: { PATH: process.env['PATH'] }, wrappersDirectory, signal })
    writeFileSync(
      cli,
      `#!/bin/sh\nexport CLAUDE_CONFIG_DIR="$CLAUDE_CONFIG_DIR/$(basename "$PWD")"\nexec "${real}" "$@"\n`,
      { mode: 0o755 },
    )
    const runner = await open({ CLAUDE_CLI_PATH: cli })
    await ask(runner, 'remember me')
    await switchTo(runner, 'two')
    const stayed = await ask(runner, 'where')
    expect(textOf(stayed)).toContain(`It said: [${bench.workspace}]`)
    expect(stayed.filter(({ name }) => name === 'agui-runner.session_reset')).toEqual([])
    expect(lastRequest()).toContain('remember me')
    expect(lastRequest()).toContain('SYSTEM WORDS OF TWO')
    // Others begin where the workflow is.
    expect(textOf(await ask(runner, 'where', 'thread-2'))).toContain('in-two.txt')
  })

  test('is not followed to where a link in its place leads', async () => {
    const runner = await open({ ...flow(), IS_RESUME: 'true' })
    await isSetUp(runner)
    rmSync(at('workflows/flow'), { recursive: true })
    symlinkSync(bench.home, at('workflows/flow'))
    expect(textOf(await ask(runner, 'where'))).toContain(`It said: [${bench.workspace}]`)
  })
})

describe('SESSION_CONFIG_PATH', () => {
  const makeConfig = (): string => {
    const directory = join(bench.directory, 'session-config')
    mkdirSync(join(directory, '.claude/skills/reviewer'), { recursive: true })
    mkdirSync(join(directory, '.claude/hooks'))
    writeFileSync(
      join(directory, '.claude/skills/reviewer/SKILL.md'),
      '---\nname: reviewer\ndescription: SKILL WORDS\n---\nLook twice.\n',
    )
    writeFileSync(join(directory, 'CLAUDE.md'), 'TEAM WORDS\n')
    const hook = {
      hooks: { UserPromptSubmit: [{ hooks: [{ type: 'command', command: 'touch "$HOME/hook-ran"' }] }] },
    }
    writeFileSync(join(directory, '.claude/settings.json'), JSON.stringify(hook))
    writeFileSync(join(directory, '.claude/hooks/hooks.json'), JSON.stringify(hook))
    return directory
  }

  test('gives its skills and its words, may be read and not written, and starts nothing', async () => {
    const directory = makeConfig()
    bench.gateway.use({
      rules: [
        {
          when: { prompt: 'write', round: 0 },
          reply: [{ tool: 'Write', input: { file_path: join(directory, 'CLAUDE.md'), content: 'x' } }],
        },
        { when: { prompt: 'write', round: 1 }, reply: 'It said: {{result}}' },
        ...(SCRIPT.rules ?? []),
      ],
    })
    const runner = await open({ SESSION_CONFIG_PATH: directory })
    expect(textOf(await ask(runner, 'where'))).toContain(`It said: [${bench.workspace}]`)
    const sent = lastRequest()
    expect(sent).toContain('SKILL WORDS')
    expect(sent).toContain('TEAM WORDS')
    expect(sent).toContain(directory)
    expect(existsSync(join(bench.home, 'hook-ran'))).toBe(false)
    await ask(runner, 'write')
    expect(readFileSync(join(directory, 'CLAUDE.md'), 'utf8')).toBe('TEAM WORDS\n')
  })

  test.each([
    ['relative', 'session-config', 'absolute'],
    ['absent', '/nowhere/session-config', 'no such file'],
    ['a file', '/etc/hostname', 'not a folder'],
  ])('that is %s is not used, with the reason in the log', async (_what, path, reason) => {
    const runner = await open({ SESSION_CONFIG_PATH: path, SESSION_ID: '' })
    await expect.poll(runner.log, PATIENT).toContain('SESSION_CONFIG_PATH is not used')
    const [line] = runner
      .log()
      .split('\n')
      .filter((text) => text.includes('SESSION_CONFIG_PATH is not used'))
    expect(JSON.parse(line ?? '')).toMatchObject({ level: 'warn', reason: expect.stringContaining(reason) })
    if (path === '/etc/hostname') expect(textOf(await ask(runner, 'hello'))).toBe('You said: hello')
  })
})
