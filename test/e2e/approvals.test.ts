import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HttpAgent } from '@ag-ui/client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { FAKE_JWT, fake } from '../redaction/fake-secrets.ts'
import { bodyOf, type ClientEvent, events, post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const SECRET = `pw"${fake(16)}\\${fake(8)}`
/** Both with their secrets, each at a place of its own. */
const NOTE = {
  file_path: '{{cwd}}/note.txt',
  content: `password ${SECRET}\ntoken ${FAKE_JWT}\nSecretAccessKey`,
}

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'note', round: 0 }, reply: [{ tool: 'Write', input: NOTE }] },
    {
      when: { prompt: 'which token', round: 0 },
      reply: [
        {
          tool: 'AskUserQuestion',
          input: {
            questions: [
              {
                question: `Use ${FAKE_JWT}?`,
                header: 'Token',
                multiSelect: false,
                options: [
                  { label: `Yes, ${FAKE_JWT}`, description: 'this one' },
                  { label: 'No', description: 'another' },
                ],
              },
            ],
          },
        },
      ],
    },
    {
      when: { prompt: 'was restarted', round: 0 },
      reply: [{ tool: 'Bash', input: { command: 'touch made-by-bash', description: 'make it' } }],
    },
    {
      when: { prompt: 'make', round: 0 },
      reply: [
        { text: 'I will.' },
        { tool: 'Bash', input: { command: 'touch made-by-bash', description: 'make it' } },
      ],
    },
    {
      when: { prompt: 'two', round: 0 },
      reply: [
        { tool: 'Write', input: { file_path: '{{cwd}}/one.txt', content: '1' } },
        { tool: 'Write', input: { file_path: '{{cwd}}/two.txt', content: '2' } },
      ],
    },
    {
      when: { prompt: 'ask me', round: 0 },
      reply: [
        {
          tool: 'AskUserQuestion',
          input: {
            questions: [
              {
                question: 'Which color?',
                header: 'Color',
                multiSelect: false,
                options: [
                  { label: 'Red', description: 'like fire' },
                  { label: 'Blue', description: 'like the sea' },
                ],
              },
            ],
          },
        },
      ],
    },
    { when: { result: { isError: true } }, reply: 'It failed: {{result}}' },
    { when: { result: { matches: '.*' } }, reply: 'It went: {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

const ASKING = { PERMISSION_MODE: 'ask', MY_PASSWORD: SECRET }

let bench: Bench
let runner: RunnerProcess
let url: string

async function start(env: Record<string, string> = {}): Promise<void> {
  runner = await bench.start({ ...ASKING, ...env })
  url = runner.url
}

const madeFile = (): string => join(bench.workspace, 'made-by-bash')
const made = (): boolean => existsSync(madeFile())

beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  await start()
})
afterEach(() => rmSync(madeFile(), { force: true }))
afterAll(() => bench.close())

function interruptsOf(all: readonly ClientEvent[]) {
  const end = all.at(-1)
  expect(end).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'interrupt' } })
  return end?.['outcome'].interrupts
}

/** What the log keeps of a person's answers. */
const answeredIn = (all: readonly ClientEvent[]): unknown[] =>
  all.flatMap(({ name, value }) => (name === 'agui-runner.answered' ? [value] : []))

/** Most of them ask in one thread: a thread of its own is a start of Claude Code. */
const answer = (threadId: string, ...resume: unknown[]) => ({ ...runInput(threadId), messages: [], resume })

