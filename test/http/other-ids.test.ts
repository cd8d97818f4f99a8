// Histories as some clients send them: under new ids, or with what a failed run has said.
import { HttpAgent } from '@ag-ui/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientEvent, post, run, runInput, textOf, userMessage } from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({
    script: {
      rules: [
        { when: { prompt: '^echo', round: 0 }, reply: [{ tool: 'Echo', input: {} }] },
        { when: { prompt: '^fail half-way', round: 0 }, reply: ['Half.', { tool: 'Echo', input: {} }] },
        { when: { prompt: '^fail' }, reply: [{ error: { status: 400, message: 'no' } }] },
        { reply: 'You said: {{prompt}}' },
      ],
    },
    tools: { Echo: async () => 'echoed' },
  })
})
afterAll(() => runner.close())

// agent-framework-ag-ui 1.7.0 (Python) with an agent's session: every run brings the whole history, the person's and the
// system's messages under new ids, the answers under ours, their calls in Python's spelling. A failed run leaves an answer
// without words.
describe('a client that numbers its messages anew with every run', () => {
  const say = (threadId: string, ...history: object[]): Promise<ClientEvent[]> => {
    const messages = [{ ...userMessage('be brief'), role: 'system' }, ...history]
    return run(runner.url, { ...runInput(threadId), messages })
  }
  const idOf = (type: string, id: string, all: ClientEvent[]): unknown =>
    all.find((event) => event.type === type)?.[id]

  test('goes on with its conversation, of which nothing is said twice', async () => {
    const first = await say('anew', userMessage('one'))
    const answer = { id: idOf('TEXT_MESSAGE_START', 'messageId', first), role: 'assistant', content: 'a' }
    expect(textOf(await say('anew', userMessage('one'), answer, userMessage('two')))).toBe('You said: two')
    const history = [userMessage('one'), answer, userMessage('two'), answer]
    const newest = userMessage('two')
    const third = await say('anew', ...history, newest)
    expect(textOf(third)).toBe('You said: two')
    // The echo has what is new. The client lacks nothing, so it is not brought up to date.
    expect(third[0]).toMatchObject({ type: 'RUN_STARTED', input: { messages: [newest] } })
    expect(third.map(({ type }) => type)).not.toContain('MESSAGES_SNAPSHOT')
  })

  test('that lacks the turns of another one is brought up to date', async () => {
    await say('anew-two', userMessage('one'))
    await say('anew-two', userMessage('of another'))
    const answer = { id: 'a', role: 'assistant', content: 'a' }
    const behind = await say('anew-two', userMessage('one'), answer, userMessage('new'))
    expect(textOf(behind)).toBe('You said: new')
    expect(behind.map(({ type }) => type)).toContain('MESSAGES_SNAPSHOT')
  })

  test('goes on behind a run that failed without a word', async () => {
    expect((await say('anew-failed', userMessage('fail'))).at(-1)?.type).toBe('RUN_ERROR')
    const nothing = { id: 'e', role: 'assistant', content: '' }
    const next = await say('anew-failed', userMessage('fail'), nothing, userMessage('go on'))
    expect(textOf(next)).toBe('You said: go on')
  })

  test('is not told of results that it only holds', async () => {
    const id = idOf('TOOL_CALL_START', 'toolCallId', await say('anew-tools', userMessage('echo')))
    const call = { id, type: 'function', function: { name: 'Echo', arguments: '{}' } }
    const made = { id: 'm', role: 'assistant', content: '', tool_calls: [call] }
    const result = { id: 'r', role: 'tool', content: 'echoed', toolCallId: id }
    const next = await say('anew-tools', userMessage('echo'), made, result, userMessage('thanks'))
    expect(textOf(next)).toBe('You said: thanks')
    expect(next.map(({ type }) => type)).not.toContain('CUSTOM')
  })

  test('is refused with another conversation', async () => {
    await say('anew-other', userMessage('one'))
    const answer = { id: 'x', role: 'assistant', content: 'words' }
    const messages = [userMessage('something else'), answer, userMessage('more')]
    const refused = await post(runner.url, { ...runInput('anew-other'), messages })
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      { error: { code: 'history_conflict' } },
    ])
  })
})

// AG-UI's C++ SDK (sdks/community/c++ of August 2026) with messages in its run's parameters: it keeps the answers, and only
// a snapshot gives it what was asked.
describe('a client that keeps the answers and not what it has asked', () => {
  const say = (threadId: string, ...messages: object[]): Promise<ClientEvent[]> =>
    run(runner.url, { ...runInput(threadId), messages })
  const answerOf = (all: ClientEvent[]): { id: string; role: string; content: string } => {
    const start = all.find(({ type }) => type === 'TEXT_MESSAGE_START')
    return { id: start?.['messageId'], role: 'assistant', content: textOf(all) }
  }

  test('goes on with its conversation, and is given what it lacks', async () => {
    const one = userMessage('one')
    const answer = answerOf(await say('kept', one))
    const two = userMessage('two')
    const second = await say('kept', answer, two)
    expect(textOf(second)).toBe('You said: two')
    expect(second[0]).toMatchObject({ type: 'RUN_STARTED', input: { messages: [two] } })
    const snapshots = second.filter(({ type }) => type === 'MESSAGES_SNAPSHOT')
    const ids = snapshots.map(({ messages }) => messages.map(({ id }: { id: string }) => id))
    expect(ids).toEqual([[answer.id], [one.id, answer.id, two.id]])
  })

  const refusalOf = async (threadId: string, ...messages: object[]): Promise<unknown> =>
    await (await post(runner.url, { ...runInput(threadId), messages })).json()
  const conflict = { error: { code: 'history_conflict' } }

  test('that says it behind what is new is refused, and so is one that holds the answers of another thread', async () => {
    const [answer, other] = [
      answerOf(await say('kept-one', userMessage('one'))),
      answerOf(await say('kept-two', userMessage('x'))),
    ]
    const early = await refusalOf('kept-one', userMessage('new'), answer, userMessage('newer'))
    const foreign = await refusalOf('kept-one', other, userMessage('new'))
    expect([early, foreign]).toMatchObject([conflict, conflict])
  })

  test('that holds an answer that was taken back is refused', async () => {
    const first = userMessage('one')
    const answer = answerOf(await say('kept-back', first))
    await say('kept-back', { ...first, content: 'edited' })
    expect(await refusalOf('kept-back', answer, userMessage('new'))).toMatchObject(conflict)
  })
})

// With @ag-ui/client 1.0.0 such a conversation was refused for ever.
test('a conversation whose first run failed in the middle goes on', async () => {
  const agent = new HttpAgent({ url: runner.url, threadId: 'half' })
  for (const content of ['fail half-way', 'go on']) {
    agent.addMessage({ id: content, role: 'user', content })
    await agent.runAgent()
  }
  expect(agent.messages.map(({ role, content }) => `${role}: ${content ?? ''}`)).toEqual([
    ...['user: fail half-way', 'assistant: Half.', 'tool: echoed'],
    ...['user: go on', 'assistant: You said: go on'],
  ])
})
