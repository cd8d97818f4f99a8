// action/action.yml in a real container, as a release has it: success, failure and cancellation of a step.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Rule } from '../../src/mock/script.ts'
import { makeRelease, type StartedAction, startAction } from './action-step.ts'
import { exampleInputs, SHELL_EXAMPLE } from './ci-examples.ts'
import { ALL_CONTAINERS } from './containers.ts'
import { TEST_IMAGE } from './engine.ts'
import { type FakeGitHub, startFakeGitHub } from './fake-github.ts'
import { type GitServer, startGitServer } from './git-server.ts'
import { EVENTS } from './github-events.ts'
import { KEY, type Outside } from './outside.ts'

const TOKEN = 'ghs_of_the_job_held_outside_0123'

/** What an agent does that was asked to; the last two are for a host that the policy does not know, and a forgery. */
const WORK = [
  'exec 2>&1',
  'echo new >new.txt && git add new.txt && git commit --quiet --message "By the agent" && git push --quiet && echo pushed',
  `curl --silent --json '{"title":"New","head":"'$(git branch --show-current)'","base":"main"}' $GITHUB_API_URL/repos/acme/app/pulls`,
  'curl --silent --max-time 5 https://pypi.example/x',
].join('; ')

/** Lines that GitHub's runner would obey, and markdown that would end a block. */
const HOSTILE = [
  'Done.',
  '::error title=agui-runner::forged',
  '::set-output name=pr-url::https://evil.example/pull/1',
  '::add-mask::success',
  '::stop-commands::x',
  '::x::',
  '##[error]forged',
  '````',
  '</details><img src=x>',
  '# forged',
  'https://github.com/acme/app/pull/666',
].join('\n')

export const ACTION_RULES: readonly Rule[] = [
  { when: { prompt: 'work in ci', round: 0 }, reply: [{ tool: 'Bash', input: { command: WORK } }] },
  { when: { prompt: 'work in ci' }, reply: [{ text: HOSTILE }] },
  ...['mend the docs', 'raise the coverage'].map(
    (prompt): Rule => ({
      when: { prompt, round: 0 },
      reply: [{ tool: 'Bash', input: { command: 'echo new >new.txt && git add . && git commit -qm new' } }],
    }),
  ),
  {
    when: { prompt: 'fail in ci' },
    reply: [{ error: { status: 403, message: 'not with\n::error::this `key`' } }],
  },
]

