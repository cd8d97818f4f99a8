// Threads are strangers to each other, and nothing happens on a thread outside of a run in its log: no model request,
// no tool call. What could break that in Claude Code is off, refused, or asks the runner first.
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BUILTIN_TOOL_NAMES,
  type Options,
  query,
  type SDKMessage,
  type SDKUserMessage,
} from '@anthropic-ai/claude-agent-sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BUILTIN_TOOLS, offeredTools } from '../../src/claude/launch/builtin-tools.ts'
import { parseSdkOverrides } from '../../src/claude/launch/sdk-overrides.ts'
import type { Script } from '../../src/mock/script.ts'
import { type ClientEvent, run, runInput, textOf } from '../support/client.ts'
import { claudeOf } from '../support/processes.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const SCRIPT: Script = {
  rules: [
    { when: { subagent: true, prompt: 'first task' }, reply: 'First done.' },
    { when: { subagent: true }, reply: 'Second done.' },
    { when: { prompt: 'call (\\w+) (.*)', round: 0 }, reply: [{ tool: '{{1}}', rawInput: '{{2}}' }] },
    {
      when: { prompt: 'delegate', round: 0 },
      reply: [
        {
          tool: 'Agent',
          input: { description: 'd', prompt: 'first task', subagent_type: 'general-purpose' },
        },
      ],
    },
    {
      when: { prompt: 'delegate', round: 1, result: { tool: 'Agent', matches: 'agentId: (\\w+)' } },
      reply: [{ tool: 'SendMessage', input: { to: '{{result.1}}', summary: 'go on', message: 'and again' } }],
    },
    { reply: 'You said: {{prompt}} {{result}}' },
  ],
}

let bench: Bench
let runner: RunnerProcess
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.start({ PERMISSION_MODE: 'accept-edits' })
})
afterAll(() => bench.close())

const isPrompt = (text: string) => (request: { facts?: { prompt: string } | undefined }) =>
  request.facts?.prompt.includes(text) === true
const resultOf = (all: readonly ClientEvent[]): unknown =>
  all.find(({ type }) => type === 'TOOL_CALL_RESULT')?.['content']

/** The messages of one bare Claude Code session beside the runner's, on the same folders, until it has had `turns`. */
async function bareSession(prompt: string, turns: number, options: Options = {}): Promise<SDKMessage[]> {
  const heard: SDKMessage[] = []
  const over = new AbortController()
  const session = query({
    prompt: (async function* (): AsyncGenerator<SDKUserMessage> {
      yield { type: 'user', message: { role: 'user', content: prompt }, parent_tool_use_id: null }
      await once(over.signal, 'abort')
    })(),
    options: {
      cwd: bench.workspace,
      env: {
        PATH: process.env['PATH'],
        HOME: bench.home,
        TMPDIR: bench.directory,
        CLAUDE_CONFIG_DIR: `${bench.state}/claude`,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        ENABLE_TOOL_SEARCH: 'false',
        ANTHROPIC_API_KEY: 'none',
        ...bench.gateway.environment,
      },
      settingSources: [],
      canUseTool: async (_tool, input) => ({ behavior: 'allow', updatedInput: input }),
      ...options,
    },
  })
  for await (const message of session) {
    heard.push(message)
    if (message.type === 'result' && heard.filter(({ type }) => type === 'result').length === turns) break
  }
  over.abort()
  return heard
}

