// examples/fleet as its README says: a runner is killed in mid-run, the other goes on, the reader has all of it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bodyOf, type ClientEvent, events, frames, post, runInput, textOf } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { type Bench, openBench } from '../support/runner.ts'

const START = new URL('../../examples/fleet/start.sh', import.meta.url).pathname
const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let stop: () => Promise<unknown>
let addresses: Record<string, string>
let folder: string
beforeEach(async () => {
  bench = await openBench({ script: SCRIPT })
  folder = join(bench.directory, 'fleet')
  const ports = [await freePort(), await freePort(), await freePort()].join(' ')
  const child = spawn(START, ['fleet'], {
    cwd: bench.directory,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: bench.home,
      OPENSHELL_SANDBOX: '1',
      ...bench.gateway.environment,
      ...{ FLEET_PORTS: ports, THREAD_LEASE_MS: '1000' },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  stop = async () => {
    child.kill('SIGTERM')
    return await exited
  }
  const line = (await once(createInterface({ input: child.stdout }), 'line')).join('')
  addresses = Object.fromEntries([...line.matchAll(/(\w+) (http:\S+)/g)].map(([, name, url]) => [name, url]))
})
afterEach(async () => {
  await stop()
  await bench.close()
})

/** A dead runner's lease has to end first. */
async function runWhenFree(url: string, input: unknown): Promise<ClientEvent[]> {
  for (;;) {
    const response = await post(url, input)
    if (response.status === 200) return await events(response)
    expect(await bodyOf(response)).toMatchObject({ error: { code: 'elsewhere' } })
  }
}

const isThere = (name: string): boolean => {
  const pid = readFileSync(join(folder, `${name}.pid`), 'utf8').trim()
  return existsSync(`/proc/${pid}`)
}

test('a thread moves when its runner is killed, and whoever reads sees one log', async () => {
  const { first = '', second = '', reader = '' } = addresses
  const seen: { id: number; event: ClientEvent }[] = []
  const reading = (async () => {
    for await (const frame of frames(await fetch(`${reader}/events/moves/wait`))) if (frame.event) break
    for await (const frame of frames(await fetch(`${reader}/sessions/moves/events`))) {
      seen.push(frame)
      if (frame.event['delta'] === 'partial')
        process.kill(Number(readFileSync(join(folder, 'first.pid'), 'utf8')), 'SIGKILL')
      if (frame.event.type === 'RUN_FINISHED') return
    }
  })()
  await post(first, runInput('moves', 'hang on'))
    .then(events)
    .catch(() => undefined)
  expect(textOf(await runWhenFree(second, runInput('moves', 'go on')))).toBe('You said: go on')
  await reading
  expect(seen.map(({ id }) => id)).toEqual(seen.map((_, index) => index + 1))
  expect(seen.find(({ event }) => event.type === 'RUN_ERROR')?.event).toMatchObject({
    code: 'lease_lost',
  })
  // Its first run was cut: the thread knows all the same that this is another workspace.
  expect(seen.find(({ event }) => event['name'] === 'agui-runner.workspace_problems')).toBeDefined()
  expect(await stop()).toEqual([0, null])
  expect(['first', 'second', 'reader'].filter(isThere)).toEqual([])
})
