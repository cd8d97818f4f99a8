// What the pages people use do to a thread: Stop closes the stream, two tabs know different halves, an answer comes under
// the id of the run that asked. All of it is the server's to know: the agent behind it is the scripted one.
import { HttpAgent } from '@ag-ui/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ClientEvent,
  events,
  frames,
  post,
  run,
  runInput,
  textOf,
  userMessage,
} from '../support/client.ts'
import { OLDER_CLIENTS } from '../support/older-clients.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

let runner: ScriptedRunner

beforeAll(async () => {
  const agent = {
    tools: { Bash: async () => 'made' },
    asks: ['Bash'],
    script: {
      rules: [
        { when: { prompt: 'hang' }, reply: [{ text: 'Wait.' }, { hang: true as const }] },
        {
          when: { prompt: 'gated (\\S+)' },
          reply: [{ text: 'Wait.' }, { gate: '{{1}}' }, { text: ' Done.' }],
        },
        {
          when: { prompt: 'make', round: 0 },
          reply: [{ tool: 'Bash', input: { command: 'touch made' } }],
        },
        { when: { result: { matches: '.*' } }, reply: 'It is done' },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  }
  runner = await openScriptedRunner(agent, { DISCONNECT_GRACE_MS: '600000' })
})
afterAll(() => runner.close())

const INTERRUPT = { forwardedProps: { onDisconnect: 'interrupt' } }

/** Posts the run and closes its stream when the model has begun to speak, as a Stop button does. */
async function sendAndLeave(input: object): Promise<void> {
  const left = new AbortController()
  const answer = await fetch(runner.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
    signal: left.signal,
  })
  for await (const { event } of frames(answer)) if (event.type === 'TEXT_MESSAGE_CONTENT') break
  left.abort()
}

const endOf = (threadId: string): Promise<ClientEvent[]> =>
  fetch(`${runner.url}/sessions/${threadId}/events?until=run`).then(events)

const leftBy = (runId: string) =>
  runner.line((line) => line['msg'] === 'run left by its sender' && line['runId'] === runId)

describe('a stream that its sender closes', () => {
  test('is Stop when the run asked for that: the next message is taken at once, behind its end', async () => {
    const input = { ...runInput('stop', 'hang on'), ...INTERRUPT }
    await sendAndLeave(input)
    // As in these clients: what was heard of the answer comes back too.
    const history = [...input.messages, { id: 'partial', role: 'assistant', content: 'Wa' }]
    const next = { ...runInput('stop'), messages: [...history, userMessage('and now?')] }
    const answer = await run(runner.url, next)
    expect(textOf(answer)).toBe('You said: and now?')
    expect((await endOf('stop')).at(-1)).toMatchObject({ runId: input.runId, outcome: { type: 'cancelled' } })
  })

  test('is a reload when somebody reads the thread again within the grace', async () => {
    const input = { ...runInput('reload', 'gated reload'), ...INTERRUPT }
    await sendAndLeave(input)
    await leftBy(input.runId)
    // Who only looks at the log has not come back, and takes nothing from who does.
    await events(await fetch(`${runner.url}/sessions/reload/events?follow=false`))
    const page = await fetch(`${runner.url}/sessions/reload/connect?until=run`)
    runner.agent.openGate('reload')
    const all = await events(page)
    expect(textOf(all)).toContain('Done.')
    expect(all.at(-1)).toMatchObject({ runId: input.runId, outcome: { type: 'success' } })
  })

  test('means nothing when the run did not ask', async () => {
    const input = runInput('stays', 'gated stays')
    await sendAndLeave(input)
    const busy = await post(runner.url, runInput('stays', 'next'))
    expect([busy.status, await busy.json()]).toMatchObject([409, { error: { code: 'thread_busy' } }])
    runner.agent.openGate('stays')
    expect((await endOf('stays')).at(-1)).toMatchObject({ outcome: { type: 'success' } })
  })

  test('keeps a run that waits in the queue from beginning', async () => {
    const first = runInput('queue', 'gated queue')
    await sendAndLeave(first)
    const left = new AbortController()
    const queued = {
      ...runInput('queue', 'never'),
      forwardedProps: { onDisconnect: 'interrupt', delivery: 'queue' },
    }
    await fetch(runner.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(queued),
      signal: left.signal,
    })
    left.abort()
    await leftBy(queued.runId)
    const next = { ...runInput('queue', 'behind'), forwardedProps: { delivery: 'queue' } }
    const waiting = post(runner.url, next)
    await runner.line((line) => line['msg'] === 'run submitted' && line['runId'] === next.runId)
    runner.agent.openGate('queue')
    expect(textOf(await events(await waiting))).toBe('You said: behind')
    expect(
      textOf(await events(await fetch(`${runner.url}/sessions/queue/events?follow=false`))),
    ).not.toContain('never')
  })

  test.each(['stop', 7, true, ''])('cannot be asked to mean %j', async (onDisconnect) => {
    const answer = await post(runner.url, { ...runInput('bad', 'hi'), forwardedProps: { onDisconnect } })
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { error: { code: 'invalid_input', message: expect.stringContaining('onDisconnect') } },
    ])
  })
})

