// The link against a control plane made of the facts (control-plane.md 1): what is pushed, what comes in, and what becomes of
// both when something fails.
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { status } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { runIdOf } from '../../src/platform-link/message-run.ts'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { ESTABLISHED, join, parseTarget } from '../../src/tunnel/connect.ts'
import { run, runInput } from '../support/client.ts'
import type { StoredRow } from '../support/control-plane.ts'
import { type Bench, type LinkedRunner, openBench, SESSION } from '../support/linked-runner.ts'

const AGENT = {
  script: {
    rules: [
      {
        when: { prompt: 'look', round: 0 },
        reply: [{ text: 'I look.' }, { tool: 'Read', input: { file_path: '/a' } }],
      },
      { when: { prompt: 'ask', round: 0 }, reply: [{ tool: 'Write', input: { file_path: '/b' } }] },
      { when: { prompt: 'gated' }, reply: [{ text: 'Wait.' }, { gate: 'go-on' }, { text: ' Done.' }] },
      { when: { prompt: 'fail' }, reply: [{ error: { status: 500, message: 'broken' } }] },
      { reply: 'You said: {{prompt}}' },
    ],
  },
  tools: { Read: async () => 'a file', Write: async () => 'written' },
  asks: ['Write'],
}

/** What a client of the runner's own sends. */
const local = (content: string) => ({
  ...runInput(SESSION),
  messages: [{ id: content, role: 'user' as const, content }],
})

const PATIENT = { timeout: 10_000 }

let bench: Bench
afterEach(() => bench.close())

const chat = (rows: readonly StoredRow[]): string[] => rows.map(({ type, payload }) => `${type} ${payload}`)
const ends = (rows: readonly StoredRow[]): number =>
  rows.filter(({ payload }) => payload === '{"event":"run_finished"}').length

/** So many runs have ended, and all that the log says of them was pushed. */
async function ended(runner: LinkedRunner, runs: number): Promise<void> {
  await bench.plane.until(() => ends(bench.plane.pushed) >= runs)
  // Acknowledged too: what is not is pushed again.
  await expect.poll(() => runner.link.behind(), PATIENT).toBe(0)
}

async function expectWhole(runner: LinkedRunner): Promise<void> {
  const expected = await runner.expected()
  const messages = expected.filter(({ to }) => to === 'messages')
  expect(chat(bench.plane.pushed)).toEqual(messages.map(({ type, payload }) => `${type} ${payload}`))
  const events = expected.filter(({ to }) => to === 'events')
  expect(bench.plane.events.map(({ type, payload }) => ({ type, payload }))).toEqual(
    events.map(({ type, payload }) => ({ type, payload })),
  )
}

test('what a person says is run, and all of the answer is pushed in order', async () => {
  bench = await openBench(AGENT)
  const runner = await bench.open()
  bench.plane.say('look')
  await ended(runner, 1)
  const toolCallId = expect.any(String)
  const [started, text, use, result, answer, finished] = bench.plane.pushed
  expect([started, finished].map((row) => JSON.parse(row?.payload ?? ''))).toEqual([
    { event: 'run_started' },
    { event: 'run_finished' },
  ])
  expect([text, answer].map((row) => [row?.type, row?.payload])).toEqual([
    ['assistant', 'I look.'],
    ['assistant', 'You said: look'],
  ])
  expect(JSON.parse(use?.payload ?? '')).toEqual({
    tool: 'Read',
    tool_call_id: toolCallId,
    input: { file_path: '/a' },
  })
  expect(JSON.parse(result?.payload ?? '')).toEqual({ tool_call_id: toolCallId, result: 'a file' })
  await expectWhole(runner)
  expect(runner.link.state().name).toBe('connected')
})

