import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { oneOff, startOneOff } from '../support/one-off.ts'
import { claudeOf } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { oneOrAll } from '../support/signals.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'fail' }, reply: [{ error: { status: 403, message: 'not with this key' } }] },
    { when: { prompt: 'slow' }, reply: [{ text: 'one' }, { hang: true }] },
    { when: { prompt: 'stream' }, reply: [{ deltas: { count: 100_000, perSecond: 100, text: 'word ' } }] },
    {
      when: { prompt: 'make', round: 0 },
      reply: [
        { text: 'I will.' },
        { tool: 'Bash', input: { command: 'touch made', description: 'make it' } },
      ],
    },
    { when: { result: { isError: true } }, reply: 'It was refused.' },
    { when: { result: { matches: '.*' } }, reply: '\u001b[2JIt went.' },
    { reply: [{ text: 'You said: {{prompt}}', pieces: 'words' }] },
  ],
}

let bench: Bench
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
})
afterAll(() => bench.close())

const json = (text: string): Record<string, unknown> => JSON.parse(text)

test('the answer is stdout, with what was piped in behind the prompt, and the events are in their file', async () => {
  const file = join(bench.directory, 'events.ndjson')
  const { code, stdout, stderr } = await oneOff(bench, ['--here', '-p', 'look at', '--events', file], {
    input: 'the piped text\n',
  })
  expect([code, stdout, stderr]).toEqual([0, 'You said: look at\n\nthe piped text\n', ''])
  const records = readFileSync(file, 'utf8').trimEnd().split('\n').map(json)
  expect(records.map(({ seq }) => seq)).toEqual(records.map((_, index) => index + 1))
  expect(records[0]).toMatchObject({ event: { type: 'RUN_STARTED' } })
  expect(records.at(-1)).toMatchObject({ event: { type: 'RUN_FINISHED', outcome: { type: 'success' } } })
  expect(claudeOf(bench)).toEqual([])
  expect(existsSync(join(bench.workspace, '.runner'))).toBe(false)
})

test('--continue goes on with the last thread of the folder; --json is one object', async () => {
  const first = await oneOff(bench, ['--here', '--prompt-file', '-', '--thread', 'a/b'], {
    input: 'remember',
  })
  expect(first).toMatchObject({ code: 0, stdout: 'You said: remember\n' })
  const { code, stdout } = await oneOff(bench, ['--here', '-c', '--json', '-p', 'and now'])
  expect(code).toBe(0)
  expect(json(stdout)).toMatchObject({
    outcome: 'success',
    exitCode: 0,
    text: 'You said: and now',
    threadId: 'a/b',
    usage: [{ provider: 'anthropic' }],
    refused: [],
  })
  expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('remember')
})

test('what fails is told by its code, and is 3', async () => {
  const { code, stdout, stderr } = await oneOff(bench, ['--here', '--json', '-p', 'fail'])
  expect(code).toBe(3)
  expect(json(stdout)).toMatchObject({ outcome: 'error', error: { code: 'model_unauthorized' } })
  expect(stderr).toMatch(/^agui-runner: model_unauthorized: /)
})

describe('a run that is ended from outside is cancelled, with what it said', () => {
  test.each(oneOrAll(['SIGINT', 'SIGTERM'] as const))('by %s', async (signal) => {
    const { child, exited, has, stdout, stderr } = startOneOff(bench, ['--here', '-p', 'slow'])
    await has('stdout', 'one')
    child.kill(signal)
    expect([await exited, stdout().trim()]).toEqual([4, 'one'])
    expect(stderr()).toContain('cancelled: interrupted')
    expect(claudeOf(bench)).toEqual([])
  })

  test('by the time limit', async () => {
    const { code, stdout } = await oneOff(bench, ['--here', '--json', '-p', 'slow', '--time-limit', '3s'])
    expect(code).toBe(4)
    expect(json(stdout)).toMatchObject({ outcome: 'cancelled', exitCode: 4, reason: 'the time limit' })
  })

  test('by a reader of stdout that leaves', async () => {
    const { child, exited, has, stderr } = startOneOff(bench, ['--here', '-p', 'stream'])
    await has('stdout', 'word')
    child.stdout.destroy()
    expect(await exited).toBe(4)
    expect(stderr()).toContain('cancelled: nobody reads stdout')
  })
})

test.each([
  ['the object', ['--json', '-p', 'hello'], 1],
  ['the text', ['-p', 'stream'], 4],
])('where %s cannot be written is no success', async (_, args, code) => {
  const full = await oneOff(bench, ['--here', ...args], { stdout: '/dev/full' })
  expect([full.code, full.stderr]).toEqual([
    code,
    expect.stringContaining('stdout cannot be written: ENOSPC'),
  ])
})

test('a run whose events cannot be written is said, and is no success', async () => {
  const { code, stdout, stderr } = await oneOff(bench, ['--here', '--events', '/dev/full', '-p', 'hello'])
  expect([code, stdout, stderr]).toEqual([
    1,
    expect.stringContaining('hello'),
    expect.stringContaining('--events has not everything: ENOSPC'),
  ])
})

test('where nobody can be asked, what asks is refused and said, and the run goes on', async () => {
  const { code, stdout, stderr } = await oneOff(bench, ['--here', '--json', '-p', 'make it'], {
    env: { PERMISSION_MODE: 'ask' },
  })
  expect(code).toBe(0)
  expect(json(stdout)).toMatchObject({ text: 'It was refused.', refused: [{ tool: 'Bash' }] })
  expect(stderr).toContain('refused, for there is no terminal to ask on')
  expect(existsSync(join(bench.workspace, 'made'))).toBe(false)
})

test('on a terminal a person is asked; Ctrl-D leaves it open; it does not obey the agent', async () => {
  const env = { PERMISSION_MODE: 'ask' }
  for (const [typed, code] of [
    ['\u0004', 5],
    ['y\n', 0],
  ] as const) {
    const { child, exited, has, stdout } = startOneOff(bench, ['--here', '-p', 'make it'], {
      env,
      onTerminal: true,
    })
    await has('stdout', 'or what to do instead: ')
    expect(stdout()).toContain('touch made')
    child.stdin.write(typed)
    expect([await exited, existsSync(join(bench.workspace, 'made'))]).toEqual([code, code === 0])
    expect(stdout().includes('\ufffd[2JIt went.')).toBe(code === 0)
  }
})

test.each([
  [['-c', '-p', 'hello'], 'go with --here'],
  [['--here', '-p', ' '], 'the prompt is empty'],
  [['--here', '-p', 'a', '--prompt-file', 'b'], 'not both'],
  [['--here', '-p', 'a', '--thread', '..'], '--thread "..": give it another name.'],
  [['--here', '-p', 'a', '--time-limit', '5'], '90s, 30m or 2h'],
  [['--here', '-p', 'a', '--time-limit', '556h'], 'at most 555h'],
  [
    ['--here', '-p', 'a', '--policy', 'strict.yaml', '--mode', 'private'],
    'leave out --mode, --policy, or --here',
  ],
  [['--workspace', 'none', '--depth', '1', '-p', 'a'], '--depth and --base are of a clone'],
  [['--workspace', 'clone', '--git', 'hidden', '-p', 'a'], 'the workspace is clone'],
  [['--here', '-p', 'a', '--events', '/nowhere/file'], '--events cannot be written'],
])('%j is refused with 2', async (args, words) => {
  const { code, stdout, stderr } = await oneOff(bench, args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toContain(words)
})
