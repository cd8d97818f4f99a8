import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Refusal, Runner } from '@agui-runner/client'
import { afterAll, beforeAll, expect, test } from 'vitest'

const SAID = JSON.stringify({ error: { code: 'run_exists', message: 'It is there.' } })

const server = createServer((request, response) => {
  const isCut = request.url === '/cut'
  response.writeHead(409, { 'content-type': 'application/json', 'content-length': SAID.length })
  response.write(SAID.slice(0, isCut ? 20 : SAID.length), () => {
    if (isCut) request.socket.destroy()
    else response.end()
  })
})
let runner: Runner
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  runner = new Runner({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
})
afterAll(() => server.close())

test('a refusal has the code of its body', async () => {
  await expect(runner.request('whole')).rejects.toMatchObject({ name: 'Refusal', code: 'run_exists' })
})

test('a refusal that is cut in its body is no answer: what it refuses, and why, is not known', async () => {
  const error: unknown = await runner.request('cut').catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TypeError)
  expect(error).not.toBeInstanceOf(Refusal)
})