test('messages that come while one is run are run behind it, each once', async () => {
  bench = await openBench(AGENT)
  const runner = await bench.open()
  bench.plane.say('gated')
  await bench.plane.until(() => bench.plane.pushed.length > 0)
  bench.plane.say('second')
  bench.plane.say('third')
  runner.agent.openGate('go-on')
  await ended(runner, 3)
  expect(chat(bench.plane.pushed).filter((line) => line.startsWith('assistant'))).toEqual([
    'assistant Wait. Done.',
    'assistant You said: second',
    'assistant You said: third',
  ])
})

test.each(['Yes.', JSON.stringify({ messages: [{ id: 'u', role: 'user', content: 'yes' }] })])(
  'a question is asked in the chat, and the next words are the answer: %s',
  async (answer) => {
    bench = await openBench(AGENT)
    const runner = await bench.open()
    bench.plane.say('ask')
    await ended(runner, 1)
    expect(bench.plane.pushed.at(-2)?.payload).toMatch(/May I use Write\?[\s\S]*Answer \*\*yes\*\*/)
    bench.plane.say(answer)
    await ended(runner, 2)
    expect(chat(bench.plane.pushed).some((line) => line.includes('"result":"written"'))).toBe(true)
    await expectWhole(runner)
  },
)

test('an error is told, and takes the sign of work away', async () => {
  bench = await openBench(AGENT)
  const runner = await bench.open()
  bench.plane.say('fail')
  await ended(runner, 1)
  const [error, last] = bench.plane.pushed.slice(-2)
  expect(error?.type).toBe('error')
  expect(JSON.parse(error?.payload ?? '')).toMatchObject({ code: 'model_error' })
  expect(last?.payload).toBe('{"event":"run_finished"}')
})

/** One fault each, while a run is under way whose end has to arrive. */
const FAULTS: Record<string, (bench: Bench) => void | Promise<void>> = {
  'the server dies and comes back': async ({ plane }) => {
    plane.kill()
    await plane.start()
  },
  'the answer of every kind of message is lost once': ({ plane }) => {
    const lost = new Set<string>()
    plane.faults.loseAnswer = (type) =>
      type === type.toUpperCase() || lost.has(type) ? undefined : lost.add(type) && 'silence'
  },
  'what was stored is answered with an error': ({ plane }) => {
    let once = true
    plane.faults.loseAnswer = (type) => {
      const isLost = once && type === 'assistant'
      if (isLost) once = false
      return isLost ? status.UNAVAILABLE : undefined
    }
  },
  'the database fails a few times': ({ plane }) => {
    let left = 3
    plane.faults.refusePush = () => (left-- > 0 ? { code: status.INTERNAL, details: 'database' } : undefined)
  },
  'the server is full for a while': ({ plane }) => {
    let left = 3
    plane.faults.refusePush = () =>
      left-- > 0 ? { code: status.RESOURCE_EXHAUSTED, details: 'too much' } : undefined
  },
  'tokens end': ({ plane }) => plane.expireTokens(),
  'a watch is cut with a permission that has ended': ({ plane }) =>
    plane.expireTokens(status.PERMISSION_DENIED),
}

test.each(Object.keys(FAULTS))('%s: everything arrives in order, and nothing twice', async (name) => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  const runner = await bench.open()
  plane.say('gated')
  await plane.until(() => plane.pushed.length > 0 && plane.watching > 0)
  await FAULTS[name]?.(bench)
  runner.agent.openGate('go-on')
  await ended(runner, 1)
  plane.say('and then')
  await ended(runner, 2)
  await expectWhole(runner)
  expect(runner.lines.join('')).not.toMatch(/acp-runner-v1|Bearer/)
})

test('a server that dies between storing a message and saying so has it once, however long it is away', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  const runner = await bench.open()
  plane.faults.loseAnswer = (type) => {
    if (type !== 'assistant') return undefined
    plane.faults = {}
    plane.kill()
    return 'silence'
  }
  plane.say('look')
  // It was asked whether it has the message, and was not there.
  await expect.poll(() => runner.lines.join(''), PATIENT).toContain('No connection')
  await plane.start()
  await ended(runner, 1)
  await expectWhole(runner)
})

