// What a conversation decides before it has a process, and when it gets none. With one: test/agent/claude.test.ts and e2e.
import type { Message } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { RunContext } from '../../src/agent/agent.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import { Conversation } from '../../src/claude/conversation.ts'
import { freshMemory, type Memory } from '../../src/claude/memory.ts'
import type { ClaudeAgentOptions, Owner, SlotHolder } from '../../src/claude/options.ts'
import { RunnerError } from '../../src/errors.ts'
import { type Deferred, deferred } from '../support/deferred.ts'
import { turn as loop } from '../support/event-log.ts'

const HERE = { directory: '/w', additionalDirectories: [], instructions: undefined, key: '/w', problems: [] }
const OPTIONS: ClaudeAgentOptions = {
  ...{ executable: '/nowhere/claude', model: 'the-default', permissionMode: 'ask', settingSources: [] },
  ...{ mcpServers: {}, overrides: {}, sessionConfig: undefined, denied: { read: [], write: [] } },
  ...{ env: {}, workspace: '/w', mark: 'conversation-test', slashCommands: false, processesMax: 1 },
  ...{
    startTimeoutMs: 1000,
    controlTimeoutMs: 1000,
    stopStepMs: 1000,
    idleMs: 1000,
    interruptGraceMs: 1000,
    interruptExpiresMs: 0,
  },
  ...{ inside: undefined, transcripts: undefined, workspaceId: undefined },
  place: async () => HERE,
  prepared: async () => undefined,
  beforeStart: async () => undefined,
}

/** Whoever asks for a slot waits for `refused`, and then gets none. */
function world(
  memory: Partial<Memory> = {},
  { refused, ...options }: { refused?: Deferred } & Partial<ClaudeAgentOptions> = {},
) {
  const claims: SlotHolder[] = []
  const owner: Owner = {
    options: { ...OPTIONS, ...options },
    async claim(holder) {
      claims.push(holder)
      await refused?.promise
      throw new RunnerError('too_many_processes', 'No slot is free.')
    },
  }
  const stored = JSON.parse(JSON.stringify({ ...freshMemory(), claudeSessionId: 'session-1', ...memory }))
  const conversation = new Conversation(owner, 't', stored)
  const told: AguiEvent[] = []
  const stop = new AbortController()
  const context: RunContext = {
    signal: stop.signal,
    begun: Promise.resolve(),
    emit: async (events) => void told.push(...events),
  }
  const run = (...messages: Message[]) =>
    conversation.run({ threadId: 't', runId: 'r', messages, tools: [], context: [] }, context)
  return { conversation, claims, told, stop, run }
}

const WORDS: Message = { id: 'm', role: 'user', content: 'hello' }
const result = (toolCallId: string): Message => ({
  id: `r-${toolCallId}`,
  role: 'tool',
  toolCallId,
  content: 'done',
})
const call = (toolCallId: string) => ({ toolCallId, tool: 'weather', input: {} })

test('without a process it knows its session and its model, and has nothing to steer or to stop', async () => {
  const { conversation } = world()
  expect(conversation.describe()).toEqual({ model: 'the-default', agentSessionId: 'session-1', warm: false })
  expect(
    conversation.steer([{ id: 'm', role: 'user', content: 'x' }], { context: [], tools: [] }),
  ).toBeUndefined()
  expect(await conversation.toolServers(new AbortController().signal)).toBeUndefined()
  expect(await conversation.stopTask('task', new AbortController().signal)).toBe(false)
  await conversation.close()
})

test('a model that is chosen is that of the next run, and is kept', async () => {
  const { conversation } = world()
  expect(await conversation.setModel('another')).toBe('the-default')
  expect(conversation.describe().model).toBe('another')
  expect(conversation.memory).toMatchObject({ model: 'another' })
})

test('a switch that is none is refused before there is a run', () => {
  const { conversation, claims } = world()
  const input = { threadId: 't', runId: 'r', messages: [WORDS], tools: [], context: [] }
  const forwardedProps = { claude: { maxTurns: 'many' } }
  expect(() => conversation.check({ ...input, forwardedProps }, { isSteering: false })).toThrow(
    expect.objectContaining({ code: 'invalid_input', message: expect.stringContaining('maxTurns') }),
  )
  expect(claims).toEqual([])
})

test('a run that gets no process ends with the reason, and leaves a conversation that rests', async () => {
  const { conversation, claims, run } = world()
  expect(await run(WORDS)).toEqual({
    outcome: 'error',
    code: 'too_many_processes',
    message: 'No slot is free.',
  })
  expect([claims, conversation.busy]).toEqual([[conversation], false])
  expect(conversation.memory).toMatchObject({
    claudeSessionId: 'session-1',
    begun: true,
    isUnproven: true,
    turns: 0,
  })
  await expect(conversation.warm()).rejects.toMatchObject({ code: 'too_many_processes' })
  expect(conversation.busy).toBe(false)
})

test('stopped while it waits for a slot it ends as cancelled, at once', async () => {
  const refused = deferred()
  const { conversation, claims, stop, run } = world({}, { refused })
  const ended = run(WORDS)
  while (claims.length === 0) await loop()
  expect(conversation.busy).toBe(true)
  stop.abort()
  expect(await ended).toEqual({ outcome: 'cancelled' })
  refused.resolve()
})

test('stopped while the workspace is prepared it asks for no process', async () => {
  const prepared = deferred()
  const { claims, stop, run } = world({}, { prepared: () => prepared.promise })
  const ended = run(WORDS)
  stop.abort()
  prepared.resolve()
  expect([await ended, claims]).toEqual([{ outcome: 'cancelled' }, []])
})

test('results are gathered until the last is there; what no process has heard of stays open', async () => {
  const { conversation, claims, run } = world({ calls: [call('one'), call('two')] })
  expect(await run(result('one'))).toEqual({ outcome: 'success', pendingToolCallIds: ['two'] })
  expect([conversation.pendingToolCallIds, claims]).toEqual([['two'], []])
  expect(await run(WORDS)).toMatchObject({ code: 'too_many_processes' })
  expect([conversation.pendingToolCallIds, claims.length]).toEqual([['two'], 1])
})

test('is taken back to where nothing was said, and forth again; to no other session', async () => {
  const last = { sessionId: 'session-1', uuid: 'entry' }
  const { conversation } = world({ begun: true, turns: 2, last, model: 'chosen' })
  const { point, memory } = conversation
  const beginning = world().conversation.point
  if (beginning === undefined) throw new Error('a fresh conversation has a point')
  expect(conversation.takeBack('another-session  entry')).toBeUndefined()
  expect(conversation.memory).toEqual(memory)
  const undo = conversation.takeBack(beginning)
  expect(conversation.memory).toMatchObject({ turns: 0, model: 'chosen' })
  expect(conversation.memory['claudeSessionId']).not.toBe('session-1')
  undo?.()
  expect([conversation.memory, conversation.point]).toEqual([memory, point])
})

test('where something waits for a person it cannot be taken back to', () => {
  const asked = [{ tool: 'Bash', toolUseId: 'u', input: {}, interrupt: { id: 'q', reason: 'tool_call' } }]
  const { conversation } = world({ asked })
  expect(conversation.interrupts).toEqual([asked[0]?.interrupt])
  expect(conversation.point).toBeUndefined()
})
