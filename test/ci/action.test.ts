// What the action refuses, by its own action.yml: exit 2, one annotation, and nothing is started.
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ForeignReport } from '../../src/ci/foreign-report.ts'
import { INPUT_NAMES, readInputs, variableOf } from '../../src/ci/inputs.ts'
import { judgeJob, readJob } from '../../src/ci/job.ts'
import { mask } from '../../src/ci/step-log.ts'
import { summaryOf } from '../../src/ci/summary.ts'
import { problemOf } from '../../src/cli/ci-end.ts'
import { checkJobApp } from '../../src/cli/ci-github.ts'
import { isBranchName } from '../../src/workspace/repository-url.ts'
import {
  ACTION,
  makeRelease,
  type StartedAction,
  type StepRequest,
  type StepResult,
  startAction,
} from '../support/action-step.ts'
import { APP_ID, APP_KEY, HOUR_MS, startAppServer } from '../support/app-server.ts'
import { exampleInputs } from '../support/ci-examples.ts'
import { type FakeGitHub, startFakeGitHub } from '../support/fake-github.ts'
import { type GitServer, startGitServer } from '../support/git-server.ts'
import { EVENTS } from '../support/github-events.ts'

const KEY = 'sk-ant-api03-of-the-action-0123456789'
const TOKEN = 'ghs_of_the_job_0123456789'
const PEM = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()

