import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { AguiEvent } from '../../../src/agui/event.ts'
import { Translator } from '../../../src/claude/translate/translator.ts'

const assistant = (parent: string | null, ...content: object[]): object => ({
  type: 'assistant',
  message: { id: `m-${parent}-${JSON.stringify(content).length}`, model: 'claude', content },
  parent_tool_use_id: parent,
  subagent_type: 'Explore',
})
const delegate = (id: string): object => ({ type: 'tool_use', id, name: 'Agent', input: { prompt: 'look' } })
const words = (text: string): object => ({ type: 'text', text })
const task = (subtype: string, toolUseId: string, more: object = {}): object => ({
  type: 'system',
  subtype,
  task_id: `task-${toolUseId}`,
  tool_use_id: toolUseId,
  task_type: 'local_agent',
  subagent_type: 'Explore',
  ...more,
})
const answer = (id: string, more: object = {}, structured?: object): object => ({
  type: 'user',
  message: { content: [{ type: 'tool_result', tool_use_id: id, content: 'raw', ...more }] },
  parent_tool_use_id: null,
  ...(structured === undefined ? {} : { tool_use_result: structured }),
})

const feed = (translator: Translator, ...messages: object[]): AguiEvent[] =>
  messages.flatMap((message) => translator.translate(message))

const lifecycle = (events: readonly AguiEvent[]): AguiEvent[] =>
  events.filter((event) => event.type.startsWith('SUBAGENT_'))

test('what a subagent says announces it when nothing else did', () => {
  const translator = new Translator()
  const events = feed(translator, assistant(null, delegate('a')), assistant('a', words('hm')))
  expect(lifecycle(events)).toMatchObject([
    { type: 'SUBAGENT_STARTED', subagentRunId: 'agent:a', name: 'Explore', parentToolCallId: 'a' },
  ])
  expect(events.at(-1)).toMatchObject({ type: 'TEXT_MESSAGE_END', subagentRunId: 'agent:a' })
})

test('its prompt does, and is told with it', () => {
  const prompt = { type: 'user', message: { content: [words('look')] }, parent_tool_use_id: 'a' }
  expect(feed(new Translator(), prompt)).toMatchObject([
    { type: 'SUBAGENT_STARTED', metadata: { 'agui-runner': { prompt: 'look' } } },
  ])
})

test('a nested one names its parent, by the call or by the task', () => {
  const outer = [task('task_started', 'outer'), assistant('outer', delegate('inner'))]
  for (const started of [
    task('task_started', 'inner'),
    task('task_started', 'x', { parent_task_id: 'task-outer' }),
  ]) {
    const events = feed(new Translator(), ...outer, started)
    expect(events.at(-1)).toMatchObject({ type: 'SUBAGENT_STARTED', parentSubagentRunId: 'agent:outer' })
  }
})

test('it is announced once', () => {
  const translator = new Translator()
  const events = feed(
    translator,
    assistant('a', words('hm')),
    task('task_started', 'a'),
    assistant('a', words('so')),
  )
  expect(lifecycle(events)).toHaveLength(1)
})

test('it ends before the result of the call that started it, with its own words', () => {
  const report = { status: 'completed', content: [words('note'), words('report')], harnessNoteCount: 1 }
  const events = feed(
    new Translator(),
    assistant(null, delegate('a')),
    task('task_started', 'a'),
    task('task_notification', 'a', { status: 'completed', summary: 'short', usage: { total_tokens: 7 } }),
    answer('a', {}, report),
  )
  expect(events.slice(-2)).toMatchObject([
    {
      type: 'SUBAGENT_FINISHED',
      result: 'report',
      metadata: { 'agui-runner': { usage: { totalTokens: 7 } } },
    },
    { type: 'TOOL_CALL_RESULT', toolCallId: 'a' },
  ])
})

test('its last words are the result where nothing better is said, and the bare result where it said none', () => {
  const result = (...before: object[]): unknown =>
    Object(lifecycle(feed(new Translator(), ...before, answer('a'))).at(-1)).result
  expect(result(task('task_started', 'a'), assistant('a', words('last')))).toBe('last')
  expect(result(task('task_started', 'a'))).toBe('raw')
})

test.each<[string, object[], object]>([
  ['failed', [], { is_error: true }],
  ['stopped', [task('task_notification', 'a', { status: 'stopped' })], { is_error: true }],
])('one that %s ends with an error', (code, before, result) => {
  const events = feed(new Translator(), task('task_started', 'a'), ...before, answer('a', result))
  expect(lifecycle(events).at(-1)).toMatchObject({ type: 'SUBAGENT_ERROR', code })
})

test('one that the run outran ends with an error, the innermost first', () => {
  const translator = new Translator()
  feed(
    translator,
    task('task_started', 'outer'),
    assistant('outer', delegate('inner')),
    task('task_started', 'inner'),
  )
  expect(lifecycle(translator.close())).toMatchObject([
    { type: 'SUBAGENT_ERROR', subagentRunId: 'agent:inner', code: 'cancelled' },
    { type: 'SUBAGENT_ERROR', subagentRunId: 'agent:outer', code: 'cancelled' },
  ])
})

