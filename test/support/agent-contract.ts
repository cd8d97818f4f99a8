// What every agent behind the port owes its threads. The tenants: test/agent/*.test.ts.
import { EventType, type RunAgentInput } from '@ag-ui/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Agent, AgentSession, RunEnd } from '../../src/agent/agent.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import type { Script } from '../../src/mock/script.ts'
import { judge } from './agui-judge.ts'

export interface AgentTenant {
  agent: Agent
  /** Lets the reply pass that waits at this gate. */
  openGate(name: string): void
  close(): Promise<void>
}

/** A tool of the client's own. */
export const WEATHER = {
  name: 'weather',
  description: 'Tells the weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
}

/** @param weather the name under which the agent's model calls the client's tool. */
export const contractScript = (weather: string): Script => ({
  rules: [
    { when: { prompt: 'gated (\\w+)' }, reply: [{ text: 'before' }, { gate: '{{1}}' }, { text: ' after' }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { when: { prompt: 'fail' }, reply: [{ error: { status: 400, message: 'not like this' } }] },
    {
      when: { prompt: 'touch', round: 0 },
      reply: [{ text: 'May I?' }, { tool: 'Bash', input: { command: 'touch it && echo touched' } }],
    },
    { when: { prompt: 'mention', holds: 'ZZWORD' }, reply: 'It was said.' },
    { when: { prompt: 'recall', holds: 'QXWORD' }, reply: 'It was said.' },
    { when: { prompt: 'weather', round: 0 }, reply: [{ tool: weather, input: { city: 'Ulm' } }] },
    { when: { result: { matches: '.' } }, reply: 'It is {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
})

/** @param open an agent that plays `contractScript`, asks a person before Bash, and runs it when it may. */
export function agentContract(name: string, open: () => Promise<AgentTenant>): void {
  describe(`${name} as an agent`, () => {
    let tenant: AgentTenant
    let main: Played
    beforeAll(async () => {
      tenant = await open()
      main = new Played(tenant.agent.open('main', {}))
    })
    afterAll(() => tenant.close())

    test('is named, and is not warm before anybody asks', async () => {
      expect(main.session.agentName).toMatch(/\w/)
      expect(main.session.describe()).toMatchObject({ agentSessionId: expect.any(String), warm: false })
      expect(await main.session.toolServers(NO_SIGNAL)).toBeUndefined()
      expect(await main.session.stopTask('none', NO_SIGNAL)).toBe(false)
      expect(main.session.steer([said('too early')], NOTHING_ELSE)).toBeUndefined()
    })

    test('warmed up it stands ready, and a run leaves its session as it was', async () => {
      await main.session.warm()
      const { agentSessionId, warm } = main.session.describe()
      expect(warm).toBe(true)
      expect(await main.run('hello')).toMatchObject({ outcome: 'success' })
      expect(main.words()).toBe('You said: hello')
      expect(await main.run('again')).toMatchObject({ outcome: 'success' })
      expect(main.words()).toBe('You said: again')
      expect(main.session.describe()).toMatchObject({ agentSessionId, warm: true })
      expect(await main.session.toolServers(NO_SIGNAL)).toEqual(expect.any(Array))
    })

    test('what it cannot do is an end with a code, no rejection, and the next run works', async () => {
      expect(await main.run('fail')).toMatchObject({
        outcome: 'error',
        code: expect.stringMatching(/^model_/),
      })
      expect(await main.run('hello')).toMatchObject({ outcome: 'success' })
    })

    test('a run that is stopped ends as cancelled, and the next run works', async () => {
      const stop = new AbortController()
      // Behind the words, when it waits for more of them.
      const onEvent = isText(() => setImmediate(() => stop.abort()))
      const end = main.run('hang on', { signal: stop.signal, onEvent })
      expect(await end).toMatchObject({ outcome: 'cancelled' })
      expect(await main.run('hello')).toMatchObject({ outcome: 'success' })
      expect(main.words()).toBe('You said: hello')
    })

    test('stopped before it began it is cancelled too', async () => {
      const stop = new AbortController()
      stop.abort()
      expect(await main.run('hello', { signal: stop.signal })).toMatchObject({ outcome: 'cancelled' })
    })

    test('no model hears of a run before it is in the log, nor of one that never comes there', async () => {
      const other = new Played(tenant.agent.open('other', {}))
      let begin = (): void => {}
      const late = main.run('hello', { begun: new Promise((resolve) => (begin = resolve)) })
      await other.run('hello')
      expect(main.events).toEqual([])
      begin()
      expect(await late).toMatchObject({ outcome: 'success' })
      expect(main.words()).toBe('You said: hello')

      let fail = (_: Error): void => {}
      const stop = new AbortController()
      const begun = new Promise<void>((_, reject) => (fail = reject))
      // A run that is stopped first waits for it no longer.
      begun.catch(() => undefined)
      const never = main.run('ZZWORD', { begun, signal: stop.signal }).catch(() => ({ outcome: 'cancelled' }))
      await other.run('hello')
      stop.abort()
      fail(new Error('no room'))
      expect((await never).outcome).not.toBe('success')
      expect(main.words()).toBe('')
      await main.run('mention it')
      expect(main.words()).toBe('You said: mention it')
      await other.session.close()
    })

    test('a message that is put into the turn is told once, under its id, in the same run', async () => {
      const steered = said('and this?')
      let taken: string[] | undefined
      const onEvent = isText(() => {
        taken ??= main.session.steer([steered], NOTHING_ELSE)
        tenant.openGate('steer')
      })
      expect(await main.run('gated steer', { onEvent })).toMatchObject({ outcome: 'success' })
      expect(taken).toEqual([])
      const told = main.events.filter((event) => 'messageId' in event && event.messageId === steered.id)
      expect(told.map(({ type }) => type)).toEqual([
        EventType.TEXT_MESSAGE_START,
        EventType.TEXT_MESSAGE_CONTENT,
        EventType.TEXT_MESSAGE_END,
      ])
      expect(main.words()).toContain('You said: and this?')
      expect(main.session.steer([said('too late')], NOTHING_ELSE)).toBeUndefined()
    })

    test("a call of the client's own tool ends the run with what is owed; its result goes on", async () => {
      const end = await main.run('the weather', { tools: [WEATHER] })
      const [owed = ''] = main.session.pendingToolCallIds
      expect(end).toMatchObject({ outcome: 'success', pendingToolCallIds: [owed] })
      expect(main.events.find(({ type }) => type === EventType.TOOL_CALL_START)).toMatchObject({
        toolCallId: owed,
        toolCallName: 'weather',
      })
      const messages = [{ id: 'result', role: 'tool' as const, toolCallId: owed, content: 'sunny' }]
      expect(await main.run(undefined, { tools: [WEATHER], messages })).toMatchObject({ outcome: 'success' })
      expect(main.words()).toBe('It is sunny')
      expect(main.session.pendingToolCallIds).toEqual([])
    })

    test('a question ends the run and is remembered, also by another life; the answer goes on', async () => {
      const end = await main.run('touch it')
      const [interrupt] = main.session.interrupts
      expect(end).toMatchObject({ outcome: 'interrupt', interrupts: [interrupt] })
      const again = tenant.agent.open('again', JSON.parse(JSON.stringify(main.session.memory)))
      expect(again.interrupts).toEqual(main.session.interrupts)
      expect(again.describe().agentSessionId).toBe(main.session.describe().agentSessionId)
      await again.close()
      const payload = { approved: true }
      const resume = [{ interruptId: interrupt?.id ?? '', status: 'resolved' as const, payload }]
      expect(await main.run(undefined, { resume })).toMatchObject({ outcome: 'success' })
      expect(main.words()).toContain('touched')
      expect(main.session.interrupts).toEqual([])
    })

    test('taken back to a point it knows nothing of what was said since, also in another life', async () => {
      await main.run('something')
      const { point = '' } = main.session
      await main.run('QXWORD')
      await main.run('recall it')
      expect(main.words()).toBe('It was said.')
      expect(main.session.takeBack('no such point')).toBeUndefined()
      main.session.takeBack(point)?.()
      await main.run('recall it again')
      expect(main.words()).toBe('It was said.')

      expect(main.session.takeBack(point)).toEqual(expect.any(Function))
      expect(main.session.point).toBe(point)
      const again = new Played(tenant.agent.open('again', JSON.parse(JSON.stringify(main.session.memory))))
      expect(again.session.point).toBe(point)
      await main.run('recall it')
      expect(main.words()).toBe('You said: recall it')
      await again.session.close()
    })

    test('what waits for somebody is dropped with the rest, and cannot be gone back to', async () => {
      const { point = '' } = main.session
      await main.run('touch it')
      expect(main.session.point).toBeUndefined()
      main.session.takeBack(point)
      expect(main.session.interrupts).toEqual([])
      expect(await main.run('hello')).toMatchObject({ outcome: 'success' })
      expect(main.words()).toBe('You said: hello')
    })

    test('refuses an input that it could not work on, before it works', () => {
      expect(() => main.session.check(input('hello', { tools: [WEATHER, WEATHER] }), ANEW)).toThrow(
        expect.objectContaining({ code: 'invalid_input' }),
      )
      main.session.check(input('hello', { tools: [WEATHER] }), ANEW)
    })

    test('a model is taken without a process, and remembered', async () => {
      const other = tenant.agent.open('other', {})
      const before = other.describe().model
      expect(await other.setModel('another-model')).toBe(before)
      expect(other.describe().model).toBe('another-model')
      const later = tenant.agent.open('later', JSON.parse(JSON.stringify(other.memory)))
      expect(await later.setModel('a-third')).toBe('another-model')
      await Promise.all([other.close(), later.close()])
    })

    test('there is no output of a task that is not there', async () => {
      await expect(main.session.taskOutput('none')).rejects.toMatchObject({ code: 'not_found' })
    })

    test('closed in the middle of a run it ends the run; twice is once', async () => {
      let closed: Promise<void> | undefined
      const onEvent = isText(() => {
        closed ??= main.session.close()
      })
      const end = await main.run('hang on', { onEvent })
      expect(['cancelled', 'error']).toContain(end.outcome)
      await closed
      await main.session.close()
      expect(main.session.describe().warm).toBe(false)
      expect(main.session.steer([said('too late')], NOTHING_ELSE)).toBeUndefined()
    })
  })
}

const NOTHING_ELSE = { tools: [], context: [] }
const ANEW = { isSteering: false }
const NO_SIGNAL = new AbortController().signal

interface RunOptions extends Partial<Pick<RunAgentInput, 'tools' | 'messages' | 'resume'>> {
  signal?: AbortSignal
  begun?: Promise<void>
  onEvent?(event: AguiEvent): void
}

/** A session whose every run is judged: as AG-UI when it is over, with the lifecycle events that are the thread's. */
class Played {
  readonly session: AgentSession
  /** Of the last run. */
  events: AguiEvent[] = []

  constructor(session: AgentSession) {
    this.session = session
  }

  async run(prompt: string | undefined, options: RunOptions = {}): Promise<RunEnd> {
    const request = input(prompt, options)
    const events: AguiEvent[] = []
    this.events = events
    const end = await this.session.run(request, {
      signal: options.signal ?? NO_SIGNAL,
      begun: options.begun ?? Promise.resolve(),
      emit(more) {
        events.push(...more)
        for (const event of more) options.onEvent?.(event)
        return undefined
      },
    })
    const ids = { threadId: request.threadId, runId: request.runId }
    // What it leaves open at an end that is none of its own is closed by the thread.
    if (
      end.outcome !== 'cancelled' &&
      end.outcome !== 'error' &&
      options.messages === undefined &&
      !options.resume
    ) {
      const started = { type: EventType.RUN_STARTED, ...ids, protocolVersion: '1.0' }
      const { problems } = await judge([started, ...events, { type: EventType.RUN_FINISHED, ...ids }])
      expect(problems).toEqual([])
    }
    expect(events.filter(({ type }) => type.startsWith('RUN_'))).toEqual([])
    return end
  }

  /** Of the assistant, in the last run. */
  words(): string {
    const users = new Set<string>()
    let words = ''
    for (const event of this.events) {
      if (event.type === EventType.TEXT_MESSAGE_START && event.role === 'user') users.add(event.messageId)
      if (event.type === EventType.TEXT_MESSAGE_CONTENT && !users.has(event.messageId)) words += event.delta
    }
    return words
  }
}

function isText(then: () => void): (event: AguiEvent) => void {
  return ({ type }) => {
    if (type === EventType.TEXT_MESSAGE_CONTENT) then()
  }
}

function said(content: string) {
  return { id: crypto.randomUUID(), role: 'user' as const, content }
}

function input(
  prompt: string | undefined,
  { tools = [], messages = [], resume }: RunOptions = {},
): RunAgentInput {
  return {
    threadId: 'main',
    runId: crypto.randomUUID(),
    messages: prompt === undefined ? messages : [...messages, said(prompt)],
    tools,
    context: [],
    ...(resume === undefined ? {} : { resume }),
  }
}
