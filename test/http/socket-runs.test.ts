// A run over the WebSocket is what it is over POST: its form, what its sender lacks, and what becomes of it when nobody
// reads any more.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { events, frames, post, run, runInput, textOf, userMessage } from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket, type TestSocket } from '../support/socket.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner(
    {
      script: {
        rules: [
          { when: { prompt: 'hang' }, reply: ['Wait.', { hang: true }] },
          { when: { prompt: 'gated (\\S+)' }, reply: ['Wait.', { gate: '{{1}}' }, 'Done.'] },
          { reply: 'You said: {{prompt}}' },
        ],
      },
    },
    { DISCONNECT_GRACE_MS: '0' },
  )
})
afterAll(() => runner.close())

const isOf = (type: string, runId: string) => (frame: { event?: { type: string; runId?: string } }) =>
  frame.event?.type === type && frame.event.runId === runId

/** The events that the socket gets up to the end of the run. */
async function until(socket: TestSocket, runId: string) {
  await socket.frame(isOf('RUN_FINISHED', runId))
  const begun = socket.frames.findIndex(isOf('RUN_STARTED', runId))
  return socket.frames.slice(begun, socket.frames.findIndex(isOf('RUN_FINISHED', runId)) + 1)
}

describe('a history that lacks turns', () => {
  test.each(['a socket that reads the thread', 'one that does not yet', 'POST'])(
    'catches up: %s',
    async (by) => {
      const threadId = `tail of ${by}`
      const first = runInput(threadId, 'first')
      await run(runner.url, first)
      await run(runner.url, runInput(threadId, 'second'))
      const late = { ...runInput(threadId), messages: [...first.messages, userMessage('third')] }
      const all = []
      if (by === 'POST') {
        const answer = await post(runner.url, late)
        for await (const { id, event } of frames(answer))
          all.push({ seq: Number.isNaN(id) ? undefined : id, event })
      } else {
        const socket = await openSocket(runner.url)
        if (by.includes('reads')) {
          socket.send({ type: 'subscribe', threadId })
          await socket.frame(({ event }) => event?.['delta'] === 'You said: second')
        }
        socket.send({ type: 'run', input: late })
        all.push(...(await until(socket, late.runId)))
        await socket.close()
      }
      const [started, held, whole, ...rest] = all
      expect(started?.event).toMatchObject({ type: 'RUN_STARTED', runId: late.runId })
      expect(held?.event?.['messages']).toEqual(first.messages)
      const contents = whole?.event?.['messages'].map(({ content }: { content: string }) => content)
      expect(contents).toEqual(['first', 'You said: first', 'second', 'You said: second', 'third'])
      // Whoever is cut off between these is sent all of them again.
      const seqs = all.map(({ seq }) => seq)
      expect(seqs.slice(0, 3)).toEqual([undefined, undefined, expect.any(Number)])
      expect(seqs.slice(3)).toEqual(rest.map((_frame, index) => (seqs[2] ?? 0) + 1 + index))
    },
  )
})

test.each(['the socket', 'POST'])(
  'whoever asks again and lacks a turn before that catches up: %s',
  async (by) => {
    const threadId = `again by ${by}`
    const [first, third] = [runInput(threadId, 'first'), runInput(threadId, 'third')]
    await run(runner.url, first)
    await run(runner.url, runInput(threadId, 'second'))
    await run(runner.url, third)
    const again = { ...runInput(threadId), messages: [...first.messages, ...third.messages] }
    const socket = await openSocket(runner.url)
    if (by === 'the socket') socket.send({ type: 'run', input: again })
    const all =
      by === 'the socket'
        ? (await until(socket, again.runId)).map(({ event }) => event)
        : await run(runner.url, again)
    await socket.close()
    const [started, back, held, whole, ...rest] = all
    expect([started?.type, back?.['name']]).toEqual(['RUN_STARTED', 'agui-runner.taken_back'])
    expect(held?.['messages']).toEqual(first.messages)
    const contents = whole?.['messages'].map(({ content }: { content: string }) => content)
    expect(contents).toEqual(['first', 'You said: first', 'second', 'You said: second', 'third'])
    expect(textOf(rest.flatMap((event) => event ?? []))).toBe('You said: third')
    // One that lacks nothing, or sends the end of the history alone, is not sent it twice.
    for (const messages of [third.messages, whole?.['messages']]) {
      const [, , next] = await run(runner.url, { ...runInput(threadId), messages })
      expect(next?.type).not.toBe('MESSAGES_SNAPSHOT')
    }
  },
)