let directory: string
let release: string
let server: GitServer
let github: FakeGitHub
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agui-action-'))
  release = makeRelease(directory)
  mkdirSync(join(directory, 'bin'))
  for (const name of ['docker', 'podman']) {
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\necho "$@" >>${directory}/engine\nexit 1\n`)
    chmodSync(join(directory, 'bin', name), 0o755)
  }
  server = await startGitServer({ password: TOKEN })
  server.addRepository('acme/app', { main: { 'README.md': 'one' } })
  github = await startFakeGitHub({ rights: { ada: 'write', reader: 'read' }, pullRequest: () => '' })
})
afterAll(async () => {
  await Promise.all([server?.close(), github?.close()])
  rmSync(directory, { recursive: true, force: true })
})

const GOOD = { prompt: 'say hello', 'anthropic-api-key': KEY }

type Wish = Partial<Pick<StepRequest, 'event' | 'inputs' | 'token' | 'env' | 'workspace'>>

const act = (wish: Wish): Promise<StepResult> => start(wish).result

const makeWorkspace = (): string => mkdtempSync(join(directory, 'workspace-'))

function start({ workspace = makeWorkspace(), ...request }: Wish): StartedAction {
  return startAction({
    ...{ release, directory, workspace, event: EVENTS.push, inputs: GOOD, token: TOKEN },
    ...request,
    env: {
      PATH: `${join(directory, 'bin')}:${process.env['PATH']}`,
      HOME: workspace,
      TMPDIR: directory,
      GITHUB_REPOSITORY: 'acme/app',
      GITHUB_ACTOR: 'ada',
      GITHUB_SERVER_URL: server.url,
      GITHUB_API_URL: github.url,
      ...request.env,
    },
  })
}

function expectRefused(result: StepResult, words: RegExp): void {
  expect([result.conclusion, result.codes, result.obeyed]).toEqual(['failure', [2, 0], []])
  expect(result.outputs).toMatchObject({ 'exit-code': '2', outcome: 'error', 'pr-url': '', result: '' })
  expect(result.annotations).toEqual([
    { command: 'error', title: 'agui-runner: config_invalid', message: expect.stringMatching(words) },
  ])
  // One sentence: nothing of it is a second line.
  expect(result.annotations[0]?.message).not.toContain('\n')
  expect(`${result.log}${result.summary}${JSON.stringify(result.outputs)}`).not.toMatch(/of.the.(action|job)/)
}

afterAll(() => {
  // `info` is the second step's, which looks for what a killed one has left.
  const calls = existsSync(join(directory, 'engine')) ? readFileSync(join(directory, 'engine'), 'utf8') : ''
  expect(
    new Set(
      calls
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ),
  ).toEqual(new Set(['info']))
})

describe('refused by the event', () => {
  test.concurrent.each([
    [
      'a fork',
      { event: EVENTS.forkPull, inputs: { prompt: 'x' } },
      /comes from a fork \(stranger\/app\), .* no secrets/,
    ],
    [
      'a stranger’s comment',
      { event: EVENTS.comment('stranger') },
      /stranger .*may not write to acme\/app \(none\)/,
    ],
    [
      'no JSON',
      { event: { name: 'push', payload: '{"repository":' } },
      /GITHUB_EVENT_PATH cannot be read: it is not JSON/,
    ],
  ] as const)('%s', async (_name, request, words) => {
    expectRefused(await act(request), words)
  })

  const judge = async (event: { name: string; payload: unknown }, variables = {}): Promise<void> => {
    const step = mkdtempSync(join(directory, 'event-'))
    const [file, said] = [join(step, 'event.json'), join(step, 'said')]
    writeFileSync(file, JSON.stringify(event.payload))
    writeFileSync(said, '')
    const job = await readJob({
      ...{ GITHUB_EVENT_NAME: event.name, GITHUB_EVENT_PATH: file, GITHUB_REPOSITORY: 'acme/app' },
      ...{ GITHUB_WORKSPACE: '/w', GITHUB_OUTPUT: said, GITHUB_STEP_SUMMARY: said, RUNNER_TEMP: '/t' },
      ...variables,
    })
    await judgeJob(job, async (login) => ({ ada: 'write', boss: 'admin', reader: 'read' })[login] ?? 'none')
  }

  const pullOf = (repo: unknown) => ({ name: 'pull_request', payload: { pull_request: { head: { repo } } } })
  const deploymentOf = (workflow_run: unknown) => ({
    name: 'deployment_status',
    payload: { ...EVENTS.push.payload, deployment_status: { state: 'success' }, workflow_run },
  })

  test.each([
    ['a fork that is gone', EVENTS.gonePull, /comes from a fork \(a fork that is gone\)/],
    ['a reader’s comment', EVENTS.comment('reader'), /reader .*\(read\)/],
    ['a name that is none', EVENTS.comment('a/../b'), /Nobody knows who/],
    ['pull_request_target of a stranger', EVENTS.target, /stranger .*\(none\)/],
    ['an event that nobody has heard of', { name: 'moonrise', payload: {} }, /Nobody knows who/],
    ['an event without a sender', { name: 'watch', payload: {} }, /x has/, { GITHUB_ACTOR: 'x' }],
    ['JSON of another', { name: 'push', payload: { sender: 'ada' } }, /none of GitHub’s \(sender\)/],
    ['no object', { name: 'push', payload: [] }, /none of GitHub’s/],
    ['a pull request without its head', { name: 'pull_request', payload: {} }, /GitHub’s \(pull_request\)/],
    ['null for it', { name: 'pull_request_target', payload: { pull_request: null } }, /\(pull_request\)/],
    ['a head of nobody', pullOf(undefined), /none of GitHub’s \(pull_request\.head\.repo\)/],
    [
      'a deployment of a fork',
      deploymentOf({ head_repository: { full_name: 'stranger/app' } }),
      /stranger\/app/,
    ],
    ['no repository', EVENTS.push, /whose runner sets GITHUB_REPOSITORY\./, { GITHUB_REPOSITORY: '' }],
    [
      'nowhere to say it',
      EVENTS.push,
      /^GITHUB_OUTPUT cannot be written: ENOENT/,
      { GITHUB_OUTPUT: '/none/o' },
    ],
    ['a page that is a folder', EVENTS.push, /^GITHUB_STEP_SUMMARY cannot/, { GITHUB_STEP_SUMMARY: '/tmp' }],
    ['no step', EVENTS.push, /sets GITHUB_OUTPUT, RUNNER_TEMP\./, { GITHUB_OUTPUT: '', RUNNER_TEMP: '' }],
  ] as const)('%s', async (_name, event, words, ...variables) => {
    await expect(judge(event, variables[0])).rejects.toThrow(words)
  })

  test.each([
    ...[EVENTS.push, EVENTS.ownPull, EVENTS.dispatch, EVENTS.schedule],
    ...[EVENTS.comment('ada'), EVENTS.comment('boss')],
    ...[
      deploymentOf(null),
      deploymentOf({ id: 1 }),
      deploymentOf({ head_repository: { full_name: 'ACME/app' } }),
    ],
  ])('$name of who may write is not', async (event) => {
    await expect(judge(event)).resolves.toBeUndefined()
  })

  test('nor that of a sender who is gone, in a repository whose name begins with a point', async () => {
    const event = { name: 'push', payload: { ...EVENTS.push.payload, sender: null } }
    await expect(judge(event, { GITHUB_REPOSITORY: 'acme/.github' })).resolves.toBeUndefined()
  })
})

describe('refused by GitHub', () => {
  test.concurrent.each([
    ['a token without rights', {}, /may not push to acme\/app: give the job "permissions: contents: write"/],
    ['a token of nobody', { token: 'ghs_of_the_job_expired' }, /refuses github-token: it has expired/],
    [
      'an App whose key was deleted',
      {
        inputs: exampleInputs('review.yml', {
          ...{ 'secrets.ANTHROPIC_API_KEY': KEY, 'vars.AGENT_APP_ID': 'Iv1.x' },
          'secrets.AGENT_APP_KEY': PEM.replaceAll('\n', '\\n'),
        }),
      },
      /refuses the App’s signature/,
    ],
  ])('%s', async (_name, request, words) => {
    const result = await act(request)
    expectRefused(result, words)
    for (const line of PEM.split('\n').slice(1, -2)) expect(result.log).not.toContain(line)
  })
})

test('an App whose token GitHub has forgotten before it is revoked has shown that it can have one', async () => {
  let hours = 0
  // Each token has ended by the next request.
  const forgetful = await startAppServer(() => {
    hours += 2
    return hours * HOUR_MS
  })
  const env = { GITHUB_SERVER_URL: forgetful.url, GITHUB_API_URL: forgetful.url }
  const app = { appId: APP_ID, privateKey: APP_KEY }
  const checked = checkJobApp(app, { repository: 'acme/app', access: 'write' }, env)
  await checked.finally(() => forgetful.close())
  expect(forgetful.asked.at(-1)).toBe('DELETE /installation/token')
})

test('an image, a prompt and a policy that are not there are found before anything is started', async () => {
  server.git('acme/app', 'config', 'http.receivepack', 'true')
  const [none, latest] = await Promise.all([
    act({ inputs: { 'prompt-file': 'nowhere.md', 'anthropic-api-key': KEY } }),
    act({ inputs: { ...GOOD, image: 'agui-runner:latest' } }),
  ])
  expectRefused(none, /--prompt-file cannot be read/)
  expectRefused(latest, /image must be an exact tag/)
})

test.each([
  ['prompt-file', '/proc/self/environ'],
  ['prompt-file', '../../../../../../proc/self/environ'],
  ['policy', '.git/config'],
])('%s: a link in the checkout to %s chooses no file of the step', async (input, target) => {
  server.git('acme/app', 'config', 'http.receivepack', 'true')
  const workspace = makeWorkspace()
  mkdirSync(join(workspace, '.git'))
  writeFileSync(join(workspace, '.git/config'), TOKEN)
  symlinkSync(target, join(workspace, 'link'))
  const inputs = { 'anthropic-api-key': KEY, ...(input === 'policy' ? { prompt: 'x' } : {}), [input]: 'link' }
  expectRefused(
    await act({ workspace, inputs }),
    new RegExp(`^${input} leads out of the checkout by a link\\.$`),
  )
})

test('a link within the checkout, and a file that an earlier step has made elsewhere, are prompts', async () => {
  server.git('acme/app', 'config', 'http.receivepack', 'true')
  const workspace = makeWorkspace()
  writeFileSync(join(workspace, 'prompt.md'), 'x')
  symlinkSync('prompt.md', join(workspace, 'link'))
  const made = join(directory, 'made.md')
  writeFileSync(made, 'x')
  for (const name of ['link', made]) {
    const { annotations } = await act({
      workspace,
      inputs: { 'anthropic-api-key': KEY, 'prompt-file': name },
    })
    expect(annotations).toMatchObject([{ message: expect.stringMatching(/docker|podman|engine/) }])
  }
})

test('an App of the job’s environment is none of the action’s', async () => {
  server.git('acme/app', 'config', 'http.receivepack', 'true')
  const inputs = { ...GOOD, isolation: 'process', workspace: 'none' }
  const { annotations } = await act({ inputs, env: { GITHUB_APP_ID: '1', GITHUB_APP_PRIVATE_KEY: 'none' } })
  expect(annotations).toMatchObject([{ message: expect.not.stringContaining('GITHUB_APP') }])
})

test('a step that is cancelled while GitHub thinks says so, and starts nothing', async () => {
  let answer: () => void = () => undefined
  const slow = createServer((_request, response) => {
    answer = () => response.writeHead(200).end('{"permission":"write"}')
    slow.emit('asked')
  }).listen(0, '127.0.0.1')
  await once(slow, 'listening')
  const address = slow.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const started = start({
    event: EVENTS.comment('ada'),
    env: { GITHUB_API_URL: url, GITHUB_SERVER_URL: url },
  })
  await once(slow, 'asked')
  const cancelled = started.cancel()
  answer()
  await cancelled
  slow.closeAllConnections()
  slow.close()
  const { conclusion, codes, outputs, annotations, summary } = await started.result
  expect([conclusion, codes, annotations]).toEqual(['cancelled', [4, 0], []])
  expect(outputs).toMatchObject({ 'exit-code': '4', outcome: 'cancelled' })
  expect(summary).toContain('### agui-runner: cancelled (4)')
})

test('outside of a step it says so, and that is 2', () => {
  const ended = spawnSync(process.execPath, [join(release, 'dist/main.js'), 'ci'], {
    env: {},
    encoding: 'utf8',
  })
  expect([ended.status, ended.stderr]).toEqual([2, ''])
  expect(ended.stdout).toMatch(/^::error title=[^\n]*::This is for a step of GitHub Actions, [^\n]*\n$/)
})

test('every input is set by the action, and every one that is set is read', () => {
  expect(Object.keys(ACTION.inputs)).toEqual([...INPUT_NAMES])
  const [run] = ACTION.runs.steps
  const { JOB_TOKEN: _token, ...set } = run?.env ?? {}
  expect(set).toEqual(
    Object.fromEntries(INPUT_NAMES.map((name) => [variableOf(name), `\${{ inputs.${name} }}`])),
  )
  // An expression in a script would be executed.
  for (const step of ACTION.runs.steps) expect(step.run).not.toContain('${{')
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect(ACTION.inputs['image']?.default).toBe(`agui-runner:${version}`)
})

const HOSTILE = [
  ...[
    '\n',
    'a\nb',
    '::error::x',
    '%0A::error::x',
    '`x`',
    '$\u007b{ secrets.X }}',
    '$(id)',
    '--privileged',
    'x y',
    '\0',
  ],
  ...['\u202e', "'", '"', '../x', ' '],
]

test.each(
  INPUT_NAMES.filter((name) => !['prompt', 'prompt-file', 'policy', 'app-private-key'].includes(name)),
)(
  '%s: hostile texts are refused without a word of theirs, and nothing is as if it were not given',
  (name) => {
    const read = (text: string) => {
      const inputs = { 'github-token': TOKEN, ...(name === 'anthropic-oauth-token' ? { prompt: 'x' } : GOOD) }
      if (name.startsWith('app-')) Object.assign(inputs, { 'app-id': '1', 'app-private-key': PEM })
      const env = Object.entries({ ...inputs, [name]: text }).map(([input, value]) => [
        variableOf(input),
        value,
      ])
      return () => readInputs({ JOB_TOKEN: TOKEN, ...Object.fromEntries(env) })
    }
    for (const text of HOSTILE.filter((one) => one.trim() !== '')) {
      // A token or key of one line may be any word.
      if (/key|token/.test(name) && /^[!-~]+$/.test(text)) continue
      if (['model', 'app-id'].includes(name) && text === '--privileged') continue
      if (name === 'model' && text === '../x') continue
      if (name === 'base-branch' && isBranchName(text)) continue
      expect(read(text), JSON.stringify(text)).toThrow(new RegExp(`^The inputs are wrong: .*${name}`))
      expect(read(text)).not.toThrow(text)
    }
  },
)

test.each([
  [{}, /prompt or prompt-file/],
  [{ prompt: ' \n' }, /prompt or prompt-file/],
  [{ prompt: 'a', 'prompt-file': 'b' }, /prompt or prompt-file, one of them/],
  [{ prompt: 'a', 'anthropic-api-key': '' }, /a secret that does not exist is an empty text/],
  [
    { ...GOOD, 'anthropic-oauth-token': 'sk-ant-oat01-x' },
    /anthropic-api-key or anthropic-oauth-token, one of them/,
  ],
  [{ ...GOOD, 'github-token': '' }, /github-token or app-id/],
  [{ ...GOOD, 'app-id': '1' }, /app-id and app-private-key together/],
  [{ ...GOOD, 'app-private-key': PEM }, /app-id and app-private-key together/],
  [{ ...GOOD, 'app-installation-id': '5' }, /nothing without app-id/],
  [
    { ...GOOD, 'github-token': 'ghp_mine', 'app-id': '1', 'app-private-key': PEM },
    /github-token or app-id, one of them/,
  ],
  [{ ...GOOD, 'timeout-minutes': '0' }, /timeout-minutes must be a whole number/],
  [{ ...GOOD, 'timeout-minutes': '1e3' }, /timeout-minutes must be a whole number/],
])('inputs that contradict each other: %#', (inputs, words) => {
  const env = Object.entries({ 'github-token': TOKEN, ...inputs }).map(([name, value]) => [
    variableOf(name),
    value,
  ])
  expect(() => readInputs({ JOB_TOKEN: TOKEN, ...Object.fromEntries(env) })).toThrow(words)
})

test('whatever a container reports has a shape that can be shown', () => {
  expect(
    ForeignReport.parse({
      ...{ outcome: '# forged', text: { a: 1 }, error: 'x', reason: 7 },
      usage: [{ model: [], inputTokens: '](x)', outputTokens: -1 }],
    }),
  ).toEqual({
    ...{ outcome: 'error', text: '', reason: '', error: { code: 'internal', message: expect.any(String) } },
    usage: [{ model: undefined, inputTokens: 0, outputTokens: 0 }],
  })
})

test('a run that is no success has one problem, of a length that GitHub shows', () => {
  const said = { outcome: 'success', text: '', usage: [], reason: '' }
  const long = { outcome: 'cancelled', reason: 'x'.repeat(100_000), error: undefined }
  const error = { code: 'x'.repeat(100_000), message: 'y'.repeat(100_000) }
  expect(problemOf(ForeignReport.parse(said), 0)).toBeUndefined()
  // The events could not be written.
  expect(problemOf(ForeignReport.parse(said), 1)).toMatchObject({ title: 'events-file' })
  for (const report of [long, { outcome: 'error', error }, { outcome: 'interrupt' }]) {
    const { title = '', text = '' } = problemOf(ForeignReport.parse(report), 3) ?? {}
    expect([title.length > 0, title.length < 65, text.length > 0, text.length < 5000]).not.toContain(false)
  }
})

test('whatever the agent says, the summary holds it as one block of code', () => {
  const piece = fc.constantFrom(
    '`',
    '```',
    '~~~',
    '\n',
    '\n\n',
    '# h',
    '<img src=x>',
    '[a](b)',
    '::error::',
    '    ',
    'text',
    '\t',
  )
  const words = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(words, words, (text, problem) => {
      const markdown = summaryOf({
        ...{
          outcome: 'error',
          exitCode: 3,
          problem,
          mode: 'private',
          modeReason: text,
          model: text,
          durationMs: 1,
          text,
        },
        ...{ inputTokens: 1, outputTokens: 1, branch: text, pullRequests: [] },
        refused: [{ door: 'egress', request: text, reason: problem }],
      })
      const kinds = fromMarkdown(markdown).children.map(({ type }) => type)
      const answer = text.trim() === '' ? [] : ['paragraph', 'code']
      expect(kinds).toEqual(['heading', 'code', 'list', 'paragraph', 'code', ...answer])
      const told = fromMarkdown(markdown).children.at(-1)
      if (answer.length > 0) expect(told).toMatchObject({ value: text.replace(/\n+$/, '') })
    }),
  )
})

