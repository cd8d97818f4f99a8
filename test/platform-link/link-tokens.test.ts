// The token service's answers, byte by byte; what the link makes of them is in link.test.ts.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { LinkTokens } from '../../src/platform-link/link-tokens.ts'
import { proxySettings } from '../../src/proxy-settings.ts'

const opened: Server[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const server of opened.splice(0)) server.close().closeAllConnections()
})

/** Tokens of a service that gives this answer, and calls `onAsked` each time. */
async function tokensOf(answer: string, onAsked: () => void = () => undefined): Promise<LinkTokens> {
  const server = createServer((_, response) => {
    onAsked()
    response.end(answer)
  }).listen(0, '127.0.0.1')
  opened.push(server)
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const source = { kind: 'bootstrap', url, token: 'bootstrap' } as const
  return new LinkTokens({ source, caFiles: [], proxies: proxySettings({}) })
}

async function tokenOf(answer: string): Promise<string | undefined> {
  const tokens = await tokensOf(answer)
  try {
    return await tokens.current(new AbortController().signal)
  } finally {
    tokens.close()
  }
}

const TOKEN = 'acp-runner-v1.abc'
const answerWith = (more: string): string =>
  JSON.stringify({ token: TOKEN, expires_at: Date.now() / 1000 + 300, more })

test('an answer is limited in bytes and not in characters', async () => {
  await expect(tokenOf(answerWith('€'.repeat(5_000)))).resolves.toBe(TOKEN)
  await expect(tokenOf(answerWith('€'.repeat(6_000)))).rejects.toThrow('more than 16384 bytes came')
})

test('a token is held for its lifetime, whatever the clock is set to', async () => {
  let asked = 0
  const tokens = await tokensOf(answerWith(''), () => {
    asked += 1
  })
  const { signal } = new AbortController()
  expect(await tokens.current(signal)).toBe(TOKEN)
  vi.useFakeTimers({ toFake: ['Date'] })
  for (const ms of [3_600_000, -7_200_000]) {
    vi.setSystemTime(Date.now() + ms)
    expect(await tokens.current(signal)).toBe(TOKEN)
  }
  expect(asked).toBe(1)
  tokens.close()
})
