// A page of another port in a real browser: what a listed origin may do, and what an unlisted one still may not.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { missingChromium, openBrowser, openPage } from './chromium.ts'

const reason = missingChromium()
const TOKEN = 'token-of-the-other-origin'

/** Runs in the page; `runner` and `token` are given. Each resolves to what a page can tell of what came. */
const WAYS = {
  preflighted: `
    fetch(runner + '/sessions', { headers: { 'x-ambient-session-token': token, 'x-own': '1' } })
      .then(async (answer) => [answer.status, Array.isArray((await answer.json()).sessions)])`,
  refusal: `fetch(runner + '/sessions').then(async (answer) => [answer.status, (await answer.json()).error.code])`,
  run: `
    fetch(runner + '/', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer ' + token },
      body: JSON.stringify({
        threadId: 'page', runId: 'r', tools: [], context: [], state: {}, forwardedProps: {},
        messages: [{ id: 'm', role: 'user', content: 'from a page' }],
      }),
    }).then(async (answer) => [answer.status, (await answer.text()).includes('RUN_FINISHED')])`,
  limited: `
    (async () => {
      for (;;) {
        const answer = await fetch(runner + '/sessions')
        if (answer.status === 429) return [answer.status, Number(answer.headers.get('retry-after')) > 0]
      }
    })()`,
  eventSource: `
    ticket().then((ticket) => new Promise((resolve) => {
      const source = new EventSource(runner + '/sessions/page/events?ticket=' + ticket)
      let told = 0
      source.onmessage = ({ data }) => {
        told += 1
        if (JSON.parse(data).type === 'RUN_FINISHED') { source.close(); resolve(['open', told > 2]) }
      }
      source.onerror = () => { if (told === 0) { source.close(); resolve(['closed']) } }
    }))`,
  webSocket: `
    ticket().then((ticket) => new Promise((resolve) => {
      const socket = new WebSocket(runner.replace('http', 'ws') + '/ws?ticket=' + ticket)
      socket.onopen = () => socket.send(JSON.stringify({ type: 'subscribe', threadId: 'page' }))
      socket.onmessage = ({ data }) => { socket.close(); resolve(['open', JSON.parse(data).type]) }
      socket.onclose = () => resolve(['closed'])
    }))`,
}
const TICKET = `
  const ticket = () => fetch(runner + '/tickets', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer ' + token },
    body: JSON.stringify({ threadId: 'page' }),
  }).then((answer) => answer.json()).then(({ ticket }) => ticket)`

describe.skipIf(reason !== undefined)(`a page of another port (${reason ?? 'Chromium is here'})`, () => {
  let bench: Bench
  let runner: OpenRunner
  let browser: Browser
  const servers: Server[] = []

  async function servePage(): Promise<string> {
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>app</title><body>')
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  let listed: string
  beforeAll(async () => {
    bench = await openBench()
    listed = await servePage()
    runner = await bench.open({
      AGUI_TOKEN: TOKEN,
      AGUI_ALLOWED_ORIGINS: listed,
      AUTH_FAILURES_PER_MINUTE_MAX: '5',
    })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    await bench?.close()
  })

  const evaluate = async (origin: string, ways: readonly (keyof typeof WAYS)[]) => {
    const { page } = await openPage(browser)
    await page.goto(origin)
    const got: Record<string, unknown> = {}
    for (const way of ways) {
      const code = `((runner, token) => { ${TICKET}; return (${WAYS[way]}) })(${JSON.stringify(runner.url)}, '${TOKEN}').catch(String)`
      got[way] = await page.evaluate(code)
    }
    await page.context().close()
    return got
  }

  test('that is listed runs, follows and reads refusals', async () => {
    expect(
      await evaluate(listed, ['preflighted', 'refusal', 'run', 'eventSource', 'webSocket', 'limited']),
    ).toEqual({
      preflighted: [200, true],
      refusal: [401, 'unauthorized'],
      run: [200, true],
      eventSource: ['open', true],
      webSocket: ['open', 'event'],
      limited: [429, true],
    })
  })

  test('that is not listed gets nothing, with the token and with a ticket', async () => {
    const answer = await fetch(`${runner.url}/tickets`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ threadId: 'page' }),
    })
    const { ticket } = (await answer.json()) as { ticket: string }
    const unlisted = await servePage()
    const failed = 'TypeError: Failed to fetch'
    expect(await evaluate(unlisted, ['preflighted', 'refusal', 'run', 'eventSource', 'webSocket'])).toEqual({
      preflighted: failed,
      refusal: failed,
      run: failed,
      eventSource: failed,
      webSocket: failed,
    })
    // With a ticket that it got by another way.
    const { page } = await openPage(browser)
    await page.goto(unlisted)
    for (const way of [WAYS.eventSource, WAYS.webSocket]) {
      const code = `((runner) => { const ticket = async () => '${ticket}'; return (${way}) })('${runner.url}')`
      expect(await page.evaluate(code)).toEqual(['closed'])
    }
    await page.context().close()
  })
})
