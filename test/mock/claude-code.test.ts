// The mock against the real Claude Code binary: what it sends must be understood, what it gets must be accepted.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import type { MockGateway } from '../../src/mock/mock-gateway.ts'
import type { Script } from '../../src/mock/script.ts'
import { startGateway } from './edge-client.ts'

const CLAUDE = join(
  dirname(
    createRequire(import.meta.url).resolve(
      `@anthropic-ai/claude-agent-sdk-${process.platform}-${process.arch}/package.json`,
    ),
  ),
  'claude',
)

interface Line {
  type: string
  subtype?: string
  [field: string]: unknown
}

interface Run {
  lines: Line[]
  result: Line
  workspace: string
}

/** Starts Claude Code in a fresh home and workspace, with nothing of this process's environment but PATH. */
async function startClaude(environment: Record<string, string>, args: readonly string[]) {
  const root = await mkdtemp(join(tmpdir(), 'mock-gateway-claude-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  const [home, workspace] = [await mkdtemp(join(root, 'home-')), await mkdtemp(join(root, 'work-'))]
  const child = spawn(
    CLAUDE,
    [
      ...[
        '-p',
        '--output-format',
        'stream-json',
        '--verbose',
        '--include-partial-messages',
        '--setting-sources',
        '',
      ],
      ...['--permission-mode', 'acceptEdits', '--allowedTools', 'Bash', 'Agent', ...args],
    ],
    {
      cwd: workspace,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        TMPDIR: root,
        LANG: 'C.UTF-8',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CLAUDE_CODE_MAX_RETRIES: '2',
        CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1',
        CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
        ENABLE_TOOL_SEARCH: 'false',
        ...environment,
      },
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, workspace }
}

/** One prompt. */
async function runClaude(
  gateway: MockGateway,
  prompt: string,
  environment = gateway.environment,
): Promise<Run> {
  const { child, workspace } = await startClaude(environment, ['--', prompt])
  child.stdin.end()
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  const lines: Line[] = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const result = lines.findLast((line) => line.type === 'result')
  if (result === undefined) throw new Error(`Claude Code gave no result: ${output}`)
  return { lines, result, workspace }
}

/** Prompts of one conversation, each when the one before has its result. */
async function talkTo(gateway: MockGateway, prompts: readonly string[]): Promise<Line[]> {
  const { child } = await startClaude(gateway.environment, ['--input-format', 'stream-json'])
  const say = (content = ''): unknown =>
    child.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`)
  const results: Line[] = []
  say(prompts[0])
  for await (const text of createInterface({ input: child.stdout })) {
    const line: Line = JSON.parse(text)
    if (line.type !== 'result') continue
    results.push(line)
    if (results.length === prompts.length) child.stdin.end()
    else say(prompts[results.length])
  }
  return results
}

const directOf = (gateway: MockGateway): Record<string, string> => ({
  ANTHROPIC_BASE_URL: gateway.directUrl,
  ANTHROPIC_API_KEY: 'direct',
})

const TOOL_ROUND: Script = {
  rules: [
    {
      when: { prompt: 'say (\\w+)', round: 0 },
      reply: [
        { thinking: 'first think, then act', pieces: 'words', signature: 'signed' },
        'Let me see.',
        { tool: 'Bash', input: { command: 'echo {{1}}; pwd' }, pieces: 5 },
      ],
    },
    {
      when: { result: { tool: 'Bash', matches: 'hello\\n(.*)' } },
      reply: ['{{result.1}} is {{cwd}}', { usage: { input: 5, output: 6, cacheRead: 7, cacheCreation: 8 } }],
    },
  ],
}

test.each(['gateway', 'direct'] as const)('a tool round through the %s route', async (route) => {
  const gateway = await startGateway({ script: TOOL_ROUND, model: 'one-model' })
  const environment = route === 'direct' ? directOf(gateway) : gateway.environment
  const { result, lines, workspace } = await runClaude(gateway, 'say hello', environment)
  expect(result).toMatchObject({
    subtype: 'success',
    is_error: false,
    result: `${workspace} is ${workspace}`,
  })
  expect(lines.filter(({ type }) => type === 'stream_event').length).toBeGreaterThan(20)
  const connects = gateway.requests.filter((request) => request.route === 'proxy')
  expect(connects.map(({ path }) => path)).toEqual(route === 'direct' ? [] : ['inference.local:443'])
  const requests = gateway.requests.filter((request) => request.route !== 'proxy')
  expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual(
    Array(2).fill('POST /v1/messages?beta=true'),
  )
  expect(requests.map(({ facts }) => facts?.round)).toEqual([0, 1])
  expect(requests[0]?.facts).toMatchObject({
    prompt: 'say hello',
    subagent: false,
    cwd: workspace,
    stream: true,
  })
  expect(requests[0]?.facts?.tools).toEqual(expect.arrayContaining(['Bash', 'Write', 'Read', 'Agent']))
  if (route === 'gateway') {
    expect(requests[0]?.forwarded?.body).toMatchObject({ model: 'one-model' })
    expect(Object.keys(requests[0]?.forwarded?.headers ?? {}).sort()).toEqual([
      'accept',
      'accept-encoding',
      'anthropic-beta',
      'anthropic-version',
      'content-type',
      'user-agent',
      'x-api-key',
    ])
  }
})

test('the demo thinks, writes the file, runs a command and answers', async () => {
  const gateway = await startGateway()
  const prompt = 'Think, write a file hello.txt, run a command, then answer.'
  const { result, lines, workspace } = await runClaude(gateway, prompt)
  const written = await readFile(join(workspace, 'hello.txt'), 'utf8')
  expect(written).toContain(prompt)
  expect(result).toMatchObject({ is_error: false, result: expect.stringContaining(written.trim()) })
  const blocks = lines
    .map((line) => Object(line['event']))
    .filter((event) => event.type === 'content_block_start')
    .map((event) => event.content_block.name ?? event.content_block.type)
  expect(blocks).toEqual(['thinking', 'text', 'Write', 'text', 'Bash', 'text'])
})

test('the demo answers each of its prompts', async () => {
  const answers: Record<string, string | RegExp> = {
    'run echo one two': 'The command printed:\n\n```\none two\n```',
    'please run "false"': /^That did not work/,
    'run a command': /Linux|Darwin/,
    'think about it': /^I thought about it/,
    'ask me something': /no way to reach a person/,
    'long 12': '1 2 3 4 5 6 7 8 9 10 11 12 ',
    'good morning': /You said: good morning$/,
  }
  const results = await talkTo(await startGateway(), Object.keys(answers))
  for (const [index, [prompt, answer]] of Object.entries(answers).entries()) {
    expect(results[index]?.['is_error'], prompt).toBe(false)
    if (typeof answer === 'string') expect(results[index]?.['result'], prompt).toBe(answer)
    else expect(results[index]?.['result'], prompt).toMatch(answer)
  }
})

test('the demo fails when asked to, at once', async () => {
  const gateway = await startGateway()
  const { result } = await runClaude(gateway, 'fail')
  expect(result).toMatchObject({
    is_error: true,
    result: expect.stringContaining('The demo was asked to fail'),
  })
  expect(gateway.requests.filter(({ route }) => route === 'inference')).toHaveLength(1)
})

test('the demo hands work to a subagent, whose requests are known as such', async () => {
  const gateway = await startGateway()
  const { result } = await runClaude(gateway, 'use a subagent')
  expect(result).toMatchObject({
    is_error: false,
    result: expect.stringMatching(/^The subagent came back with/),
  })
  const requests = gateway.requests.filter(({ route }) => route === 'inference')
  expect(requests.map(({ facts }) => facts?.subagent)).toEqual([false, true, true, false])
})

test('an error in the first block makes Claude Code ask again without streaming', async () => {
  const script: Script = {
    rules: [
      { when: { stream: false }, reply: 'without streaming' },
      { reply: [{ text: 'half', open: true }, { streamError: { type: 'overloaded_error' } }] },
    ],
  }
  const gateway = await startGateway({ script })
  expect((await runClaude(gateway, 'hi')).result).toMatchObject({
    is_error: false,
    result: 'without streaming',
  })
  const streams = gateway.requests
    .filter(({ route }) => route === 'inference')
    .map(({ facts }) => facts?.stream)
  expect(streams.at(-1)).toBe(false)
})

test('a connection dropped in mid-stream is tried again', async () => {
  const script: Script = {
    rules: [{ times: 1, reply: [{ text: 'half', open: true }, { drop: true }] }, { reply: 'whole' }],
  }
  const gateway = await startGateway({ script })
  expect((await runClaude(gateway, 'hi')).result).toMatchObject({ is_error: false, result: 'whole' })
})

test.each<[string, Script, string, number]>([
  [
    'an authority it does not trust',
    { connect: { fault: 'untrusted' }, rules: [] },
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    0,
  ],
  [
    'a gateway without a route',
    { rules: [{ reply: [{ gateway: 'not-configured' }] }] },
    'cluster inference is not configured',
    3,
  ],
  [
    'a bad key',
    { rules: [{ reply: [{ error: { status: 401, message: 'invalid x-api-key' } }] }] },
    'Invalid API key',
    3,
  ],
])('%s is an error result', async (_name, script, message, requests) => {
  const gateway = await startGateway({ script })
  const { result } = await runClaude(gateway, 'hi')
  expect(result).toMatchObject({ is_error: true, result: expect.stringContaining(message) })
  expect(gateway.requests.filter(({ route }) => route === 'inference')).toHaveLength(requests)
})

test('20,000 unthrottled deltas arrive whole and in order', async () => {
  const script: Script = { rules: [{ reply: [{ deltas: { count: 20_000, text: '{{n}};' } }] }] }
  const { result } = await runClaude(await startGateway({ script }), 'go')
  expect(result['result']).toBe(Array.from({ length: 20_000 }, (_, index) => `${index + 1};`).join(''))
})
