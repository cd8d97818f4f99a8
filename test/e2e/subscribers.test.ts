import { createHash } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { messagesOf } from '../support/agui-replay.ts'
import {
  type ClientEvent,
  events,
  type Frame,
  frames,
  post,
  run,
  runInput,
  textOf,
} from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'stream (\\d+)' }, reply: [{ deltas: { count: '{{1}}', text: '{{n}} ' } }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    {
      when: { prompt: 'half a text (\\w+)' },
      reply: [
        { thinking: 'Hm.', signature: 'sig' },
        { text: 'first half', open: true },
        { gate: '{{1}}' },
        { text: ', second half' },
      ],
    },
    {
      when: { prompt: 'half a call (\\w+)', round: 0 },
      reply: [
        { text: 'I run it.' },
        { tool: 'Bash', rawInput: '{"command":"echo ', open: true },
        { gate: '{{1}}' },
        { tool: 'Bash', rawInput: 'one-two"}' },
      ],
    },
    { when: { prompt: 'gated (\\w+)' }, reply: [{ text: 'before' }, { gate: '{{1}}' }, { text: ' after' }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let claude: OpenRunner
/** Where Claude Code is not the point. */
let scripted: ScriptedRunner
let runner: { url: string }

beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  claude = await bench.open()
  scripted = await openScriptedRunner({ script: SCRIPT })
  runner = scripted
})
afterAll(() => Promise.all([bench.close(), scripted.close()]))

/** For what follows in its block. */
function byClaude(): void {
  beforeAll(() => {
    runner = claude
  })
  afterAll(() => {
    runner = scripted
  })
}

const session = (threadId: string, path = ''): string =>
  `${runner.url}/sessions/${encodeURIComponent(threadId)}${path}`

async function record(threadId: string, query = ''): Promise<Frame[]> {
  const all: Frame[] = []
  for await (const frame of frames(await fetch(session(threadId, `/events${query}`)))) all.push(frame)
  return all
}

function hashOf(all: readonly Frame[]): string {
  const hash = createHash('sha256')
  for (const { id, event } of all) hash.update(`${id} ${JSON.stringify(event)}\n`)
  return hash.digest('hex')
}

const ends = ({ type }: ClientEvent): boolean => type === 'RUN_FINISHED' || type === 'RUN_ERROR'

async function until(response: Response, test: (event: ClientEvent) => boolean): Promise<ClientEvent[]> {
  const all: ClientEvent[] = []
  for await (const { event } of frames(response)) {
    all.push(event)
    if (test(event)) break
  }
  return all
}

/** Reads a raw HTTP answer a few bytes at a time with long stops, through a small socket buffer. */
async function readSlowly(threadId: string): Promise<Frame[]> {
  const { hostname, port } = new URL(runner.url)
  const socket = connectTcp(Number(port), hostname)
  socket.write(`GET /sessions/${threadId}/events?until=run&wait=true HTTP/1.0\r\nhost: ${hostname}\r\n\r\n`)
  let text = ''
  let chunks = 0
  for await (const chunk of socket) {
    text += chunk.toString('utf8')
    // While this goes on the socket is not read.
    if (chunks++ % 200 === 0) for (let turns = 0; turns < 2000; turns++) await turn()
  }
  return [...text.matchAll(/^id: (\d+)\ndata: (.*)$/gm)].map(([, id, data]) => ({
    id: Number(id),
    event: JSON.parse(data ?? ''),
  }))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Leaves ten times on the way and comes back with the id of the last event it has. */
async function readInPieces(threadId: string): Promise<{ all: Frame[]; connections: number }> {
  const all: Frame[] = []
  let connections = 0
  while (!all.some(({ event }) => ends(event))) {
    connections += 1
    const last = all.at(-1)?.id
    const response = await fetch(session(threadId, '/events?wait=true&until=run'), {
      headers: last === undefined ? {} : { 'last-event-id': String(last) },
    })
    const goal = all.length + 180
    for await (const frame of frames(response)) {
      all.push(frame)
      if (connections <= 10 && all.length >= goal) break
    }
  }
  return { all, connections }
}

async function readBySocket(threadId: string): Promise<Frame[]> {
  const client = await openSocket(runner.url)
  client.send({ type: 'run', input: { ...runInput(threadId, 'stream 2000') } })
  await client.frame(({ event }) => event !== undefined && ends(event))
  await client.close()
  return client.frames.flatMap(({ seq, event }) => (seq !== undefined && event ? [{ id: seq, event }] : []))
}

describe('of one run', () => {
  byClaude()

  test('fast, slow, coming back ten times and by WebSocket: every reader holds the same sequence', async () => {
    const [slow, pieces, bySocket] = await Promise.all([
      readSlowly('same'),
      readInPieces('same'),
      readBySocket('same'),
    ])
    const replayed = await record('same', '?follow=false')
    const hashes = [slow, pieces.all, bySocket, replayed].map(hashOf)
    console.log(
      `${replayed.length} events, ${pieces.connections} connections, hashes ${[...new Set(hashes)]}`,
    )
    expect(new Set(hashes).size).toBe(1)
    expect(pieces.connections).toBeGreaterThan(10)
    expect(replayed.map(({ id }) => id)).toEqual(replayed.map((_frame, index) => index + 1))
    expect(textOf(replayed.map(({ event }) => event))).toBe(
      Array.from({ length: 2000 }, (_, index) => `${index + 1} `).join(''),
    )
  })
})

describe('subscribing', () => {
  test('to a thread that is not known is 404, and with wait=true waits for it', async () => {
    const refused = await fetch(session('later', '/events'))
    expect([refused.status, (await refused.json()) as unknown]).toMatchObject([
      404,
      { error: { code: 'not_found' } },
    ])
    const waiting = events(await fetch(session('later', '/events?wait=true&until=run')))
    await run(runner.url, runInput('later', 'hello'))
    expect(textOf(await waiting)).toBe('You said: hello')
  })

  test('follow=false ends at the present, after=N begins behind N, after=-1 gives only what is new', async () => {
    await run(runner.url, runInput('places', 'one'))
    const all = await record('places', '?follow=false')
    expect(all.at(-1)?.event.type).toBe('RUN_FINISHED')
    expect(await record('places', '?follow=false&after=3')).toEqual(all.slice(3))
    expect(await record('places', `?follow=false&after=${all.length}`)).toEqual([])
    expect(await record('places', '?follow=false&after=-1')).toEqual([])
    const fresh = fetch(session('places', '/events?after=-1&until=run'))
    const response = await fresh
    await run(runner.url, runInput('places', 'two'))
    const [first] = await events(response)
    expect(first).toMatchObject({ type: 'RUN_STARTED', input: { messages: [{ content: 'two' }] } })
    expect((await record('places', '?until=run')).length).toBe(all.length)
  })

  test('Last-Event-ID wins over after', async () => {
    await run(runner.url, runInput('header', 'one'))
    const response = await fetch(session('header', '/events?follow=false&after=0'), {
      headers: { 'last-event-id': '2' },
    })
    const [first] = await events(response)
    expect(first?.type).not.toBe('RUN_STARTED')
  })

  test('a place that was never reached is 410, not a silent gap', async () => {
    await run(runner.url, runInput('stale', 'one'))
    const response = await fetch(session('stale', '/events?after=5000'))
    expect([response.status, (await response.json()) as unknown]).toMatchObject([
      410,
      { error: { code: 'replay_expired', details: { oldestSeq: 1 } } },
    ])
  })

  test.each(['after=x', 'after=-2', 'follow=maybe', 'until=now'])('?%s is refused', async (query) => {
    await run(runner.url, runInput('queries', 'one'))
    expect((await fetch(session('queries', `/events?${query}`))).status).toBe(400)
  })

  test('a thread that is deleted ends its readers', async () => {
    await run(runner.url, runInput('deleted', 'one'))
    const reading = record('deleted')
    await turn()
    expect((await fetch(session('deleted'), { method: 'DELETE' })).status).toBe(204)
    expect((await reading).at(-1)?.event.type ?? 'RUN_FINISHED').toBe('RUN_FINISHED')
    expect((await fetch(session('deleted', '/events'))).status).toBe(404)
    const again = await run(runner.url, runInput('deleted', 'two'))
    expect(textOf(again)).toBe('You said: two')
    expect((await record('deleted', '?follow=false'))[0]).toMatchObject({
      id: 1,
      event: { input: { messages: [{ content: 'two' }] } },
    })
  })

  test('ids of any characters name their thread', async () => {
    for (const threadId of [
      'a/b',
      'a:b',
      '\u{1f600}',
      'a b%2F',
      '漢'.repeat(256),
      `${'x'.repeat(80)}\u0000y`,
    ]) {
      await run(runner.url, runInput(threadId, 'hello'))
      expect((await record(threadId, '?follow=false')).at(-1)?.event).toMatchObject({ threadId })
    }
    expect((await fetch(`${runner.url}/events/${'x'.repeat(1000)}`)).status).toBe(400)
  })
})

describe('the tap of the platform', () => {
  test('gives the next run to any number of readers and ends with it', async () => {
    const taps = [1, 2, 3].map(async () => await fetch(`${runner.url}/events/tapped`))
    const open = await Promise.all(taps)
    await run(runner.url, runInput('tapped', 'hello'))
    for (const response of open) {
      const all = await events(response)
      expect([all[0]?.type, textOf(all), all.at(-1)?.type]).toEqual([
        'RUN_STARTED',
        'You said: hello',
        'RUN_FINISHED',
      ])
    }
  })

  test('gives the run that is under way from its start', async () => {
    const posted = await post(runner.url, runInput('tapped-late', 'gated tap'))
    await until(posted, ({ type }) => type === 'TEXT_MESSAGE_CONTENT')
    const tap = await fetch(`${runner.url}/events/tapped-late`)
    scripted.agent.openGate('tap')
    expect(textOf(await events(tap))).toBe('before after')
  })

  test('wait gives 404 after its time for a thread that does not come, and follows one that does', async () => {
    const began = Date.now()
    expect((await fetch(`${runner.url}/events/never/wait`)).status).toBe(404)
    expect(Date.now() - began).toBeGreaterThan(1500)
    const waiting = fetch(`${runner.url}/events/soon/wait`)
    await run(runner.url, runInput('soon', 'hello'))
    expect((await waiting).status).toBe(200)
    await (await waiting).body?.cancel()
  })
})

describe('connecting in the middle', () => {
  byClaude()

  test.each([
    ['a text block', 'half a text', 'TEXT_MESSAGE_CONTENT'],
    ['a tool call', 'half a call', 'TOOL_CALL_ARGS'],
  ])(
    'of %s a client that held nothing ends with what the first client holds',
    async (_what, prompt, type) => {
      const threadId = `connect-${type}`
      const gate = `gate${type.replaceAll('_', '')}`
      await run(runner.url, runInput(threadId, 'earlier words'))
      const first = await fetch(session(threadId, '/events'))
      const posted = await post(runner.url, runInput(threadId, `${prompt} ${gate}`))
      const ended = events(posted)
      const fromStart: ClientEvent[] = []
      const reader = frames(first)
      for await (const { event } of { [Symbol.asyncIterator]: () => ({ next: () => reader.next() }) }) {
        fromStart.push(event)
        if (event.type === type && fromStart.filter(({ type: seen }) => seen === 'RUN_STARTED').length === 2)
          break
      }
      const late = await fetch(session(threadId, '/connect?until=run'))
      bench.gateway.open(gate)
      await ended
      const lateEvents = await events(late)
      for await (const { event } of reader) {
        fromStart.push(event)
        if (ends(event)) break
      }
      const whole = await messagesOf(fromStart, threadId)
      expect(await messagesOf(lateEvents, threadId)).toEqual(whole)
      expect(lateEvents[1]?.type).toBe('MESSAGES_SNAPSHOT')
      expect(lateEvents.filter((event) => event.type === type).length).toBeGreaterThan(0)
      expect(JSON.stringify(whole)).toContain('earlier words')
    },
  )

  test('between runs the client has all, and then what comes', async () => {
    await run(runner.url, runInput('connect-idle', 'one'))
    const closed = await events(await fetch(session('connect-idle', '/connect?follow=false')))
    expect(closed.map(({ type }) => type)).toEqual(['RUN_STARTED', 'MESSAGES_SNAPSHOT', 'RUN_FINISHED'])
    const live = await fetch(session('connect-idle', '/connect'))
    const seen: ClientEvent[] = []
    const reading = (async () => {
      for await (const { event } of frames(live)) {
        seen.push(event)
        if (seen.filter(ends).length === 2) break
      }
    })()
    await run(runner.url, runInput('connect-idle', 'two'))
    await reading
    expect((await messagesOf(seen, 'connect-idle')).map(({ content }) => content)).toEqual([
      'one',
      'You said: one',
      'two',
      'You said: two',
    ])
  })
})

describe('WebSocket', () => {
  test('runs, tells its events, and goes on after rubbish', async () => {
    const client = await openSocket(runner.url)
    for (const rubbish of [
      '{',
      '[]',
      '{"type":"dance"}',
      '{"type":"subscribe"}',
      '{"type":"run","input":{}}',
    ]) {
      const count = client.frames.length
      client.send(rubbish)
      const frame = await client.frame((other) => client.frames.indexOf(other) >= count)
      expect(frame).toMatchObject({ type: 'error', error: { code: 'invalid_input' } })
    }
    client.send({ type: 'subscribe', threadId: 'ws-unknown' })
    expect(await client.frame(({ error }) => error?.code === 'not_found')).toMatchObject({
      threadId: 'ws-unknown',
    })
    client.send({ type: 'run', input: runInput('ws', 'hello') })
    await client.frame(({ event }) => event?.type === 'RUN_FINISHED')
    const told = client.frames.filter(({ type }) => type === 'event')
    expect(told.map(({ seq }) => seq)).toEqual(told.map((_frame, index) => index + 1))
    expect(told.every(({ threadId }) => threadId === 'ws')).toBe(true)
    expect(textOf(told.flatMap(({ event }) => event ?? []))).toBe('You said: hello')
    await client.close()
  })

  test('subscribes from anywhere, and hears no more when it unsubscribes', async () => {
    await run(runner.url, runInput('ws-sub', 'one'))
    const all = await record('ws-sub', '?follow=false')
    const client = await openSocket(runner.url)
    client.send({ type: 'subscribe', threadId: 'ws-sub', after: 2 })
    await client.frame(({ seq }) => seq === all.length)
    expect(client.frames.map(({ seq }) => seq)).toEqual(all.slice(2).map(({ id }) => id))
    client.send({ type: 'unsubscribe', threadId: 'ws-sub' })
    client.send({ type: 'interrupt', threadId: 'ws-sub' })
    expect(await client.frame(({ type }) => type === 'interrupted')).toMatchObject({ interrupted: false })
    const before = client.frames.length
    await run(runner.url, runInput('ws-sub', 'two'))
    client.send({ type: 'subscribe', threadId: 'ws-sub', after: 9999 })
    expect(await client.frame(({ error }) => error?.code === 'replay_expired')).toBeDefined()
    expect(client.frames.length).toBe(before + 1)
    await client.close()
  })

  test('interrupts a run', async () => {
    const client = await openSocket(runner.url)
    client.send({ type: 'run', input: runInput('ws-stop', 'hang on') })
    await client.frame(({ event }) => event?.type === 'TEXT_MESSAGE_CONTENT')
    client.send({ type: 'interrupt', threadId: 'ws-stop' })
    expect(await client.frame(({ type }) => type === 'interrupted')).toMatchObject({ interrupted: true })
    const end = await client.frame(({ event }) => event?.type === 'RUN_FINISHED')
    expect(end.event).toMatchObject({ outcome: { type: 'cancelled' } })
    await client.close()
  })

  test('puts a message into a thread', async () => {
    const client = await openSocket(runner.url)
    await run(runner.url, runInput('ws-message', 'one'))
    client.send({ type: 'subscribe', threadId: 'ws-message', after: -1 })
    client.send({ type: 'message', threadId: 'ws-message', content: 'by socket' })
    const accepted = await client.frame(({ type }) => type === 'accepted')
    expect(accepted).toMatchObject({ delivery: 'run', messageId: expect.any(String) })
    await client.frame(({ event }) => event?.type === 'RUN_FINISHED')
    const told = client.frames.flatMap(({ event }) => event ?? [])
    expect(told[0]?.['input'].messages).toEqual([
      { id: accepted['messageId'], role: 'user', content: 'by socket' },
    ])
    expect(textOf(told)).toBe('You said: by socket')
    await client.close()
  })
})

describe('with room for two subscribers and a token', () => {
  let guarded: ScriptedRunner
  const token = { 'x-ambient-session-token': 'T0ken' }
  beforeAll(async () => {
    guarded = await openScriptedRunner({ script: SCRIPT }, { SUBSCRIBERS_MAX: '2', AGUI_TOKEN: 'T0ken' })
    const response = await post(guarded.url, runInput('t', 'hello'), token)
    await response.text()
  })
  afterAll(() => guarded.close())

  const subscribe = async (query = ''): Promise<Response> =>
    await fetch(`${guarded.url}/sessions/t/events${query}`, { headers: token })

  /** Tries until there is room: the server learns of a client that left by its socket. */
  async function subscribeWhenThereIsRoom(): Promise<Response> {
    for (;;) {
      const response = await subscribe()
      if (response.status === 200) return response
      await response.text()
    }
  }

  test('a third is refused, and a place is free as soon as an idle reader leaves', async () => {
    const [one, two] = await Promise.all([subscribe(), subscribe()])
    const third = await subscribe()
    expect([third.status, (await third.json()) as unknown]).toMatchObject([
      429,
      { error: { code: 'too_many_subscribers' } },
    ])
    const refused = await post(guarded.url, runInput('t', 'two'), token)
    expect(refused.status).toBe(429)
    await one.body?.cancel()
    const next = await subscribeWhenThereIsRoom()
    await Promise.all([two.body?.cancel(), next.body?.cancel()])
    const again = await Promise.all([subscribeWhenThereIsRoom(), subscribeWhenThereIsRoom()])
    await Promise.all(again.map((response) => response.body?.cancel()))
  })

  test('HEAD does not take a place', async () => {
    for (let count = 0; count < 5; count++) {
      const answer = await fetch(`${guarded.url}/sessions/t/events`, { method: 'HEAD', headers: token })
      expect(answer.status).toBe(200)
    }
    const open = await Promise.all([subscribeWhenThereIsRoom(), subscribeWhenThereIsRoom()])
    await Promise.all(open.map((response) => response.body?.cancel()))
  })

  test('clients that leave before they are answered take no place', async () => {
    for (let count = 0; count < 30; count++) {
      const stop = new AbortController()
      const path = count % 2 === 0 ? '/sessions/t/connect' : '/events/t/wait'
      const asked = fetch(`${guarded.url}${path}`, { headers: token, signal: stop.signal }).catch(
        () => undefined,
      )
      for (let turns = 0; turns < count; turns++) await turn()
      stop.abort()
      await asked
    }
    const open = await Promise.all([subscribeWhenThereIsRoom(), subscribeWhenThereIsRoom()])
    await Promise.all(open.map((response) => response.body?.cancel()))
  })

  test('a socket needs the token, which may come as a subprotocol', async () => {
    await expect(openSocket(guarded.url)).rejects.toThrow('401')
    await expect(openSocket(guarded.url, ['bearer.wrong'])).rejects.toThrow('401')
    const client = await openSocket(guarded.url, ['bearer.T0ken'])
    expect(client.socket.protocol).toBe('bearer.T0ken')
    client.send({ type: 'subscribe', threadId: 't' })
    await client.frame(({ seq }) => seq === 1)
    // A second subscription to the same thread takes the place of the first.
    const held = await subscribeWhenThereIsRoom()
    client.send({ type: 'subscribe', threadId: 't', after: 1 })
    await client.frame(({ seq }) => seq === 2)
    expect(client.frames.filter(({ type }) => type === 'error')).toEqual([])
    await client.close()
    const open = await subscribeWhenThereIsRoom()
    await Promise.all([held.body?.cancel(), open.body?.cancel()])
  })
})