test('one in the background is suspended, goes on in a later run and ends there', () => {
  const first = new Translator()
  const launched = answer('a', {}, { status: 'async_launched' })
  feed(first, assistant(null, delegate('a')), task('task_started', 'a', { description: 'look' }), launched)
  expect(first.close()).toMatchObject([{ type: 'SUBAGENT_FINISHED', outcome: { type: 'suspended' } }])
  const second = new Translator({ memory: JSON.parse(JSON.stringify(first.memory)) })
  const done = task('task_notification', 'a', { status: 'completed', summary: 'report' })
  expect(lifecycle(feed(second, assistant('a', words('hm')), done))).toMatchObject([
    { type: 'SUBAGENT_STARTED', subagentRunId: 'agent:a', name: 'Explore', description: 'look' },
    { type: 'SUBAGENT_FINISHED', subagentRunId: 'agent:a', result: 'report' },
  ])
  expect(second.memory.suspended).toEqual([])
})

test('a later run that hears nothing of it does not announce it', () => {
  const first = new Translator()
  feed(first, task('task_started', 'a', { is_backgrounded: true }))
  first.close()
  const second = new Translator({ memory: first.memory })
  expect(second.close()).toEqual([])
  expect(second.memory.suspended).toHaveLength(1)
})

test('one that is moved to the background outlives its tool result', () => {
  const translator = new Translator()
  const moved = task('task_updated', 'a', { patch: { is_backgrounded: true } })
  const events = feed(translator, task('task_started', 'a'), moved, answer('a'))
  expect(lifecycle(events).map((event) => event.type)).toEqual(['SUBAGENT_STARTED'])
})

test('one that is resumed after its end is another invocation', () => {
  const translator = new Translator()
  const events = feed(translator, task('task_started', 'a'), answer('a'), task('task_started', 'a'))
  const ids = events.flatMap((event) =>
    event.type === EventType.SUBAGENT_STARTED ? [event.subagentRunId] : [],
  )
  expect(ids).toEqual(['agent:a', 'agent:a~2'])
})

test('a run that waits for a person suspends them all, and they are announced again', () => {
  const translator = new Translator()
  feed(translator, task('task_started', 'a'))
  expect(translator.suspend()).toMatchObject([{ type: 'SUBAGENT_FINISHED', outcome: { type: 'suspended' } }])
  expect(lifecycle(feed(translator, answer('a')))).toMatchObject([
    { type: 'SUBAGENT_STARTED', subagentRunId: 'agent:a' },
    { type: 'SUBAGENT_FINISHED', subagentRunId: 'agent:a' },
  ])
})

test('a failed request of a subagent is told aside, in its name', () => {
  const failure = {
    type: 'assistant',
    message: { id: 'e', model: '<synthetic>', content: [words('overloaded')] },
    parent_tool_use_id: 'a',
    error: 'overloaded',
  }
  expect(feed(new Translator(), task('task_started', 'a'), failure).at(-1)).toEqual({
    type: 'CUSTOM',
    name: 'agui-runner.api_error',
    value: { error: 'overloaded', message: 'overloaded' },
    subagentRunId: 'agent:a',
  })
})

test('other tasks are told as tasks, housekeeping not at all', () => {
  const shell = {
    type: 'system',
    subtype: 'task_started',
    task_id: 'b',
    task_type: 'local_bash',
    description: 'x',
  }
  expect(feed(new Translator(), shell, { ...shell, skip_transcript: true })).toEqual([
    {
      type: 'CUSTOM',
      name: 'agui-runner.task',
      value: { taskId: 'b', state: 'started', taskType: 'local_bash', description: 'x' },
    },
  ])
})

test('streamed blocks of a subagent are its own', () => {
  const stream = (event: object): object => ({ type: 'stream_event', event, parent_tool_use_id: 'a' })
  const events = feed(
    new Translator(),
    task('task_started', 'a'),
    stream({ type: 'message_start', message: { id: 'm' } }),
    stream({ type: 'content_block_start', index: 0, content_block: words('') }),
    stream({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hi' } }),
  )
  expect(
    events.slice(1).every((event) => 'subagentRunId' in event && event.subagentRunId === 'agent:a'),
  ).toBe(true)
})

test('what a subagent left open is closed before it is', () => {
  const stream = (event: object): object => ({ type: 'stream_event', event, parent_tool_use_id: 'a' })
  const events = feed(
    new Translator(),
    task('task_started', 'a'),
    stream({ type: 'message_start', message: { id: 'm' } }),
    stream({ type: 'content_block_start', index: 0, content_block: words('') }),
    stream({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hi' } }),
    answer('a'),
  )
  expect(events.slice(-3).map((event) => event.type)).toEqual([
    'TEXT_MESSAGE_END',
    'SUBAGENT_FINISHED',
    'TOOL_CALL_RESULT',
  ])
})