test('what no rule allows waits for a person, and runs when approved', async () => {
  const asked = await run(url, runInput('ok', 'make a file'))
  const [interrupt] = interruptsOf(asked)
  const call = asked.find(({ type }) => type === 'TOOL_CALL_START')
  expect(interrupt).toMatchObject({
    reason: 'tool_call',
    toolCallId: call?.['toolCallId'],
    responseSchema: { required: ['approved'] },
  })
  expect(made()).toBe(false)
  const session = await (await fetch(`${url}/sessions/ok`)).json()
  expect(session).toMatchObject({ state: 'interrupted', interrupts: [{ id: interrupt.id }] })
  const all = await run(
    url,
    answer('ok', {
      ...{ interruptId: interrupt.id, status: 'resolved' },
      payload: { approved: true, message: 'MIND THE TABS' },
    }),
  )
  const said = JSON.stringify(
    bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body,
  )
  expect(said).toContain('Bash is approved, with these words: MIND THE TABS')
  expect(all.map(({ type }) => type)).not.toContain('TOOL_CALL_START')
  expect(all.find(({ type }) => type === 'TOOL_CALL_RESULT')).toMatchObject({
    toolCallId: interrupt.toolCallId,
  })
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(made()).toBe(true)
  const { id: interruptId, toolCallId } = interrupt
  // Any reader finds it in the log.
  const log = await events(await fetch(`${url}/sessions/ok/events?from=0&follow=false`))
  const kept = { interruptId, toolCallId, decision: 'approved', message: 'MIND THE TABS' }
  expect(answeredIn(log)).toEqual([{ ...kept, at: expect.any(Number) }])
})

test('a refusal reaches the model in the person’s words, and nothing runs', async () => {
  const [interrupt] = interruptsOf(await run(url, runInput('one', 'make a file')))
  const all = await run(
    url,
    answer('one', {
      interruptId: interrupt.id,
      status: 'resolved',
      payload: { approved: false, message: 'not in my house' },
    }),
  )
  expect(textOf(all)).toContain('not in my house')
  expect(answeredIn(all)).toMatchObject([{ decision: 'refused', message: 'not in my house' }])
  expect(made()).toBe(false)
})

test.each([
  ['dismissed', { status: 'cancelled', payload: { approved: true } }],
  ['without a payload', { status: 'resolved' }],
  ['with rubbish', { status: 'resolved', payload: { approve: 'yes' } }],
  ['without the arguments', { status: 'resolved', payload: { approved: true, editedArgs: {} } }],
])('an answer that is %s is a no', async (_how, entry) => {
  const [interrupt] = interruptsOf(await run(url, runInput('one', 'make a file')))
  const all = await run(url, answer('one', { interruptId: interrupt.id, ...entry }))
  expect(textOf(all)).toContain('It failed')
  expect(answeredIn(all)).toMatchObject([{ decision: 'refused' }])
  expect(made()).toBe(false)
})

test('edited arguments run and are shown', async () => {
  const [interrupt] = interruptsOf(await run(url, runInput('one', 'make a file')))
  const editedArgs = { command: 'echo edited', description: 'say it' }
  const all = await run(
    url,
    answer('one', {
      interruptId: interrupt.id,
      status: 'resolved',
      payload: { approved: true, editedArgs },
    }),
  )
  expect(textOf(all)).toBe('It went: edited')
  expect(made()).toBe(false)
  expect(all.find(({ name }) => name === 'agui-runner.tool_call_edited')?.['value']).toEqual({
    toolCallId: interrupt.toolCallId,
    args: editedArgs,
  })
  const connected = await events(await fetch(`${url}/sessions/one/connect?follow=false`))
  const snapshot = connected.find(({ type }) => type === 'MESSAGES_SNAPSHOT')
  expect(JSON.stringify(snapshot)).toContain('echo edited')
})

const noteText = (): string => readFileSync(join(bench.workspace, 'note.txt'), 'utf8')

