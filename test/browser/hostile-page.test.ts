// A page of somebody else's in a real browser, which holds the session's own token even, and what it gets.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bodyOf } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { missingChromium, openBrowser, openPage } from './chromium.ts'

const reason = missingChromium()
const REBOUND = 'rebound.example'

const RUN = `JSON.stringify({ threadId: 'intruder', runId: 'r', messages: [{ id: 'm', role: 'user', content: 'x' }] })`
const GIVES_UP = `source.onopen = () => resolve('open'); source.onerror = () => { source.close(); resolve('closed') }`

/** Each tries to start a run, or to read, by another way that a page has; `runner` is the address of its root. */
const ATTEMPTS: Record<string, string> = {
  'fetch as JSON': `
    fetch(runner, { method: 'POST', headers: { 'content-type': 'application/json' }, body: ${RUN} })
      .then(({ status }) => 'read ' + status)`,
  'fetch as plain text, without a preflight': `
    fetch(runner, { method: 'POST', mode: 'no-cors', body: ${RUN} }).then(({ status }) => 'sent, read ' + status)`,
  'a beacon': `Promise.resolve(navigator.sendBeacon(runner, ${RUN}) ? 'sent' : 'not sent')`,
  'reading the sessions': `fetch(runner + 'sessions').then((answer) => answer.text())`,
  'an event source': `new Promise((resolve) => { const source = new EventSource(runner + 'events/x'); ${GIVES_UP} })`,
  'a WebSocket': `
    new Promise((resolve) => { const source = new WebSocket(runner.replace('http', 'ws') + 'ws'); ${GIVES_UP} })`,
  'the console in a frame': `
    new Promise((resolve) => {
      const frame = document.createElement('iframe')
      frame.src = runner
      frame.onload = () => resolve(frame.contentDocument === null ? 'not to be read' : 'read')
      document.body.append(frame)
    })`,
}

const GETS: Record<string, string> = {
  'fetch as JSON': 'TypeError: Failed to fetch',
  'fetch as plain text, without a preflight': 'sent, read 0',
  'a beacon': 'sent',
  'reading the sessions': 'TypeError: Failed to fetch',
  'an event source': 'closed',
  'a WebSocket': 'closed',
  'the console in a frame': 'not to be read',
}

describe.skipIf(reason !== undefined)(`a hostile page (${reason ?? 'Chromium is here'})`, () => {
  let bench: Bench
  let runner: OpenRunner
  let browser: Browser
  let hostile: Server
  let address: string

  beforeAll(async () => {
    bench = await openBench()
    runner = await bench.open()
    hostile = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>hostile</title><body>')
    })
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve))
    address = `http://127.0.0.1:${(hostile.address() as AddressInfo).port}/`
    browser = await openBrowser([`--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`])
  })
  afterAll(async () => {
    await browser?.close()
    hostile?.closeAllConnections()
    hostile?.close()
    await bench?.close()
  })

  const threads = async (): Promise<unknown[]> =>
    (await bodyOf(await fetch(`${runner.url}/sessions`)))['sessions']

  test('of another origin starts nothing and reads nothing, by whatever way, on a runner without a token', async () => {
    const { page } = await openPage(browser)
    await page.goto(address)
    for (const [what, attempt] of Object.entries(ATTEMPTS)) {
      const code = `((runner) => ${attempt})(${JSON.stringify(`${runner.url}/`)}).catch(String)`
      expect([what, await page.evaluate(code)]).toEqual([what, GETS[what]])
    }
    expect(await threads()).toEqual([])
    await page.context().close()
  })

  test('whose name was rebound to this machine is of the same origin, and still gets nothing', async () => {
    const { port } = new URL(runner.url)
    const { page } = await openPage(browser)
    const answer = await page.goto(`http://${REBOUND}:${port}/`)
    expect([answer?.status(), await answer?.text()]).toEqual([
      403,
      expect.stringContaining('host_not_allowed'),
    ])
    const code = `fetch('/sessions').then(async (answer) => answer.status + await answer.text())`
    expect(await page.evaluate(code)).toMatch(/^403.*host_not_allowed/)
    expect(
      await page.evaluate(`((runner) => ${ATTEMPTS['a WebSocket']})('http://${REBOUND}:${port}/')`),
    ).toBe('closed')
    expect(await threads()).toEqual([])
    await page.context().close()
  })
})
