// The queue and the thread's name in people's hands.
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  bodyOf,
  type ClientEvent,
  events,
  frames,
  post,
  run,
  runInput,
  textOf,
  userMessage,
} from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  const rules = [
    { when: { prompt: 'gated (\\S+)' }, reply: [{ text: 'Wait.' }, { gate: '{{1}}' }] },
    { reply: 'You said: {{prompt}}' },
  ]
  runner = await openScriptedRunner({ script: { rules } })
})
afterAll(() => runner.close())

const address = (threadId: string, path = '') => `${runner.url}/sessions/${threadId}${path}`
const send = (method: string, url: string, body?: unknown) =>
  fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
const waiting = async (threadId: string) =>
  (await bodyOf(await fetch(address(threadId))))['queue'].map(({ runId }: { runId: string }) => runId)

/** A run that goes on until the gate of the thread's name is opened, with `prompts` queued behind it. */
async function busy(threadId: string, ...prompts: string[]) {
  const first = await post(runner.url, runInput(threadId, `gated ${threadId}`))
  const queued = []
  for (const prompt of prompts) {
    const input = { ...runInput(threadId, prompt), forwardedProps: { delivery: 'queue' } }
    queued.push({ input, runId: input.runId, answer: await post(runner.url, input) })
  }
  const end = async (): Promise<void> => {
    runner.agent.openGate(threadId)
    await events(first)
  }
  return { queued, runIds: queued.map(({ runId }) => runId), end }
}

/** The texts of the thread's runs as they came, up to the end of the run that was queued last. */
async function order(threadId: string, last: string): Promise<string[]> {
  const seen: ClientEvent[][] = []
  for await (const { event } of frames(
    await fetch(address(threadId, '/events?after=0&protocolVersion=1.0')),
  )) {
    if (event.type === 'RUN_STARTED') seen.push([])
    seen.at(-1)?.push(event)
    if (event.type === 'RUN_FINISHED' && event['runId'] === last) break
  }
  return seen.map(textOf)
}

test('what waits runs in the order that somebody gives it', async () => {
  const { queued, runIds, end } = await busy('order', 'one', 'two', 'three')
  const [one = '', two = '', three = ''] = runIds
  const answer = await send('PUT', address('order', '/queue'), { runIds: [three, one, two] })
  expect((await bodyOf(answer))['queue'].map(({ runId }: { runId: string }) => runId)).toEqual([
    three,
    one,
    two,
  ])
  await end()
  expect((await order('order', two)).slice(1)).toEqual(['You said: three', 'You said: one', 'You said: two'])
  for (const { answer: stream } of queued)
    expect((await events(stream)).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
})

test('an order that is not of exactly what waits changes nothing', async () => {
  const { runIds, end } = await busy('disorder', 'one', 'two')
  const [one = '', two = ''] = runIds
  for (const wrong of [[], [one], [one, one], [one, two, two], [one, two, 'other'], [two, 'other']]) {
    const answer = await send('PUT', address('disorder', '/queue'), { runIds: wrong })
    expect([answer.status, await answer.json()]).toMatchObject([
      409,
      { error: { code: 'queue_changed', details: { runIds } } },
    ])
  }
  expect(await waiting('disorder')).toEqual(runIds)
  await end()
  expect((await order('disorder', two)).slice(1)).toEqual(['You said: one', 'You said: two'])
})

test('what is taken out ends as cancelled, and its words reach no agent', async () => {
  const threadId = 'withdrawn'
  const { queued, runIds, end } = await busy(threadId, 'not this', 'but this')
  const [gone = '', kept = ''] = runIds
  expect((await send('DELETE', address(threadId, `/queue/${gone}`))).status).toBe(204)
  expect(await waiting(threadId)).toEqual([kept])
  const again = await send('DELETE', address(threadId, `/queue/${gone}`))
  expect([again.status, await again.json()]).toMatchObject([404, { error: { code: 'not_found' } }])
  await end()
  const [withdrawn, other] = await Promise.all(queued.map(({ answer }) => events(answer)))
  expect(withdrawn?.map(({ type }) => type)).toEqual(['RUN_STARTED', 'CUSTOM', 'RUN_FINISHED'])
  expect(withdrawn?.[1]).toMatchObject({ name: 'agui-runner.withdrawn', value: { words: 'not this' } })
  expect(withdrawn?.at(-1)).toMatchObject({ runId: gone, outcome: { type: 'cancelled' } })
  expect(textOf(other ?? [])).toBe('You said: but this')
  // A client that keeps it in its history does not send it after all.
  const [notThis] = queued.map(({ input }) => input.messages)
  const history = { ...runInput(threadId), messages: [...(notThis ?? []), userMessage('and that')] }
  expect(textOf(await run(runner.url, history))).toBe('You said: and that')
})

test('a run that has begun or is unknown, or a thread that is, cannot be taken out', async () => {
  const { end } = await busy('begun')
  const { runId } = await bodyOf(await fetch(address('begun')))
  for (const url of [
    address('begun', `/queue/${runId}`),
    address('begun', '/queue/x'),
    address('none', '/queue/x'),
  ])
    expect((await send('DELETE', url)).status).toBe(404)
  await end()
})

test('a thread keeps the name that somebody gives it', async () => {
  await run(runner.url, runInput('named', 'First words'))
  const answer = await send('PATCH', address('named'), { title: '  The login test ' })
  expect(await bodyOf(answer)).toMatchObject({ threadId: 'named', title: 'The login test' })
  await run(runner.url, runInput('named', 'Other words'))
  expect(await bodyOf(await fetch(address('named')))).toMatchObject({ title: 'The login test' })
})

test.each([
  [{}],
  [{ title: ' ' }],
  [{ title: 'a\nb' }],
  [{ title: 'x'.repeat(121) }],
  [{ title: null }],
  [{ title: 'a', x: 1 }],
])('is not named by %j', async (body) => {
  await run(runner.url, runInput('unnamed', 'First words'))
  const answer = await send('PATCH', address('unnamed'), body)
  expect([answer.status, await answer.json()]).toMatchObject([400, { error: { code: 'invalid_input' } }])
  expect(await bodyOf(await fetch(address('unnamed')))).toMatchObject({ title: 'First words' })
})