describe('the built-in tools', () => {
  test('each that the SDK names has a decision, and no other but those it keeps to itself', () => {
    expect([...BUILTIN_TOOLS.keys()].sort()).toEqual([...BUILTIN_TOOL_NAMES, 'DesignSync'].sort())
  })

  test('each that Claude Code offers when nothing is said has a decision', async () => {
    const [init] = (await bareSession('hello', 1)).filter(
      (message) => message.type === 'system' && message.subtype === 'init',
    )
    const tools = init?.type === 'system' && init.subtype === 'init' ? init.tools : []
    expect(tools).toContain('Workflow')
    // It lists Agent by its former name.
    expect(tools.filter((name) => name !== 'Task' && !BUILTIN_TOOLS.has(name))).toEqual([])
  })

  test('the model is offered these and no others', async () => {
    await run(runner.url, runInput('offered', 'what is there'))
    const request = bench.gateway.requests.find(isPrompt('what is there'))
    expect(request?.facts?.tools).toEqual([
      'Agent',
      'AskUserQuestion',
      'Bash',
      'Edit',
      'EnterPlanMode',
      'EnterWorktree',
      'ExitPlanMode',
      'ExitWorktree',
      'NotebookEdit',
      'Read',
      'ReportFindings',
      'SendMessage',
      'Skill',
      'TaskStop',
      'WebFetch',
      'WebSearch',
      'Write',
    ])
    // What one thread has Claude Code remember would stand in the system prompt of all others.
    expect(JSON.stringify(request?.body)).not.toContain('persistent file-based memory')
  })

  test('an operator may have those that Claude Code gives on request, and none of the others', () => {
    expect(offeredTools(['Glob', 'Bash(git:*)', 'mcp__x__y'])).toEqual([...offeredTools([]), 'Glob'])
    expect(() =>
      parseSdkOverrides('{"allowedTools":["Read","Workflow(x)"]}', { model: undefined, env: {} }),
    ).toThrow('allowedTools.1: Workflow(x) is not offered here, because it works in the background')
  })

  test.each([
    ['ListAgents', '{}'],
    ['Workflow', JSON.stringify({ script: 'return 1' })],
    ['CronCreate', JSON.stringify({ cron: '* * * * *', prompt: 'again', recurring: true })],
    ['ScheduleWakeup', JSON.stringify({ delaySeconds: 60, reason: 'r', prompt: 'again' })],
    ['Monitor', JSON.stringify({ command: 'echo x', description: 'd' })],
  ])('a call of %s runs nothing', async (tool, input) => {
    const all = await run(runner.url, runInput('offered', `call ${tool} ${input}`))
    expect(resultOf(all)).toContain(`No such tool available: ${tool}`)
  })
})

describe('a message', () => {
  test('to a subagent of the same session is answered within the run', async () => {
    const all = await run(runner.url, runInput('own', 'delegate'))
    expect(all.filter(({ type }) => type === 'TOOL_CALL_RESULT').map(({ content }) => content)).toEqual([
      expect.stringContaining('First done.'),
      expect.stringContaining('Second done.'),
    ])
    expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  })

  test('to another thread is not sent', async () => {
    await run(runner.url, runInput('offered', 'hello'))
    const [pid] = claudeOf(bench)
    const message = { to: `uds:${bench.directory}/cc-socks/${pid}.sock`, summary: 's', message: 'PEER WORDS' }
    const all = await run(runner.url, runInput('own', `call SendMessage ${JSON.stringify(message)}`))
    expect(resultOf(all)).toContain('Only subagents of this session can be sent a message')
  })

  test('of a session that is not held to this is refused by the one it is for', async () => {
    const before = claudeOf(bench)
    await run(runner.url, runInput('target', 'hello'))
    const [pid] = claudeOf(bench).filter((each) => !before.includes(each))
    const message = { to: `uds:${bench.directory}/cc-socks/${pid}.sock`, summary: 's', message: 'PEER WORDS' }
    await bareSession(`call SendMessage ${JSON.stringify(message)}`, 2)
    const signal = AbortSignal.timeout(20_000)
    await bench.gateway.waitForRequest(isPrompt('was refused'), signal)
    expect(bench.gateway.requests.filter(isPrompt('Another Claude session sent'))).toEqual([])
    expect(textOf(await run(runner.url, runInput('target', 'still there')))).toContain('still there')
  })
})

test('a turn that a hook of the workspace would start is refused before the model hears of it', async () => {
  const command = 'echo WAKE UP >&2; exit 2'
  mkdirSync(join(bench.workspace, '.claude'))
  writeFileSync(
    join(bench.workspace, '.claude/settings.json'),
    JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command, asyncRewake: true }] }] } }),
  )
  const woken = await bench.start({
    RUNNER_STATE_DIR: join(bench.directory, 'woken'),
    CLAUDE_SETTING_SOURCES: 'project',
  })
  await run(woken.url, runInput('woken', 'say something'))
  await woken.line((line) => line['what'] === 'turn' && line['threadId'] === 'woken')
  expect(await woken.stop()).toBe(0)
  expect(bench.gateway.requests.filter(isPrompt('say something'))).toHaveLength(1)
})