test('a server that is slow to say what it has is waited for', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  const runner = await bench.open()
  plane.say('hello')
  await ended(runner, 1)
  plane.faults.watchDelay = 600
  let isFirst = true
  plane.faults.loseAnswer = (type) => {
    const isLost = isFirst && type === 'assistant'
    if (isLost) isFirst = false
    return isLost ? status.UNAVAILABLE : undefined
  }
  await run(runner.url, local('look'))
  await ended(runner, 2)
  await expectWhole(runner)
})

test('a server that is silent for a while is waited for', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  plane.faults.isSilent = true
  const runner = await bench.open()
  await run(runner.url, local('hello'))
  plane.faults.isSilent = false
  await ended(runner, 1)
  await expectWhole(runner)
})

test('what the server did not deliver comes with the next watch', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  const runner = await bench.open()
  await plane.until(() => plane.watching > 0)
  plane.faults.isDeaf = true
  plane.say('unheard')
  plane.faults.isDeaf = false
  plane.expireTokens()
  await ended(runner, 1)
  expect(chat(plane.pushed)).toContain('assistant You said: unheard')
})

test('a stopped runner goes on where it was: what was said meanwhile is run, what was not pushed is', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  const first = await bench.open({ flushMs: 50 })
  plane.say('one')
  await ended(first, 1)
  await plane.until(() => plane.watching > 0)
  plane.kill()
  // Nobody hears its end.
  await run(first.url, local('two'))
  await first.close()
  plane.say('three')
  await plane.start()
  const second = await bench.open()
  await ended(second, 3)
  await expectWhole(second)
  expect(chat(plane.pushed).filter((line) => line.startsWith('assistant'))).toEqual([
    'assistant You said: one',
    'assistant You said: two',
    'assistant You said: three',
  ])
})

test('a message that was accepted by a runner that died before it could note so is not run again', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  const first = await bench.open()
  const seq = plane.say('one')
  await ended(first, 1)
  await first.storage.commit({
    threadId: 'workspace',
    writes: [{ table: 'workspace', key: [`platform-link accepted ${SESSION}`], value: seq - 1 }],
  })
  await first.close()
  const second = await bench.open()
  plane.say('two')
  await ended(second, 2)
  expect(ends(plane.pushed)).toBe(2)
  expect(runIdOf(seq)).toBe(`platform-message-${seq}`)
})

test('what a run says last is pushed before the runner has stopped', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  const runner = await bench.open()
  plane.say('gated')
  await plane.until(() => plane.pushed.length > 0)
  await runner.close()
  expect(ends(plane.pushed)).toBe(1)
})

test('a link that is refused for good says so once, and local clients are served on', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  plane.tokenStatus = 403
  const runner = await bench.open()
  await expect.poll(() => runner.link.state().name, PATIENT).toBe('refused')
  const events = await run(runner.url, local('hello'))
  expect(events.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  expect(runner.lines.filter((line) => line.includes('refused for good'))).toHaveLength(1)
  expect(runner.lines.join('')).not.toContain('SECRET-BODY')
})

test('a token service that has no time is asked again', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  plane.tokenStatus = 429
  const runner = await bench.open()
  await expect.poll(() => plane.asked.length, PATIENT).toBeGreaterThan(1)
  plane.tokenStatus = 200
  plane.say('hello')
  await ended(runner, 1)
})

test('a public key that is too short for the session’s id ends the start', async () => {
  bench = await openBench(AGENT, { scheme: 'A' })
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 512 })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const variables = { AMBIENT_CP_TOKEN_PUBLIC_KEY: pem }
  await expect(bench.open({ variables })).rejects.toThrow('AMBIENT_CP_TOKEN_PUBLIC_KEY: is too short')
})

