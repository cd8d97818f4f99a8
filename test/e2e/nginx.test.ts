// Debian's nginx with its default buffering and gzip before the runner, under a path prefix: docs/proxies.md has its lines.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createParser } from 'eventsource-parser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { events, post, runInput } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const NGINX = '/usr/sbin/nginx'
const KEEPALIVE_MS = 100

const reason = missingNginx()

function missingNginx(): string | undefined {
  if (existsSync(NGINX)) return undefined
  if (process.env['CI'] === 'true') throw new Error(`${NGINX} is not there`)
  return `${NGINX} is not there`
}

describe.skipIf(reason !== undefined)(`behind nginx (${reason ?? 'nginx is here'})`, () => {
  let bench: Bench
  let runner: RunnerProcess
  let url: string
  let close: () => Promise<void>

  beforeAll(async () => {
    const rules = [
      {
        when: { prompt: 'slowly' },
        reply: [{ text: 'first', open: true }, { gate: 'more' }, { text: ' second' }],
      },
      { reply: 'You said: {{prompt}}' },
    ]
    bench = await openBench({ script: { rules } })
    runner = await bench.start({ SSE_KEEPALIVE_MS: String(KEEPALIVE_MS) })
    const port = await freePort()
    url = `http://127.0.0.1:${port}/runner`
    close = await startNginx(join(bench.directory, 'nginx'), port, runner.url)
  })
  afterAll(async () => {
    await close?.()
    await bench?.close()
  })

  test.each(['identity', 'gzip'])(
    'events come one by one, and keep-alives between them (%s)',
    async (coding) => {
      const input = runInput(`events-${coding}`, 'slowly')
      const answer = await post(`${url}/`, input, { 'accept-encoding': coding, origin: new URL(url).origin })
      expect(answer.headers.get('server')).toMatch(/^nginx/)
      expect(answer.headers.get('content-encoding')).toBe(coding === 'gzip' ? 'gzip' : null)
      const seen: string[] = []
      const parser = createParser({
        onEvent: ({ data }) => {
          const { type, delta } = JSON.parse(data)
          seen.push(type === 'TEXT_MESSAGE_CONTENT' ? delta : type)
        },
        // The model says no more until the first half and a keep-alive behind it have come.
        onComment: () => {
          if (seen.at(-1) === 'first') bench.gateway.open('more')
        },
      })
      const decoder = new TextDecoder()
      for await (const chunk of answer.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }))
      expect(seen.at(-1)).toBe('RUN_FINISHED')
      expect(seen.join('|')).toContain('first| second')
    },
  )

  test('a WebSocket runs and follows', async () => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { origin: new URL(url).origin })
    await once(socket, 'open')
    const done = new Promise<string[]>((resolve) => {
      const types: string[] = []
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data))
        types.push(frame.event?.type ?? frame.type)
        if (frame.event?.type === 'RUN_FINISHED') resolve(types)
      })
    })
    socket.send(JSON.stringify({ type: 'run', input: runInput('socket', 'hello') }))
    expect(await done).toContain('TEXT_MESSAGE_CONTENT')
    socket.terminate()
  })

  test('a page of another origin stays out, and streams are replayed under the prefix', async () => {
    const answer = await post(`${url}/`, runInput('foreign', 'hello'), { origin: 'http://127.0.0.1:1' })
    expect(answer.status).toBe(403)
    // What nginx decodes when its lines let it.
    const threadId = 'of acme/replayed?'
    const live = await events(await post(`${url}/`, runInput(threadId, 'hello')))
    const path = `sessions/${encodeURIComponent(threadId)}/events`
    expect(await events(await fetch(`${url}/${path}?follow=false`))).toEqual(live)
  })
})

/** The lines of docs/proxies.md, on another port and with gzip for event streams. */
async function startNginx(directory: string, port: number, runnerUrl: string): Promise<() => Promise<void>> {
  const page = readFileSync(new URL('../../docs/proxies.md', import.meta.url), 'utf8')
  const lines = /```nginx\n(.*?)```/s.exec(page)?.[1] ?? ''
  const http = lines
    .replace('listen 80', `listen 127.0.0.1:${port}`)
    .replace('http://127.0.0.1:8001', runnerUrl)
  mkdirSync(directory)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join('\n')
  const file = join(directory, 'nginx.conf')
  const root = process.getuid?.() === 0 ? 'user root;' : ''
  writeFileSync(
    file,
    `${root} daemon off; pid ${directory}/pid; error_log ${directory}/error.log;
events {}
http { access_log off; gzip on; gzip_types text/event-stream; gzip_proxied any;
${temporary}
${http}
}`,
  )
  const child = spawn(NGINX, ['-p', directory, '-c', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {},
  })
  const exited = once(child, 'exit')
  const serves = async (): Promise<void> => {
    while (child.exitCode === null) {
      const answer = await fetch(`http://127.0.0.1:${port}/runner/health`).catch(() => undefined)
      if (answer?.ok === true) return
    }
    throw new Error(`nginx ended: ${readFileSync(join(directory, 'error.log'), 'utf8')}`)
  }
  await serves()
  return async () => {
    child.kill('SIGTERM')
    await exited
  }
}
