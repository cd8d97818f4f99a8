// How the stream of a thread begins, and that it leaves the server to others.
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chooseEncoding } from '../../src/http/stream/encoding.ts'
import { LogStream } from '../../src/http/stream/log-stream.ts'
import { run, runInput } from '../support/client.ts'
import { appendTo, delta } from '../support/event-log.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({ script: { rules: [{ reply: 'You said: {{prompt}}' }] } })
  await run(runner.url, runInput('one', 'hello'))
})
afterAll(() => runner.close())

const eventsOf = (query: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${runner.url}/sessions/one/events?${query}`, { headers })

test('records that are there take the head along, and nothing goes before them', async () => {
  const text = await (await eventsOf('follow=false')).text()
  expect(text).toMatch(/^id: 1\n/)
  expect(text).not.toContain('keep-alive')
})

test('a reader that has to wait is told at once that it is connected', async () => {
  for await (const chunk of (await eventsOf('after=-1')).body ?? []) {
    expect(new TextDecoder().decode(chunk)).toBe(': keep-alive\n\n')
    break
  }
  const binary = await eventsOf('after=-1', { accept: 'application/vnd.ag-ui.event+proto' })
  expect(binary.status).toBe(200)
  await binary.body?.cancel()
})

test('between two steps of a reader that catches up, everybody else has a turn', async () => {
  const { storage } = runner
  const texts = Array.from({ length: 6 }, () => delta('x'.repeat(200_000)))
  for (const text of texts) await appendTo(storage, 'long', 'run', [text])
  const stream = new LogStream({
    log: storage.log,
    threadId: 'long',
    after: 0,
    encoding: chooseEncoding(undefined, { dialect: '1.0', threadId: 'long' }),
    keepaliveMs: 60_000,
    isLast: ({ last }) => last === texts.length,
  })
  const happened: string[] = []
  const others = (): void => {
    happened.push('turn')
    if (!stream.readableEnded) setImmediate(others)
  }
  setImmediate(others)
  await once(
    stream.on('data', () => happened.push('step')),
    'end',
  )
  expect(happened.filter((what) => what === 'step')).toHaveLength(3)
  expect(happened.join()).not.toContain('step,step')
})