test.each([
  ['backticks', '`'.repeat(2_000_000), ''],
  ['some of them', `${'`'.repeat(400_000)}\n${'x'.repeat(2_000_000)}`, ''],
  ['letters', 'é'.repeat(2_000_000), 'é'.repeat(2_000_000)],
  ['a problem of them', '`'.repeat(600_000), '`'.repeat(600_000)],
])('a summary of %s is one that GitHub takes: below 1 MiB, and still one block', (_name, text, problem) => {
  const nothing = { mode: undefined, modeReason: undefined, model: undefined, branch: undefined }
  const markdown = summaryOf({
    ...{
      outcome: 'error',
      exitCode: 3,
      problem,
      text,
      ...nothing,
      durationMs: 1,
      pullRequests: [],
      refused: [],
    },
    ...{ inputTokens: 0, outputTokens: 0 },
  })
  expect(Buffer.byteLength(markdown)).toBeLessThan(1024 ** 2)
  const kinds = fromMarkdown(markdown).children.map(({ type }) => type)
  expect(kinds).toEqual(['heading', 'code', 'list', 'paragraph', 'code'])
})

test('a secret is masked as it is shown: without the blanks around it, by line, and as git sends it', () => {
  const written: string[] = []
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  mask([` ${KEY} \n`, `\t${PEM.replaceAll('\n', '\\r\\n')}`, '  ', 'short'])
  write.mockRestore()
  const masked = written.join('').match(/(?<=^::add-mask::).*/gm) ?? []
  expect(masked.slice(0, 2)).toEqual([KEY, Buffer.from(`x-access-token:${KEY}`).toString('base64')])
  expect(masked).toEqual(expect.arrayContaining(PEM.split('\n').slice(0, -2)))
  expect(masked.every((form) => form.length >= 8)).toBe(true)
})

test('nothing is left of what was refused', () => {
  expect(readdirSync(directory).filter((name) => name.startsWith('agui-launch-'))).toEqual([])
})
