// A thread that is taken back to before one of its messages: what is known, what a page sees, and what becomes of the rest.
import { EventType, type Message, type RunAgentInput } from '@ag-ui/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readMessages, takeSnapshot } from '../../src/thread/snapshot.ts'
import { readRecords } from '../support/event-log.ts'
import { type ScriptedAgent, scriptedAgent } from '../support/scripted-agent.ts'
import { ThreadsWorld } from '../support/threads.ts'

const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { when: { prompt: 'fail' }, reply: [{ text: 'half' }, { error: { status: 400 } }] },
    { when: { prompt: 'touch', round: 0 }, reply: [{ tool: 'Bash', input: {} }] },
    { when: { prompt: 'pick', round: 0 }, reply: [{ tool: 'Pick' }] },
    { when: { prompt: 'recall', holds: 'two' }, reply: 'I know of two' },
    { when: { result: { matches: '.' } }, reply: 'It is {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

let world: ThreadsWorld
let agent: ScriptedAgent
beforeEach(async () => {
  agent = scriptedAgent({ script: SCRIPT, asks: ['Bash'], tools: { Bash: async () => 'touched' } })
  world = await ThreadsWorld.open({ agent })
})
afterEach(() => world.close())

const user = (id: string, content: string): Message => ({ id, role: 'user', content })
let runs = 0

async function start(messages: Message[], more: Partial<RunAgentInput> = {}): Promise<string> {
  const runId = `r${runs++}`
  await world.threads.submit({ threadId: 't', runId, messages, tools: [], context: [], ...more })
  return runId
}

/** Runs to its end and returns the conversation as a page that comes then is given it. */
async function say(messages: Message[], more: Partial<RunAgentInput> = {}): Promise<unknown[]> {
  await world.ended(await start(messages, more))
  return await held()
}

const { signal } = new AbortController()

async function held(): Promise<unknown[]> {
  const messages = await readMessages(world.log, { threadId: 't', signal })
  return messages.flatMap((message) => (message.role === 'tool' ? [] : [message.content]))
}

const refusal = async (messages: Message[], more: Partial<RunAgentInput> = {}): Promise<string | undefined> =>
  await start(messages, more).then(
    () => undefined,
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  )

const [u1, u2, u3] = [user('u1', 'one'), user('u2', 'two'), user('u3', 'three')]
const FIRST = ['one', 'You said: one']

async function talk(): Promise<void> {
  for (const message of [u1, u2, u3]) await say([message])
}

test('another answer to the last question, and to one in the middle', async () => {
  await talk()
  expect(await say([u1, u2, u3])).toEqual([...FIRST, 'two', 'You said: two', 'three', 'You said: three'])
  expect(await say([u1, u2])).toEqual([...FIRST, 'two', 'You said: two'])
  expect(await say([user('r', 'recall')])).toContain('I know of two')
  expect(await say([u1, user('u2', 'recall')])).toEqual([...FIRST, 'recall', 'You said: recall'])
})

test('the log keeps what was taken back, and says in the new run that it is', async () => {
  await talk()
  const kept = await readRecords(world.log, 't')
  const [last] = kept.filter(({ event }) => event.type === EventType.RUN_STARTED).slice(-1)
  await say([u1, u2, user('u3', 'other')])
  const all = await readRecords(world.log, 't')
  expect(all.slice(0, kept.length)).toEqual(kept)
  expect(all.slice(kept.length, kept.length + 2).map(({ event }) => event)).toMatchObject([
    { type: 'RUN_STARTED', input: { messages: [{ id: 'u3', content: 'other' }] } },
    { type: 'CUSTOM', name: 'agui-runner.taken_back', value: { afterSeq: (last?.seq ?? 0) - 1 } },
  ])
})

test('what was taken back is known no more, and a history that holds it is not taken for the thread', async () => {
  await talk()
  await say([u1, user('u2', 'recall')])
  expect(await refusal([u1, u2, u3, user('u4', 'four')])).toBe('history_conflict')
  expect(await say([u1, user('u2', 'recall'), user('u3', 'again')])).toEqual([
    ...[...FIRST, 'recall', 'You said: recall'],
    ...['again', 'You said: again'],
  ])
})

test('an edit under a new id stands in the stead of the message that it names', async () => {
  await talk()
  const edit = { forwardedProps: { replaces: 'u2' } }
  expect(await say([u1, user('new', 'recall')], edit)).toEqual([...FIRST, 'recall', 'You said: recall'])
  expect(await refusal([u1, user('x', 'x')], { forwardedProps: { replaces: 7 } })).toBe('invalid_input')
})

test('the first question begins the conversation anew', async () => {
  await talk()
  expect(await say([user('u1', 'recall')])).toEqual(['recall', 'You said: recall'])
})

test('a run that failed in its new form is tried again, and one that was stopped is asked again', async () => {
  await talk()
  await say([u1, user('u2', 'fail')])
  const all = await say([u1, user('u2', 'recall')])
  expect(all).not.toContain('You said: two')
  expect(all.at(-1)).toBe('You said: recall')
  const hanging = await start([user('h', 'hang')])
  await (await world.threads.get('t')).interrupt()
  await world.ended(hanging)
  expect((await say([user('h', 'go on')])).slice(-2)).toEqual(['go on', 'You said: go on'])
})

test('nothing is taken back while a run is under way, whatever its delivery', async () => {
  await talk()
  const hanging = await start([user('h', 'hang')])
  for (const delivery of [undefined, 'queue', 'steer'])
    expect(await refusal([u1, u2], { forwardedProps: { delivery } })).toBe('thread_busy')
  await (await world.threads.get('t')).interrupt()
  await world.ended(hanging)
  expect(await say([u1, u2])).toEqual([...FIRST, 'two', 'You said: two'])
})

test('of two that take it back at once one is first, and both are told', async () => {
  await talk()
  const [one, other] = await Promise.all([refusal([u1, u2]), refusal([u1, user('u2', 'hang')])])
  expect([one, other].toSorted()).toEqual(['thread_busy', undefined])
  await (await world.threads.get('t')).interrupt()
})

test('what waits for a person is answered first; what a page owes is dropped with its turn', async () => {
  await say([u1])
  await say([user('t', 'touch')])
  expect(await refusal([u1])).toBe('interrupt_open')
  const [open] = (await world.threads.get('t')).describe().interrupts
  const resume = [{ interruptId: open?.id ?? '', status: 'resolved' as const, payload: { approved: true } }]
  expect(await refusal([u1, user('t', 'edited')], { resume })).toBe('regenerate_unsupported')
  await say([], { resume })

  const tools = [{ name: 'Pick', description: '', parameters: {} }]
  await say([user('p', 'pick')], { tools })
  expect((await world.threads.get('t')).agent).toMatchObject({ pendingToolCallIds: [expect.any(String)] })
  expect((await say([u1, user('p', 'recall')], { tools })).slice(-2)).toEqual(['recall', 'You said: recall'])
  expect((await world.threads.get('t')).agent).toMatchObject({ pendingToolCallIds: [] })
})

test('another life goes on from there, whether the run came to its end or not', async () => {
  await talk()
  await say([u1, user('u2', 'recall')])
  await world.restart()
  expect(await say([user('r', 'recall')])).not.toContain('I know of two')
  expect(await say([u1, user('u2', 'second edit')])).toEqual([
    ...FIRST,
    'second edit',
    'You said: second edit',
  ])
})

test('a page that comes in the middle is given the conversation as it is now', async () => {
  await talk()
  await start([u1, user('u2', 'hang')])
  const { events } = await takeSnapshot(world.log, { threadId: 't', connectId: 'c', signal })
  expect(events.find(({ type }) => type === EventType.MESSAGES_SNAPSHOT)).toMatchObject({
    messages: [{ content: 'one' }, { content: 'You said: one' }, { content: 'hang' }],
  })
  await (await world.threads.get('t')).interrupt()
})

test('an agent that cannot go back there changes nothing', async () => {
  await talk()
  const before = await readRecords(world.log, 't')
  await world.close()
  world = await ThreadsWorld.open({
    agent: {
      open: (id, memory) => Object.assign(agent.open(id, memory), { takeBack: () => undefined }),
      look: (memory) => agent.look(memory),
    },
  })
  await talk()
  expect(await refusal([u1, u2])).toBe('regenerate_unsupported')
  expect(await readRecords(world.log, 't')).toHaveLength(before.length)
  expect(await say([user('r', 'recall')])).toContain('I know of two')
})