test('a server that repeats the token that it refuses is not repeated', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  const refuse = () => ({
    code: status.PERMISSION_DENIED,
    details: `${plane.authorizations.at(-1)} is not yours`,
  })
  plane.faults = { refusePush: refuse, refuseWatch: refuse }
  const runner = await bench.open()
  await expect.poll(() => runner.link.state().name, PATIENT).toBe('refused')
  expect(runner.link.state().reason).toContain('[redacted]')
  expect(`${runner.lines.join('')}${runner.link.state().reason}`).not.toContain('acp-runner-v1')
})

test('another session’s runner is refused for good, with one new token tried', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  plane.faults.refusePush = () => ({ code: status.PERMISSION_DENIED, details: 'foreign session' })
  plane.faults.refuseWatch = () => ({ code: status.PERMISSION_DENIED, details: 'foreign session' })
  const runner = await bench.open()
  await expect
    .poll(() => runner.link.state(), PATIENT)
    .toMatchObject({ name: 'refused', reason: expect.stringContaining('foreign') })
  expect(plane.given.length).toBeLessThanOrEqual(3)
})

test('a control plane that keeps no events gets the messages, and one that cannot take one gets the others', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  plane.faults.refusePush = (type) => {
    if (type === type.toUpperCase()) return { code: status.UNIMPLEMENTED, details: 'unknown method' }
    return type === 'tool_use' ? { code: status.INVALID_ARGUMENT, details: 'no' } : undefined
  }
  await bench.open()
  plane.say('look')
  await plane.until(() => ends(plane.pushed) === 1)
  expect(plane.pushed.map(({ type }) => type)).toEqual([
    'lifecycle',
    'assistant',
    'tool_result',
    'assistant',
    'lifecycle',
  ])
  expect(plane.events).toEqual([])
})

test.each(['A', 'B'] as const)(
  'tokens of scheme %s are had over TLS with the named authority',
  async (scheme) => {
    const authority = createAuthority('test')
    bench = await openBench(AGENT, { scheme, tls: authority.issue('localhost') })
    const { plane } = bench
    const file = `${bench.directory}/ca.pem`
    writeFileSync(file, authority.pem)
    const runner = await bench.open({
      variables: { AMBIENT_GRPC_CA_CERT_FILE: file, AMBIENT_CP_CA_CERT_FILE: file },
    })
    plane.say('hello')
    await ended(runner, 1)
    expect(new Set(plane.authorizations)).toEqual(new Set([`Bearer ${plane.given[0]}`]))
  },
)

test.each(['over TLS', 'in the clear'])(
  'the way leads through the proxy of the environment, %s',
  async (how) => {
    const authority = createAuthority('test')
    const tls = how === 'over TLS' ? { tls: authority.issue('localhost') } : {}
    bench = await openBench(AGENT, tls)
    const { plane } = bench
    const file = `${bench.directory}/ca.pem`
    writeFileSync(file, authority.pem)
    const proxy = await openProxy()
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: 'elsewhere.example' }
    const runner = await bench.open({ env, caFiles: [file] })
    plane.say('hello')
    await ended(runner, 1)
    expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT ${plane.address} Basic dTpw`]))
    await runner.close()
    proxy.close()
  },
)

test('NO_PROXY takes the link past the proxy, and an https proxy is refused with a sentence', async () => {
  bench = await openBench(AGENT)
  const runner = await bench.open({ env: { HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: 'localhost' } })
  bench.plane.say('hello')
  await ended(runner, 1)
  await runner.close()
  const secure = bench.open({ env: { HTTPS_PROXY: 'https://127.0.0.1:9' } })
  await expect(secure).rejects.toThrow(/https proxy/)
})

/** A CONNECT proxy that wants a password. */
async function openProxy(): Promise<{ url: string; asked: string[]; close(): void }> {
  const asked: string[] = []
  const server = createServer()
  server.on('connect', (request, socket) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`)
    const target = parseTarget(request.url ?? '')
    const upstream = connect(target ?? { port: 9 }, () => {
      socket.write(ESTABLISHED)
      join(socket, upstream)
    })
    upstream.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://u:p@127.0.0.1:${port}`, asked, close: () => server.close() }
}
