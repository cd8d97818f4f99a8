import { PassThrough } from 'node:stream'
import { EventType } from '@ag-ui/core'
import { Runner } from '@agui-runner/client'
import { describe, expect, test } from 'vitest'
import type { AskedOnce } from '../../src/agui/asked.ts'
import { AnswerText } from '../../src/one-off/answer-text.ts'
import { parseDuration } from '../../src/one-off/duration.ts'
import { runOneOff } from '../../src/one-off/one-off.ts'
import { nobody, personAt } from '../../src/one-off/person.ts'
import { printable } from '../../src/printable.ts'
import { openScriptedRunner } from '../support/scripted-runner.ts'

test.each([
  ['90s', 90_000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['0s', undefined],
  ['30', undefined],
  ['1.5h', undefined],
  ['-1s', undefined],
  ['9999999s', undefined],
])('%s is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test('nothing that a terminal would obey is left', () => {
  expect(printable('a\tb\nc\u001b[2Jd\re\u009bf\u202eg')).toBe('a\tb\nc\ufffd[2Jd\ufffde\ufffdf\ufffdg')
})

const call = (id: string): AskedOnce => ({
  ...{ id, kind: 'call', message: 'Bash wants to run.', tool: 'Bash', input: { command: 'ls' }, choices: [] },
})
const questions: AskedOnce = {
  ...{ id: 'q', kind: 'questions', message: '', tool: 'AskUserQuestion', input: {} },
  choices: [
    {
      question: 'Which?',
      multiSelect: false,
      options: [
        { label: 'Red', description: '' },
        { label: 'Blue', description: '' },
      ],
    },
    {
      question: 'And?',
      multiSelect: true,
      options: [
        { label: 'A', description: '' },
        { label: 'B', description: '' },
      ],
    },
  ],
}

async function answer(typed: string, ...asked: AskedOnce[]) {
  const input = new PassThrough()
  input.end(typed)
  const entries = await personAt(input, new PassThrough().resume()).answer(
    asked,
    new AbortController().signal,
  )
  return entries?.map(({ payload }) => payload)
}

describe('a person at a terminal', () => {
  test.each([
    ['y\n', { approved: true }],
    ['YES\n', { approved: true }],
    ['a\n', { approved: true, remember: true }],
    ['n\n', { approved: false }],
    ['\n\nno\n', { approved: false }],
    ['use cat instead\n', { approved: false, message: 'use cat instead' }],
  ])('%j', async (typed, payload) => {
    expect(await answer(typed, call('1'))).toEqual([payload])
  })

  test('answers several at once; an end before the last leaves all open', async () => {
    expect(await answer('y\nn\n', call('1'), call('2'))).toEqual([{ approved: true }, { approved: false }])
    expect(await answer('y\n', call('1'), call('2'))).toBeUndefined()
  })

  test.each([
    ['2\n1,2\n', { 'Which?': 'Blue', 'And?': ['A', 'B'] }],
    ['Green\n1,9\n', { 'Which?': 'Green', 'And?': '1,9' }],
    ['1,2\n2\n', { 'Which?': '1,2', 'And?': ['B'] }],
    ['0x1\n1 , 2\n', { 'Which?': '0x1', 'And?': ['A', 'B'] }],
  ])('chooses by %j', async (typed, answers) => {
    expect(await answer(typed, questions)).toEqual([{ answers }])
  })
})

test('nobody refuses everything, and every refusal is said', async () => {
  const said: string[] = []
  const entries = await nobody(({ id }) => said.push(id)).answer(
    [call('1'), questions],
    new AbortController().signal,
  )
  expect(entries).toMatchObject([{ payload: { approved: false } }, { status: 'cancelled' }])
  expect(said).toEqual(['1', 'q'])
})

test('the answer is the last message that says something and was not taken back', () => {
  const text = new AnswerText()
  const said = (messageId: string, delta: string, subagentRunId?: string) =>
    text.add({
      ...{ type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta },
      ...(subagentRunId === undefined ? {} : { subagentRunId }),
    })
  expect([said('1', 'first'), text.add({ type: EventType.TEXT_MESSAGE_END, messageId: '1' })]).toEqual([
    'first',
    '\n',
  ])
  expect(said('s', 'of a subagent', 'sub')).toBe('')
  said('2', 'wrong')
  const value = { reason: 'abandoned', messageIds: ['2'], toolCallIds: [] }
  expect(text.add({ type: EventType.CUSTOM, name: 'agui-runner.retracted', value })).toContain('taken back')
  expect(text.last).toBe('first')
})

test('what was received before a later run was refused is kept beside the failure', async () => {
  const script = {
    rules: [{ reply: [{ text: 'half an answer' }, { tool: 'Bash', input: { command: 'ls' } }] }],
  }
  const scripted = await openScriptedRunner({ script, asks: ['Bash'] })
  let runs = 0
  const runner = new Runner({
    url: scripted.url,
    fetch: async (url, options) => {
      if (options.method === 'POST' && runs++ > 0)
        return Response.json({ error: { code: 'unauthorized', message: 'no longer' } }, { status: 401 })
      return await fetch(url, options)
    },
  })
  try {
    const end = await runOneOff({
      ...{ runner, threadId: 'one', prompt: 'begin', model: undefined, costLimitUsd: undefined },
      person: nobody(() => {}),
      signal: new AbortController().signal,
      onRecord: async () => {},
    })
    expect(end).toMatchObject({
      ...{ outcome: 'error', text: 'half an answer' },
      ...{ runIds: [expect.any(String)], failure: expect.objectContaining({ message: 'no longer' }) },
    })
  } finally {
    await scripted.close()
  }
})
