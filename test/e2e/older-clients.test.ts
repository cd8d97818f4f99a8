// The clients that people have, as npm gives them, against the real runner and the real Claude Code.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HttpAgent } from '@ag-ui/client'
import type { Message } from '@ag-ui/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientEvent, events, post, run, runInput } from '../support/client.ts'
import { OLDER_CLIENTS } from '../support/older-clients.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
}

let bench: Bench
let runner: OpenRunner

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'hello' }] } })
  writeFileSync(join(bench.workspace, 'shot.png'), PNG)
  runner = await bench.open({ PERMISSION_MODE: 'ask' })
  await run(runner.url, { ...runInput('probe', 'hello'), tools: [WEATHER] })
  const tools = bench.gateway.requests.flatMap(({ facts }) => facts?.tools ?? [])
  const weather = tools.find((name) => name.endsWith('__get_weather')) ?? ''
  bench.gateway.use({
    rules: [
      { when: { prompt: 'weather', round: 0 }, reply: [{ tool: weather, input: { city: 'Ulm' } }] },
      {
        when: { prompt: 'look', round: 0 },
        reply: [{ tool: 'Read', input: { file_path: '{{cwd}}/shot.png' } }],
      },
      { when: { prompt: 'make', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'touch made' } }] },
      { when: { prompt: 'hang' }, reply: ['Wait.', { hang: true }] },
      { when: { result: { matches: 'sunny' } }, reply: 'It is sunny' },
      { when: { result: { matches: '.*' } }, reply: 'It is done' },
      { reply: 'You said: {{prompt}}' },
    ],
  })
})
afterAll(() => bench.close())

const NUMBERS = ['0.0.57', '0.0.59']
const CLIENTS = [
  ...OLDER_CLIENTS.filter(({ version }) => NUMBERS.includes(version)),
  { version: '1.0.0', agent: async () => HttpAgent },
]

describe.each(CLIENTS)('HttpAgent of $version', ({ version, agent: classOf }) => {
  const isOlder = version !== '1.0.0'
  // One agent for all, as in a page that stays open.
  let agent: HttpAgent
  beforeAll(async () => {
    const Agent = await classOf()
    agent = new Agent({ url: runner.url, threadId: version })
  })
  let custom: string[]
  const subscriber = {
    onCustomEvent({ event }: { event: { name: string } }) {
      custom.push(event.name)
    },
  }
  const run = (input: object = {}) => {
    custom = []
    return agent.runAgent({ runId: crypto.randomUUID(), ...input }, subscriber)
  }
  const say = (content: string): Message => ({ id: crypto.randomUUID(), role: 'user', content })
  const last = ({ messages }: HttpAgent): Message | undefined => messages.at(-1)

  test('chats', async () => {
    for (const words of ['one', 'two']) {
      agent.addMessage(say(words))
      await run()
      expect(last(agent)).toMatchObject({ role: 'assistant', content: `You said: ${words}` })
    }
  })

  test('answers a call of its own tool', async () => {
    agent.addMessage(say('the weather?'))
    await run({ tools: [WEATHER] })
    const [call] = agent.messages.flatMap((message) =>
      message.role === 'assistant' ? (message.toolCalls ?? []) : [],
    )
    expect(call?.function).toEqual({ name: 'get_weather', arguments: '{"city":"Ulm"}' })
    agent.addMessage({ id: crypto.randomUUID(), role: 'tool', toolCallId: call?.id ?? '', content: 'sunny' })
    await run({ tools: [WEATHER] })
    expect(last(agent)).toMatchObject({ content: 'It is sunny' })
  })

  test('resumes under the id of the run that asked, and reads on', async () => {
    const runId = crypto.randomUUID()
    agent.addMessage(say('make a file'))
    await run({ runId })
    const [interrupt] = agent.pendingInterrupts
    expect(interrupt).toMatchObject({ reason: 'tool_call' })
    const resume = [{ interruptId: interrupt?.id, status: 'resolved', payload: { approved: true } }]
    await run({ runId, resume })
    expect(last(agent)).toMatchObject({ content: 'It is done' })
    expect(agent.pendingInterrupts).toEqual([])
  })

  test('gets a picture that a tool returned, or where to fetch it', async () => {
    agent.addMessage(say('look at it'))
    await run()
    const result = agent.messages.findLast(({ role }) => role === 'tool')
    if (!isOlder) {
      expect(result?.content).toMatchObject([{ type: 'image', source: { value: PNG.toString('base64') } }])
      return
    }
    const [, path] = /^\[image image\/png, \d+ bytes: GET (\S+)\]$/.exec(String(result?.content)) ?? []
    const answer = await fetch(`${runner.url}${path}`)
    expect(answer.headers.get('content-type')).toBe('image/png')
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(PNG)
  })

  test('reads to the end of a run that was stopped, and can tell it from success', async () => {
    const ended: unknown[] = []
    agent.subscribe({
      onTextMessageContentEvent: async () => {
        await post(`${runner.url}/sessions/${agent.threadId}/interrupt`, {})
      },
      onRunFinishedEvent: ({ event }) => void ended.push(event.outcome),
    })
    agent.addMessage(say('hang on'))
    await run()
    expect(last(agent)).toMatchObject({ content: 'Wait.' })
    expect(ended).toEqual([isOlder ? undefined : { type: 'cancelled' }])
    expect(custom.includes('agui-runner.cancelled')).toBe(isOlder)
  })
})

