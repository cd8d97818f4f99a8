// A state folder, and a workspace, on a real disk that is full: the run ends, the server stays.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { messagesOf } from '../support/agui-replay.ts'
import { bodyOf, type ClientEvent, events, frames, post, run, runInput } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { oneOrAll } from '../support/signals.ts'
import { type DiskKind, SmallDisk } from '../support/small-disk.ts'

const MIB = 1024 * 1024
const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'talk on' },
      reply: [{ deltas: { count: 100_000, perSecond: 4000, text: `word {{n}} ${'and so on '.repeat(20)}` } }],
    },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let disk: SmallDisk | undefined
afterEach(async () => {
  disk?.free()
  await bench.stop()
  disk?.unmount()
  disk = undefined
  await bench.close()
})

/** Claude Code's own files lie elsewhere: what is looked at here is ours. */
function start(): Promise<RunnerProcess> {
  return bench.start({ CLAUDE_CONFIG_DIR: join(bench.home, '.claude') })
}

async function recordsOf({ url }: RunnerProcess, threadId: string): Promise<ClientEvent[]> {
  return await events(await fetch(`${url}/sessions/${threadId}/events?follow=false`))
}

async function isRefused({ url }: RunnerProcess, threadId: string): Promise<void> {
  const answer = await post(url, runInput(threadId, 'no room for this'))
  expect(answer.status).toBe(507)
  const { error } = await bodyOf(answer)
  expect(error).toMatchObject({ code: 'storage_full' })
  expect(error.message).toContain(bench.state)
  const ready = await fetch(`${url}/ready`)
  expect(ready.status).toBe(503)
  const { checks } = await bodyOf(ready)
  expect(checks).toContainEqual({ name: 'state', ok: false, message: expect.stringContaining(bench.state) })
}

const DISKS: readonly [kind: DiskKind, bytes: number][] = [
  ['ext4', 16 * MIB],
  ['tmpfs', 4 * MIB],
]

describe.each(oneOrAll(DISKS))('a state folder on %s', (kind, bytes) => {
  test('that fills up ends the run, keeps what was told, and works again when there is room', async () => {
    bench = await openBench({ script: SCRIPT })
    disk = SmallDisk.mount(kind, bench.state, bytes)
    let runner = await start()
    await run(runner.url, runInput('calm', 'hello'))
    await run(runner.url, runInput('doomed', 'hello'))
    const calm = await recordsOf(runner, 'calm')

    const answer = await post(runner.url, runInput('talker', 'talk on'))
    const told: ClientEvent[] = []
    for await (const { event } of frames(answer)) {
      told.push(event)
      if (told.length === 20) disk.fill()
    }
    expect(told.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'storage_full' })
    expect(told.at(-1)?.['message']).toContain(bench.state)
    await messagesOf(told, 'talker')
    expect(await recordsOf(runner, 'talker')).toEqual(told)
    expect(await recordsOf(runner, 'calm')).toEqual(calm)
    await isRefused(runner, 'talker')
    await isRefused(runner, 'new')
    expect((await fetch(`${runner.url}/health`)).status).toBe(200)

    const written = await fetch(`${runner.url}/workspace/a.txt`, { method: 'PUT', body: 'still written' })
    expect(written.status).toBe(200)
    expect((await fetch(`${runner.url}/sessions/doomed`, { method: 'DELETE' })).status).toBeLessThan(300)
    expect((await fetch(`${runner.url}/sessions/doomed/events?follow=false`)).status).toBe(404)

    disk.fill()
    expect(await runner.stop('SIGKILL')).toBe('SIGKILL')
    runner = await start()
    expect(await recordsOf(runner, 'talker')).toEqual(told)
    expect(await recordsOf(runner, 'calm')).toEqual(calm)
    await isRefused(runner, 'talker')

    disk.free()
    expect((await run(runner.url, runInput('talker', 'again'))).at(-1)).toMatchObject({
      type: 'RUN_FINISHED',
    })
    expect((await fetch(`${runner.url}/ready`)).status).toBe(200)
    expect(await runner.stop()).toBe(0)
  }, 60_000)

  test('that is full from the beginning is told, with its name', async () => {
    bench = await openBench()
    disk = SmallDisk.mount(kind, bench.state, bytes)
    disk.fill()
    const runner = bench.spawn()
    expect(await runner.exited).toBe(1)
    expect(runner.stderr()).toMatch(/storage_full|The disk of the state folder is full/)
    expect(runner.stderr()).toContain(bench.state)
    expect(existsSync(bench.state)).toBe(true)
  })
})

describe.each(oneOrAll(DISKS.toReversed()))('a workspace on %s that is full', (kind, bytes) => {
  test('refuses what is written to it, keeps what was there, and says why', async () => {
    bench = await openBench()
    disk = SmallDisk.mount(kind, bench.workspace, bytes)
    const runner = await bench.open()
    const put = (name: string, body: string): Promise<Response> =>
      fetch(`${runner.url}/workspace/${name}`, { method: 'PUT', body })
    expect((await put('kept.txt', 'before')).status).toBe(200)
    const large = 'x'.repeat(bytes)
    for (const isFilled of [false, true]) {
      if (isFilled) disk.fill()
      for (const name of ['kept.txt', 'new.txt', 'deep/er/new.txt']) {
        const answer = await put(name, large)
        expect(answer.status, name).toBe(507)
        expect((await bodyOf(answer))['error']).toMatchObject({
          code: 'storage_full',
          message: expect.stringContaining('The disk of the workspace is full'),
        })
      }
      expect(await (await fetch(`${runner.url}/workspace/kept.txt`)).text()).toBe('before')
      const { files } = await bodyOf(await fetch(`${runner.url}/workspace`))
      expect(JSON.stringify(files)).not.toContain('.agui-runner-')
    }
    disk.free()
    expect((await put('new.txt', 'small')).status).toBe(200)
  })
})
