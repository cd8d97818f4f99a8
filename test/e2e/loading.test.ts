// What clients meet while the runner still loads. The policy is a pipe here: its reader waits until the test has written it.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bodyOf, events, post, runInput } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { openRaw } from '../support/raw-socket.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

let bench: Bench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

interface Loading {
  url: string
  runner: ReturnType<Bench['spawn']>
  policy: FileHandle
}

/** A runner that has come as far as its policy. */
async function load(): Promise<Loading> {
  const file = join(bench.directory, 'policy.yaml')
  execFileSync('mkfifo', [file])
  const port = await freePort()
  const runner = bench.spawn({ POLICY_FILE: file, AGUI_PORT: String(port), SESSION_ID: 'own' })
  // Opened when the other end is.
  const policy = await open(file, 'w')
  return { url: `http://127.0.0.1:${port}`, runner, policy }
}

async function healthBytes(url: string): Promise<string> {
  const socket = await openRaw(url)
  socket.send('GET /health HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n')
  const said = await socket.closed
  return said.replace(/^date: .*\r\n/im, '').toLowerCase()
}

const linesOf = (answer: string): string[] => answer.split('\r\n').sort()

test('a run that is sent before the runner is ready is run, and /health is the same as ever', async () => {
  const { url, runner, policy } = await load()
  const early = await healthBytes(url)
  expect(early).toMatch(/^http\/1\.1 200 ok\r\n/)
  const streamed = post(url, runInput('own', 'say hello')).then(events)
  const socket = openSocket(url)
  const listed = fetch(`${url}/sessions`)
  expect(await healthBytes(url)).toBe(early)
  expect(runner.stderr()).not.toContain('"listening"')

  await policy.writeFile(readFileSync('policy.yaml'))
  await policy.close()
  expect((await streamed).at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  expect((await listed).status).toBe(200)
  await (await socket).close()
  expect(await runner.line(({ msg }) => msg === 'listening')).toMatchObject({ url })
  expect(linesOf(await healthBytes(url))).toEqual(linesOf(early))
  expect(await runner.stop()).toBe(0)
})

test('a start that fails after that ends as any other, and refuses what was sent', async () => {
  const { url, runner, policy } = await load()
  const sent = post(url, runInput('own', 'say hello'))
  const socket = openSocket(url)
  socket.catch(() => undefined)
  expect(await healthBytes(url)).toContain('healthy')
  expect(await healthBytes(url)).toContain('healthy')

  await policy.writeFile('version: 1\nbogus: true\n')
  await policy.close()
  const answer = await sent
  expect(answer.status).toBe(503)
  expect(await bodyOf(answer)).toMatchObject({ error: { code: 'shutting_down' } })
  await expect(socket).rejects.toThrow('503')
  expect(await runner.exited).toBe(2)
  expect(runner.stderr().match(/"level":"(fatal|error)"/g)).toEqual(['"level":"fatal"'])
  expect(runner.stderr()).toContain('policy_invalid')
  expect(runner.stderr()).not.toContain('"listening"')
  await expect(fetch(`${url}/health`)).rejects.toThrow()
})

test('a signal meanwhile ends it in good order', async () => {
  const { url, runner, policy } = await load()
  const sent = post(url, runInput('own', 'say hello'))
  expect(await healthBytes(url)).toContain('healthy')
  const ended = runner.stop()
  await runner.line(({ msg }) => msg === 'stopping')
  await policy.writeFile(readFileSync('policy.yaml'))
  await policy.close()
  expect([200, 503]).toContain((await sent).status)
  expect(await ended).toBe(0)
})