describe('streams that have no input to tell a dialect by', () => {
  const threadId = 'streams'
  const picture = {
    type: 'image',
    source: { type: 'data', value: PNG.toString('base64'), mimeType: 'image/png' },
  }

  beforeAll(async () => {
    await run(runner.url, runInput(threadId, [{ type: 'text', text: 'look at it' }, picture]))
  })

  const acceptedByAll = async (all: readonly unknown[]): Promise<void> => {
    expect(all.length).toBeGreaterThan(2)
    for (const event of all) {
      for (const { version, accepts } of OLDER_CLIENTS)
        expect(await accepts(event), `${version}: ${JSON.stringify(event).slice(0, 200)}`).toBe(true)
    }
  }

  test.each(['events', 'connect'])('GET /%s tells older clients what they take', async (path) => {
    const url = `${runner.url}/sessions/${threadId}/${path}?follow=false&protocolVersion=`
    await acceptedByAll(await events(await fetch(`${url}0`)))
    const plain = await events(await fetch(`${url}1.0`))
    expect(JSON.stringify(plain)).toContain('"content":[{')
  })

  test('a WebSocket does', async () => {
    const socket = await openSocket(runner.url)
    socket.send({ type: 'subscribe', threadId, protocolVersion: '0' })
    await socket.frame(({ event }) => event?.type === 'RUN_FINISHED')
    const told: ClientEvent[] = socket.frames.flatMap(({ event }) => event ?? [])
    await acceptedByAll(told)
    await socket.close()
  })

  test.each(['events', 'connect'])('a dialect that nobody speaks is refused: GET /%s', async (path) => {
    const answer = await fetch(`${runner.url}/sessions/${threadId}/${path}?protocolVersion=2.0`)
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { code: 'invalid_input' } }])
  })

  test('older clients are answered in SSE also when they ask for protobuf', async () => {
    const { protocolVersion: _, ...input } = runInput(threadId, 'hi')
    const accept = 'application/vnd.ag-ui.event+proto'
    const answer = await post(runner.url, input, { accept })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect((await events(answer)).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
  })

  test.each(['x', '-1', '7'])('part %s of a message is no part', async (index) => {
    const answer = await fetch(`${runner.url}/sessions/${threadId}/messages/m/parts/${index}`)
    expect([400, 404]).toContain(answer.status)
  })
})
