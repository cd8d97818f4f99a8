import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { RunContext, RunEnd } from '../../src/agent/agent.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import { Turn } from '../../src/claude/turn.ts'
import { NO_CONVERSATION } from '../../src/claude/turn-end.ts'
import { RunnerError } from '../../src/errors.ts'
import { turn as loop } from '../support/event-log.ts'

const INIT = { type: 'system', subtype: 'init', session_id: 's' }
const RESULT = { type: 'result', subtype: 'success', is_error: false, session_id: 's', result: 'done' }
const taken = (uuid: string) => ({ type: 'command_lifecycle', command_uuid: uuid, state: 'started' })
const QUESTION: RunEnd = { outcome: 'interrupt', interrupts: [{ id: 'q', reason: 'tool_call' }] }

function world(question: () => RunEnd | undefined = () => undefined) {
  const turn = new Turn({
    memory: undefined,
    clientToolPrefix: undefined,
    question,
    switches: {},
    surroundings: '',
    tools: [],
  })
  const told: AguiEvent[] = []
  const stop = new AbortController()
  const context: RunContext = {
    signal: stop.signal,
    begun: Promise.resolve(),
    emit(events) {
      told.push(...events)
      return undefined
    },
  }
  return { turn, told, stop, context }
}

const steered = (id: string) => ({ id, content: `words of ${id}`, isShown: false })

test('ends with its result, once: what comes later is nobody’s', async () => {
  const { turn, told, context } = world()
  const ended = turn.follow(context)
  await turn.onMessage(INIT)
  await turn.onMessage(RESULT)
  expect(await ended).toMatchObject({ outcome: 'success' })
  const before = told.length
  await turn.onMessage(INIT)
  turn.fail(new RunnerError('claude_exited', 'late'))
  expect([turn.isOver, turn.hasLeftovers, turn.steer('u', steered('m'))]).toEqual([true, false, false])
  expect([told.length, await turn.follow(context)]).toMatchObject([before, { outcome: 'success' }])
})

test('failed before anybody follows it ends whoever comes', async () => {
  const { turn, context } = world()
  turn.fail(new RunnerError('claude_exited', 'gone'))
  expect(await turn.follow(context)).toEqual({ outcome: 'error', code: 'claude_exited', message: 'gone' })
})

test('a process that goes while the run is stopped was asked to', async () => {
  const { turn, stop, context } = world()
  const ended = turn.follow(context)
  stop.abort()
  turn.fail(new RunnerError('claude_exited', 'gone'))
  expect(await ended).toEqual({ outcome: 'cancelled' })
})

test('is over without a word when there is nothing to resume', async () => {
  const { turn, told, context } = world()
  const ended = turn.follow(context)
  await turn.onMessage({ ...RESULT, is_error: true, errors: ['No conversation found with session ID: s'] })
  expect([await ended, told]).toEqual([NO_CONVERSATION, []])
})

test('begins when Claude Code has taken the prompt in, not when it is followed', async () => {
  const { turn, context } = world()
  let isBegun = false
  const begun = turn.begun.then(() => {
    isBegun = true
  })
  const ended = turn.follow(context)
  await loop()
  expect(isBegun).toBe(false)
  await turn.onMessage(INIT)
  await begun
  await turn.onMessage(RESULT)
  await ended
})

test('a result does not end the run while what was steered in still has its turn', async () => {
  const { turn, told, context } = world()
  const ended = turn.follow(context)
  await turn.onMessage(INIT)
  expect(turn.steer('u1', steered('m1'))).toBe(true)
  await turn.onMessage(RESULT)
  expect(turn.isOver).toBe(false)
  await turn.onMessage(taken('u1'))
  expect(told.filter((event) => 'messageId' in event && event.messageId === 'm1')).toHaveLength(3)
  await turn.onMessage(taken('u1'))
  await turn.onMessage(taken('somebody else'))
  expect(told.filter(({ type }) => type === EventType.TEXT_MESSAGE_START)).toHaveLength(1)
  await turn.onMessage(INIT)
  await turn.onMessage(RESULT)
  expect([await ended, turn.hasLeftovers]).toMatchObject([{ outcome: 'success' }, false])
})

test('a picture that is steered in is shown beside the words, and alone without any', async () => {
  const { turn, told, context } = world()
  void turn.follow(context)
  const image = { type: 'image' as const, source: { type: 'url' as const, value: 'https://host/a.png' } }
  const words = { type: 'text' as const, text: 'look' }
  turn.steer('u1', { id: 'm1', name: 'Ann', content: [words, image], isShown: false })
  turn.steer('u2', { id: 'm2', content: [image], isShown: false })
  for (const uuid of ['u1', 'u2']) await turn.onMessage(taken(uuid))
  const metadata = { 'agui-runner': { parts: [image] } }
  expect(told).toEqual([
    { type: EventType.TEXT_MESSAGE_START, messageId: 'm1', role: 'user', name: 'Ann', metadata },
    { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm1', delta: 'look' },
    { type: EventType.TEXT_MESSAGE_END, messageId: 'm1' },
    { type: EventType.TEXT_MESSAGE_START, messageId: 'm2', role: 'user', metadata },
    { type: EventType.TEXT_MESSAGE_END, messageId: 'm2' },
  ])
})

test('what is steered in and never taken in is left over when the process fails', async () => {
  const { turn, context } = world()
  const ended = turn.follow(context)
  turn.steer('u1', steered('m1'))
  turn.fail(new RunnerError('claude_exited', 'gone'))
  expect([await ended, turn.hasLeftovers]).toMatchObject([{ outcome: 'error' }, true])
})

test('parks with a question once it is quiet; what is said meanwhile is told by the run that goes on', async () => {
  let question: RunEnd | undefined = QUESTION
  const { turn, told, context } = world(() => question)
  const first = turn.follow(context)
  await turn.onMessage(INIT)
  turn.considerParking()
  expect([await first, turn.isParked]).toEqual([QUESTION, true])
  const before = told.length
  await turn.onMessage(RESULT)
  expect([turn.isOver, told.length]).toEqual([false, before])
  question = undefined
  expect(await turn.follow(context)).toMatchObject({ outcome: 'success' })
})

test('a question that has gone before the turn was quiet parks nothing', async () => {
  let question: RunEnd | undefined = QUESTION
  const { turn, context } = world(() => question)
  const ended = turn.follow(context)
  turn.considerParking()
  question = undefined
  turn.considerParking()
  expect(turn.isParked).toBe(false)
  await turn.onMessage(RESULT)
  expect(await ended).toMatchObject({ outcome: 'success' })
})

test('a process that goes while nobody runs ends the run that comes with its reason', async () => {
  const { turn, context } = world(() => QUESTION)
  const first = turn.follow(context)
  turn.considerParking()
  await first
  turn.fail(new RunnerError('claude_exited', 'gone'))
  expect(turn.isParked).toBe(false)
  expect(await turn.follow(context)).toMatchObject({ outcome: 'error', code: 'claude_exited' })
})