describe('what was shown without its secrets', () => {
  async function ask(threadId: string) {
    const asked = await run(url, runInput(threadId, 'note'))
    const [interrupt] = interruptsOf(asked)
    const shown: Record<string, unknown> = interrupt.metadata['agui-runner'].input
    expect(shown['content']).toBe('password [redacted]\ntoken [redacted]\nSecretAccessKey')
    // The streamed arguments say the same.
    const args = asked.map(({ type, delta }) => (type === 'TOOL_CALL_ARGS' ? delta : '')).join('')
    expect(JSON.parse(args)).toEqual(shown)
    return { id: String(interrupt.id), shown }
  }

  const edited = (id: string, editedArgs: unknown) => ({
    interruptId: id,
    status: 'resolved',
    payload: { approved: true, editedArgs },
  })

  test('is the original when it comes back beside an edited argument', async () => {
    const { id, shown } = await ask('one')
    const elsewhere = { ...shown, file_path: join(bench.workspace, 'note.txt') }
    const all = await run(url, answer('one', edited(id, elsewhere)))
    expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
    expect(noteText()).toBe(NOTE.content)
    expect(JSON.stringify(all)).not.toContain(FAKE_JWT)
  })

  test('cannot be edited itself: the marker is refused by its place, and the question stays', async () => {
    const { id, shown } = await ask('one')
    for (const [editedArgs, place] of [
      [{ ...shown, content: `${shown['content']}!` }, 'editedArgs.content'],
      [{ ...shown, file_path: shown['content'] }, 'editedArgs.file_path'],
      [{ ...shown, more: [{ a: '[redacted]' }] }, 'editedArgs.more.0.a'],
      [{ ...shown, '[redacted]': 1 }, 'A key of editedArgs'],
    ]) {
      const refused = await post(url, answer('one', edited(id, editedArgs)))
      expect(refused.status).toBe(400)
      const { error } = await bodyOf(refused)
      expect(error).toMatchObject({
        code: 'invalid_input',
        message: expect.stringContaining(`${place} holds`),
      })
    }
    expect(await bodyOf(await fetch(`${url}/sessions/one`))).toMatchObject({ state: 'interrupted' })
    const all = await run(url, answer('one', edited(id, { ...shown, content: 'new words' })))
    expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
    expect(noteText()).toBe('new words')
  })

  test('is the original after a restart too', async () => {
    const { id, shown } = await ask('later')
    await runner.stop('SIGKILL')
    await start()
    await run(url, answer('later', edited(id, shown)))
    const told = JSON.stringify(bench.gateway.requests.at(-1))
    expect(told).toContain(`token ${FAKE_JWT}`)
    expect(told).not.toContain('[redacted]')
  })

  test('in a question does not keep its answer from the model', async () => {
    const [interrupt] = interruptsOf(await run(url, runInput('one', 'which token')))
    expect(interrupt.message).toBe('Use [redacted]?')
    const payload = { answers: { 'Use [redacted]?': 'Yes, [redacted]' } }
    const all = await run(url, answer('one', { interruptId: interrupt.id, status: 'resolved', payload }))
    expect(textOf(all)).toContain('"Use [redacted]?"="Yes, [redacted]"')
    const told = bench.gateway.requests.map((request) => JSON.stringify(request)).at(-1)
    expect(told).toContain(`Yes, ${FAKE_JWT}`)
  })
})

test("the marker as somebody's own word, where nothing was hidden, is a word", async () => {
  const [interrupt] = interruptsOf(await run(url, runInput('one', 'make a file')))
  const editedArgs = { command: 'echo "it says [redacted]"', description: 'say it' }
  const payload = { approved: true, editedArgs }
  const all = await run(url, answer('one', { interruptId: interrupt.id, status: 'resolved', payload }))
  expect(textOf(all)).toBe('It went: it says [redacted]')
})

test('a thread that waits takes no other run, and says what it waits for', async () => {
  const [interrupt] = interruptsOf(await run(url, runInput('wait', 'make a file')))
  const refused = await post(url, runInput('wait', 'never mind'))
  const { error } = (await refused.json()) as { error: unknown }
  expect([refused.status, error]).toMatchObject([
    409,
    { code: 'interrupt_open', details: { interrupts: [{ id: interrupt.id }] } },
  ])
  const unknown = await post(
    url,
    answer('wait', { interruptId: 'nobody', status: 'resolved', payload: true }),
  )
  expect(unknown.status).toBe(409)
  const connected = await events(await fetch(`${url}/sessions/wait/connect?follow=false`))
  expect(connected.at(-1)).toMatchObject({
    outcome: { type: 'interrupt', interrupts: [{ id: interrupt.id }] },
  })
})