describe('the form', () => {
  test.each([
    ['1.0', undefined, false],
    ['0', '1.0', true],
    ['0', '0.0.59', false],
    ['1.0', '1.0', true],
  ])('of a subscription as %s and a run as %s: the run has its own', async (subscribed, said, isWhole) => {
    const threadId = `form ${subscribed} ${said}`
    await run(runner.url, runInput(threadId, 'first'))
    const socket = await openSocket(runner.url)
    socket.send({ type: 'subscribe', threadId, protocolVersion: subscribed })
    const { protocolVersion: _, ...input } = runInput(threadId, 'second')
    const sent = said === undefined ? input : { ...input, protocolVersion: said }
    socket.send({ type: 'run', input: sent })
    const [started] = await until(socket, input.runId)
    expect(started?.event).toHaveProperty('protocolVersion')
    expect(Object.hasOwn(started?.event ?? {}, 'input')).toBe(isWhole)
    // What others do there is read in the form of the subscription.
    const other = runInput(threadId, 'third')
    await run(runner.url, other)
    const [theirs] = await until(socket, other.runId)
    expect(Object.hasOwn(theirs?.event ?? {}, 'input')).toBe(subscribed === '1.0')
    await socket.close()
  })
})

describe('a run that its sender leaves', () => {
  const asking = { forwardedProps: { onDisconnect: 'interrupt' } }
  const begin = async (threadId: string, more: object) => {
    const input = { ...runInput(threadId, 'hang'), ...more }
    const socket = await openSocket(runner.url)
    socket.send({ type: 'run', input })
    await socket.frame(({ event }) => event?.type === 'TEXT_MESSAGE_CONTENT')
    return { socket, input }
  }
  const endOf = async (threadId: string) =>
    (await events(await fetch(`${runner.url}/sessions/${threadId}/events?until=run`))).at(-1)

  test('by closing the socket ends, when it asked for that', async () => {
    const { socket } = await begin('closed', asking)
    await socket.close()
    expect(await endOf('closed')).toMatchObject({ outcome: { type: 'cancelled' } })
  })

  test('by unsubscribing ends as well', async () => {
    const { socket } = await begin('unsubscribed', asking)
    socket.send({ type: 'unsubscribe', threadId: 'unsubscribed' })
    expect(await endOf('unsubscribed')).toMatchObject({ outcome: { type: 'cancelled' } })
    await socket.close()
  })

  test('goes on when it did not ask, and when its thread is only read from elsewhere in the log', async () => {
    const { socket } = await begin('stays', {})
    await socket.close()
    const busy = await post(runner.url, runInput('stays', 'next'))
    expect(await busy.json()).toMatchObject({ error: { code: 'thread_busy' } })
    const again = await begin('again', asking)
    again.socket.send({ type: 'subscribe', threadId: 'again', after: 0 })
    await again.socket.frame(
      (frame) => isOf('RUN_STARTED', again.input.runId)(frame) && frame !== again.socket.frames[0],
    )
    const still = await post(runner.url, runInput('again', 'next'))
    expect(await still.json()).toMatchObject({ error: { code: 'thread_busy' } })
    await again.socket.close()
    expect(await endOf('again')).toMatchObject({ outcome: { type: 'cancelled' } })
  })

  test('may not ask for what there is not', async () => {
    const socket = await openSocket(runner.url)
    const input = { ...runInput('bad', 'hi'), forwardedProps: { onDisconnect: 'stop' } }
    socket.send({ type: 'run', input })
    const refused = await socket.frame(({ type }) => type === 'error')
    expect(refused).toMatchObject({
      threadId: 'bad',
      runId: input.runId,
      error: { code: 'invalid_input', message: expect.stringContaining('onDisconnect') },
    })
    await socket.close()
  })
})

test('a run that is steered into another one is accepted, in that turn', async () => {
  const first = runInput('steered', 'gated steered')
  const socket = await openSocket(runner.url)
  socket.send({ type: 'run', input: first })
  await socket.frame(({ event }) => event?.type === 'TEXT_MESSAGE_CONTENT')
  const second = {
    ...runInput('steered', 'and this'),
    forwardedProps: { delivery: 'steer', onDisconnect: 'interrupt' },
  }
  socket.send({ type: 'run', input: second })
  expect(await socket.frame(({ type }) => type === 'accepted')).toMatchObject({
    threadId: 'steered',
    runId: second.runId,
    delivery: 'steer',
    steeredInto: first.runId,
  })
  runner.agent.openGate('steered')
  const all = await until(socket, first.runId)
  expect(textOf(all.flatMap(({ event }) => event ?? []))).toContain('You said: and this')
  await socket.close()
})