test('with AGUI_ON_DISCONNECT=interrupt and no grace a closed stream ends the run by itself', async () => {
  const script = { rules: [{ reply: [{ text: 'Wait.' }, { hang: true as const }] }] }
  const always = await openScriptedRunner(
    { script },
    { AGUI_ON_DISCONNECT: 'interrupt', DISCONNECT_GRACE_MS: '0' },
  )
  const { url } = always
  try {
    const watch = await fetch(`${url}/sessions/t/events?until=run&wait=true`)
    const left = new AbortController()
    const body = JSON.stringify(runInput('t', 'hi'))
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'POST', headers, body, signal: left.signal })
    for await (const { event } of frames(answer)) if (event.type === 'TEXT_MESSAGE_CONTENT') break
    left.abort()
    // A reader of the thread is not its sender.
    expect((await events(watch)).at(-1)).toMatchObject({ outcome: { type: 'cancelled' } })
  } finally {
    await always.close()
  }
})

describe('two tabs on one thread', () => {
  const clients: [string, () => Promise<typeof HttpAgent>][] = OLDER_CLIENTS.filter(({ version }) =>
    /57|59/.test(version),
  ).map(({ version, agent }) => [version, agent])

  test.each([...clients, ['1.0.0', async () => HttpAgent] as const])(
    'the one that lacks a turn is taken, and catches up: %s',
    async (version, classOf) => {
      const Agent = await classOf()
      const threadId = `tabs-${version}`
      const tab = () => new Agent({ url: runner.url, threadId })
      const [one, two] = [tab(), tab()]
      const say = async (agent: HttpAgent, content: string): Promise<void> => {
        agent.addMessage({ id: crypto.randomUUID(), role: 'user', content })
        await agent.runAgent({ runId: crypto.randomUUID() })
      }
      await say(one, 'first')
      two.setMessages([...one.messages])
      await say(two, 'second')
      await say(one, 'third')
      const contents = (): unknown[] => one.messages.map((message) => message.content)
      const words = contents()
      expect(words).toEqual(['first', 'second', 'third'].flatMap((word) => [word, `You said: ${word}`]))
      // And is not behind any more.
      await say(one, 'fourth')
      expect(contents()).toEqual([...words, 'fourth', 'You said: fourth'])
    },
  )

  test('also when its message has to wait', async () => {
    const threadId = 'tabs-queue'
    const first = runInput(threadId, 'first')
    await run(runner.url, first)
    await run(runner.url, runInput(threadId, 'second'))
    await sendAndLeave(runInput(threadId, `gated ${threadId}`))
    const late = { ...runInput(threadId), forwardedProps: { delivery: 'queue' } }
    const answer = await post(runner.url, { ...late, messages: [...first.messages, userMessage('third')] })
    runner.agent.openGate(threadId)
    const [started, held, snapshot, ...rest] = await events(answer)
    expect(started).toMatchObject({ type: 'RUN_STARTED', runId: late.runId })
    expect(held?.['messages']).toEqual(first.messages)
    expect(snapshot?.['messages'].map(({ content }: { content: string }) => content)).toEqual([
      'first',
      'You said: first',
      'second',
      'You said: second',
      `gated ${threadId}`,
      'Wait. Done.',
      'third',
    ])
    expect(textOf(rest)).toBe('You said: third')
  })
})

describe('the id of a run that asked', () => {
  const ask = async (threadId: string) => {
    const asked = runInput(threadId, 'make a file')
    const end = (await run(runner.url, asked)).at(-1)
    const entry = {
      interruptId: end?.['outcome'].interrupts[0].id,
      status: 'resolved',
      payload: { approved: true },
    }
    return { asked, entry, resume: [entry] }
  }
  const again = { messages: [], protocolVersion: '1.0' }

  test('is that of the answer too, whose events alone are told', async () => {
    const { asked, resume } = await ask('same')
    const all = await run(runner.url, { threadId: 'same', runId: asked.runId, ...again, resume })
    expect(all[0]).toMatchObject({ type: 'RUN_STARTED', runId: asked.runId })
    expect(textOf(all)).toBe('It is done')
    expect(all.filter(({ type }) => type === 'RUN_FINISHED')).toHaveLength(1)
    // Answered: now it is a run like any other.
    const twice = await post(runner.url, { threadId: 'same', runId: asked.runId, ...again, resume })
    expect([twice.status, await twice.json()]).toMatchObject([409, { error: { code: 'run_exists' } }])
  })

  test('is not taken for something else', async () => {
    const threadId = 'other'
    const { runId } = runInput(threadId, 'hi')
    await run(runner.url, { ...runInput(threadId, 'hi'), runId })
    const { asked, resume } = await ask(threadId)
    const others = {
      'a retry of what asked': asked,
      'an answer to nothing': { ...asked, resume: [{ interruptId: 'x', status: 'resolved' }] },
      'an answer under the id of an earlier run': { runId, resume },
    }
    for (const [what, changed] of Object.entries(others)) {
      const answer = await post(runner.url, { threadId, ...again, ...changed })
      const said = [answer.status, await answer.json()]
      expect(said, what).toMatchObject([409, { error: { code: 'run_exists' } }])
    }
  })

  test('is answered from forwardedProps by a client that has no resume', async () => {
    const { resume } = await ask('same')
    const input = { threadId: 'same', runId: crypto.randomUUID(), messages: [], forwardedProps: { resume } }
    expect(textOf(await run(runner.url, input))).toBe('It is done')
  })
})