test('several questions are answered one by one or together, each exactly once', async () => {
  let all = await run(url, runInput('one', 'two files'))
  let rounds = 0
  while (all.at(-1)?.['outcome']?.type === 'interrupt') {
    rounds += 1
    const resume = interruptsOf(all).map(({ id }: { id: string }) => ({
      interruptId: id,
      status: 'resolved',
      payload: true,
    }))
    all = await run(url, answer('one', ...resume))
  }
  expect(rounds).toBeGreaterThan(0)
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(existsSync(join(bench.workspace, 'one.txt')) && existsSync(join(bench.workspace, 'two.txt'))).toBe(
    true,
  )
})

test('a question of the model is answered with a choice', async () => {
  const [interrupt] = interruptsOf(await run(url, runInput('one', 'ask me')))
  expect(interrupt).toMatchObject({ reason: 'input_required', message: 'Which color?' })
  expect(JSON.stringify(interrupt.responseSchema)).toContain('"enum":["Red","Blue"]')
  const payload = { answers: { 'Which color?': 'Blue' } }
  const lost = { answers: { ...payload.answers, 'Which colour?': 'Red' } }
  const entry = { interruptId: interrupt.id, status: 'resolved' }
  const refused = await post(url, answer('one', { ...entry, payload: lost }))
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('Which colour?')])
  const all = await run(url, answer('one', { ...entry, payload }))
  expect(textOf(all)).toContain('"Which color?"="Blue"')
  expect(answeredIn(all)).toMatchObject([{ decision: 'answered' }])
})

test.each([
  ['a kill -9 of the runner', 'SIGKILL', {}],
  ['a stop, when the next process is started ahead of the answer', 'SIGTERM', { SESSION_ID: 'SIGTERM' }],
] as const)('an approval that outlives %s: the tool runs once', async (_what, threadId, env) => {
  const [interrupt] = interruptsOf(await run(url, runInput(threadId, 'make a file')))
  await runner.stop(threadId)
  await start(env)
  const session = async () => await bodyOf(await fetch(`${url}/sessions/${threadId}`))
  expect(await session()).toMatchObject({ state: 'interrupted', interrupts: [{ id: interrupt.id }] })
  if ('SESSION_ID' in env) await expect.poll(async () => (await session())['warm']).toBe(true)
  expect(made()).toBe(false)
  const approval = { interruptId: interrupt.id, status: 'resolved', payload: true }
  const all = await run(url, answer(threadId, approval))
  expect(answeredIn(all)).toMatchObject([{ interruptId: interrupt.id, decision: 'approved' }])
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(all.filter(({ type }) => type === 'TOOL_CALL_RESULT')).toHaveLength(1)
  expect(made()).toBe(true)
})

test('an approval that no Claude Code came to hear can be given again', async () => {
  const [interrupt] = interruptsOf(await run(url, runInput('unheard', 'make a file')))
  const approval = { interruptId: interrupt.id, status: 'resolved', payload: true }
  await runner.stop('SIGTERM')
  await start({ CLAUDE_CLI_PATH: '/bin/false' })
  const failed = await run(url, answer('unheard', approval))
  expect(failed.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'claude_start_failed' })
  await runner.stop('SIGTERM')
  await start()
  expect((await run(url, answer('unheard', approval))).at(-1)).toMatchObject({ outcome: { type: 'success' } })
  expect(made()).toBe(true)
})

test("AG-UI's own client drives the interrupt and the resume", async () => {
  const agent = new HttpAgent({ url, threadId: 'client' })
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content: 'make a file' })
  await agent.runAgent()
  const [pending] = agent.pendingInterrupts
  await agent.runAgent({
    resume: [{ interruptId: pending?.id ?? '', status: 'resolved', payload: { approved: true } }],
  })
  expect(agent.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
  expect(made()).toBe(true)
})