export function actionCases(outside: () => Outside): void {
  let server: GitServer
  let github: FakeGitHub
  let release: string
  beforeAll(async () => {
    release = makeRelease(outside().bench.directory)
    server = await startGitServer({ password: TOKEN })
    server.addRepository('acme/app', { main: { 'README.md': 'one' } })
    server.git('acme/app', 'config', 'http.receivepack', 'true')
    github = await startFakeGitHub({
      rights: { ada: 'write' },
      pullRequest: () => `${server.url}/acme/app/pull/7`,
    })
  })
  afterAll(() => Promise.all([server?.close(), github?.close()]))

  /** On a checkout as the checkout action leaves it: one commit deep, nobody configured. */
  const start = async (
    event: { name: string; payload: unknown },
    inputs: Record<string, string>,
  ): Promise<StartedAction & { workspace: string }> => {
    const { bench, engine } = outside()
    const workspace = join(mkdtempSync(join(bench.directory, 'checkout-')), 'app')
    const url = `${server.url.replace('//', `//x-access-token:${TOKEN}@`)}/acme/app.git`
    await promisify(execFile)('git', ['clone', '--quiet', '--depth', '1', url, workspace])
    writeFileSync(join(workspace, 'task.md'), 'fail in ci')
    const started = startAction({
      ...{ release, directory: bench.directory, workspace, event, token: TOKEN },
      inputs: { 'anthropic-api-key': KEY, image: TEST_IMAGE, ...inputs },
      env: {
        ...{ PATH: process.env['PATH'] ?? '', HOME: bench.home, TMPDIR: bench.directory },
        ...{ DOCKER_HOST: engine.host, ANTHROPIC_BASE_URL: bench.gateway.directUrl },
        ...{ GITHUB_REPOSITORY: 'acme/app', GITHUB_ACTOR: 'ada' },
        ...{ GITHUB_SERVER_URL: server.url, GITHUB_API_URL: github.url },
      },
    })
    return { ...started, workspace }
  }

  test('action: a comment becomes a pull request; whatever the agent says, nothing is obeyed and nothing forged', async () => {
    const inputs = exampleInputs('comment.yml', {
      'github.event.comment.body': '@agent work in ci',
      'secrets.ANTHROPIC_API_KEY': KEY,
    })
    const { result } = await start(EVENTS.comment('ada'), inputs)
    const { conclusion, codes, outputs, annotations, obeyed, log, summary } = await result
    expect([conclusion, codes, obeyed], log).toEqual(['success', [0, 0], []])
    const { branch = '' } = outputs
    expect(outputs).toMatchObject({
      ...{ 'exit-code': '0', outcome: 'success', mode: 'private', result: HOSTILE },
      ...{ 'pr-url': `${server.url}/acme/app/pull/7`, branch: expect.stringMatching(/^agui\/[0-9a-f]{12}$/) },
    })
    expect(server.git('acme/app', 'log', '--format=%an %s', branch).split('\n')).toEqual([
      'github-actions[bot] By the agent',
      'test main',
    ])
    expect(github.openedBy).toEqual([`Bearer ${TOKEN}`])
    expect(annotations).toEqual([
      {
        ...{ command: 'warning', title: 'agui-runner: refused' },
        message: expect.stringMatching(/^CONNECT pypi\.example:443: /),
      },
    ])
    expect(summary).toMatch(/### agui-runner: success \(0\)\n\n- mode: ` private: the event says of /)
    expect(summary).toContain(`\n\`\`\`\`\`text\n${HOSTILE}\n\`\`\`\`\`\n`)
    expect(summary).toContain(`- pull request: ${server.url}/acme/app/pull/7\n`)
    for (const name of ['log-file', 'events-file', 'audit-file'])
      expect(statSync(outputs[name] ?? '').mode & 0o777, name).toBe(0o600)
    expect(readFileSync(outputs['log-file'] ?? '', 'utf8')).toContain(HOSTILE)
    expect(readFileSync(outputs['events-file'] ?? '', 'utf8')).toContain('"RUN_FINISHED"')
    expect(`${log}${summary}${JSON.stringify(outputs)}`).not.toMatch(/held.outside/)
  }, 60_000)

  test.runIf(ALL_CONTAINERS)(
    'action: a run that fails is one annotation, with what to do',
    async () => {
      const { result } = await start(EVENTS.schedule, { 'prompt-file': 'task.md', workspace: 'none' })
      const { conclusion, codes, outputs, annotations, obeyed } = await result
      expect([conclusion, codes, obeyed]).toEqual(['failure', [3, 0], []])
      expect(outputs).toMatchObject({ 'exit-code': '3', outcome: 'error', 'pr-url': '', branch: '' })
      expect(annotations).toEqual([
        {
          ...{ command: 'error', title: 'agui-runner: model_unauthorized' },
          message: expect.stringMatching(
            /^Failed.* not with ::error::this `key` Mend the secret behind anthropic-api-key/,
          ),
        },
      ])
    },
    60_000,
  )

  test.runIf(ALL_CONTAINERS)(
    'action: a cancelled step has ended, and nothing is left, before GitHub’s runner asks again, also where the container hangs',
    async () => {
      const inputs = exampleInputs('agent.yml', { 'inputs.task': 'slow', 'secrets.ANTHROPIC_API_KEY': KEY })
      const { has, cancel, result } = await start(EVENTS.dispatch, inputs)
      await has('one')
      outside().engine.docker('pause', outside().engine.docker('ps', '--quiet'))
      await cancel()
      const { conclusion, codes, outputs, annotations, obeyed } = await result
      // SIGTERM and SIGKILL would end it by their names.
      expect([conclusion, codes, obeyed, annotations]).toEqual(['cancelled', [4, 0], [], []])
      expect(outputs).toMatchObject({
        'exit-code': '4',
        outcome: 'cancelled',
        result: expect.stringContaining('one'),
      })
    },
    60_000,
  )

  test.runIf(ALL_CONTAINERS)(
    'the shell lines of docs/ci.md: two agents beside each other, and a look at what one of them did',
    async () => {
      const { bench, engine } = outside()
      const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
      engine.docker('tag', TEST_IMAGE, `agui-runner:${version}`)
      const [bin, checkout] = [join(bench.directory, 'bin'), join(bench.workspace, 'two')]
      mkdirSync(bin)
      writeFileSync(
        join(bin, 'agui-runner'),
        `#!/bin/sh\nexec ${process.execPath} ${join(release, 'dist/main.js')} "$@"\n`,
        { mode: 0o755 },
      )
      const url = `${server.url.replace('//', `//x-access-token:${TOKEN}@`)}/acme/app.git`
      await promisify(execFile)('git', ['clone', '--quiet', url, checkout])
      const { stdout, stderr } = await promisify(execFile)('bash', ['-euc', SHELL_EXAMPLE], {
        cwd: checkout,
        env: {
          ...{ PATH: `${bin}:${process.env['PATH']}`, HOME: bench.home, TMPDIR: bench.directory },
          ...{
            DOCKER_HOST: engine.host,
            ANTHROPIC_BASE_URL: bench.gateway.directUrl,
            ANTHROPIC_API_KEY: KEY,
          },
          ...{ GITHUB_SERVER_URL: server.url, GITHUB_TOKEN: TOKEN },
          ...{ GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.org' },
          ...{ GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.org' },
        },
      })
      expect(
        stdout.match(/commit\trefs\/agui-runner\/[0-9a-f]{12}\/agui\/[0-9a-f]{12}\n/g),
        stderr,
      ).toHaveLength(2)
      expect(readFileSync(join(bench.workspace, 'look/new.txt'), 'utf8')).toBe('new\n')
      engine.docker('rmi', `agui-runner:${version}`)
    },
    60_000,
  )
}