test('a look at the log is no return: the run ends all the same', async () => {
  const patient = await openScriptedRunner(
    { script: { rules: [{ reply: ['Wait.', { hang: true }] }] } },
    { DISCONNECT_GRACE_MS: '300' },
  )
  onTestFinished(() => patient.close())
  const input = { ...runInput('looked', 'hang'), forwardedProps: { onDisconnect: 'interrupt' } }
  const left = new AbortController()
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify(input)
  const answer = await fetch(patient.url, { method: 'POST', headers, body, signal: left.signal })
  for await (const { event } of frames(answer)) if (event.type === 'TEXT_MESSAGE_CONTENT') break
  left.abort()
  const log = `${patient.url}/sessions/looked/events?follow=false`
  const last = async () => (await events(await fetch(log))).at(-1)
  await expect.poll(last, { interval: 20, timeout: 10_000 }).toMatchObject({ outcome: { type: 'cancelled' } })
})

test.each([
  [
    'a run with a null in place of its context',
    { type: 'run', input: { threadId: 't', runId: 'r', context: null } },
    { threadId: 't', runId: 'r' },
  ],
  [
    'a run in the names of Python',
    { type: 'run', input: { thread_id: 't', run_id: 'r', messages: 1 } },
    { threadId: 't', runId: 'r' },
  ],
  [
    'a run whose message has too long an id',
    {
      type: 'run',
      input: {
        ...runInput('t'),
        runId: 'r',
        messages: [{ id: 'x'.repeat(300), role: 'user', content: 'hi' }],
      },
    },
    { threadId: 't', runId: 'r' },
  ],
  [
    'a run that names a trace of no form',
    { type: 'run', input: { ...runInput('t', 'hi'), runId: 'r' }, traceparent: 'x' },
    { threadId: 't', runId: 'r' },
  ],
  ['a run whose own id is no text', { type: 'run', input: { threadId: 't', runId: 5 } }, { threadId: 't' }],
  ['a message without content', { type: 'message', threadId: 't' }, { threadId: 't' }],
  ['a subscription after a text', { type: 'subscribe', threadId: 't', after: '0' }, { threadId: 't' }],
  ['a command that is not known', { type: 'stop', threadId: 't' }, { threadId: 't' }],
  ['a thread whose id is too long', { type: 'subscribe', threadId: 'x'.repeat(300) }, {}],
])('the refusal of %s names the thread and the run', async (_what, command, named) => {
  const socket = await openSocket(runner.url)
  socket.send(command)
  const { error, ...about } = await socket.frame(({ type }) => type === 'error')
  expect(error?.code).toBe('invalid_input')
  expect(about).toEqual({ type: 'error', ...named })
  await socket.close()
})

describe('commands for a thread that are sent in one breath are obeyed in their order', () => {
  test('a run, and its interrupt', async () => {
    const socket = await openSocket(runner.url)
    const input = runInput('breath', 'hang')
    socket.send({ type: 'run', input })
    socket.send({ type: 'interrupt', threadId: 'breath' })
    expect(await socket.frame(({ type }) => type === 'interrupted')).toMatchObject({ interrupted: true })
    const ended = await socket.frame(isOf('RUN_FINISHED', input.runId))
    expect(ended.event).toMatchObject({ outcome: { type: 'cancelled' } })
    await socket.close()
  })

  test('a subscription, and its end', async () => {
    await run(runner.url, runInput('short', 'one'))
    const socket = await openSocket(runner.url)
    socket.send({ type: 'subscribe', threadId: 'short' })
    socket.send({ type: 'unsubscribe', threadId: 'short' })
    socket.send({ type: 'interrupt', threadId: 'short' })
    await socket.frame(({ type }) => type === 'interrupted')
    const later = runInput('short', 'two')
    await run(runner.url, later)
    socket.send({ type: 'interrupt', threadId: 'breath' })
    await socket.frame(({ type, threadId }) => type === 'interrupted' && threadId === 'breath')
    expect(socket.frames.filter(isOf('RUN_STARTED', later.runId))).toEqual([])
    await socket.close()
  })

  test('a command that is refused holds up none behind it', async () => {
    const socket = await openSocket(runner.url)
    socket.send({ type: 'subscribe', threadId: 'nowhere' })
    socket.send({ type: 'run', input: runInput('nowhere', 'now') })
    await socket.frame(({ type, error }) => type === 'error' && error?.code === 'not_found')
    await socket.frame(({ event }) => event?.type === 'RUN_FINISHED')
    await socket.close()
  })
})
