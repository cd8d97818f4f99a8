// The runner on a state folder that is damaged: what each kind of reader is told, and what the start says.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { bodyOf, type ClientEvent, events, frames, run, runInput } from '../support/client.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

let bench: Bench
let data: string
beforeEach(async () => {
  bench = await openBench()
  data = join(bench.state, 'store', 'log.mdb')
})
afterEach(() => bench.close())

/** Changes one character of what was said, wherever it is stored. */
function damage(text: string): void {
  const bytes = readFileSync(data)
  let count = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    bytes[at] = 0
    count += 1
  }
  expect(count).toBeGreaterThan(0)
  writeFileSync(data, bytes)
}

test('every reader is told which records are damaged, and gets all others', async () => {
  let runner = await bench.open()
  for (const word of ['first', 'second', 'third']) await run(runner.url, runInput('t', `say ${word}`))
  const whole: { id: number; event: ClientEvent }[] = []
  for await (const frame of frames(await fetch(`${runner.url}/sessions/t/events?follow=false`)))
    whole.push(frame)
  await runner.stop()
  damage('"content":"say second"')
  runner = await bench.open()

  const url = `${runner.url}/sessions/t/events?follow=false`
  const kept = await events(await fetch(url))
  const told = kept.at(-1)
  expect(told).toMatchObject({ type: 'RUN_ERROR', code: 'replay_expired' })
  const [, first, last] = /Records (\d+) to (\d+) /.exec(told?.['message']) ?? []
  const lost = { first: Number(first), last: Number(last) }
  const isLost = ({ id }: { id: number }): boolean => id >= lost.first && id <= lost.last
  expect(JSON.stringify(whole.filter(isLost))).toContain('say second')
  expect(kept.slice(0, -1)).toEqual(whole.filter(({ id }) => id < lost.first).map(({ event }) => event))

  const there = await fetch(`${url}&after=${lost.first - 1}`)
  expect(there.status).toBe(410)
  const { error } = await bodyOf(there)
  expect(error).toMatchObject({ code: 'replay_expired', details: { oldestSeq: lost.last + 1, lost } })
  expect(await events(await fetch(`${url}&after=${lost.last}`))).toEqual(
    whole.filter(({ id }) => id > lost.last).map(({ event }) => event),
  )

  const connected = await events(await fetch(`${runner.url}/sessions/t/connect?follow=false`))
  const value = { firstSeq: lost.first, lastSeq: lost.last }
  expect(connected).toContainEqual({ type: 'CUSTOM', name: 'agui-runner.gap', value })
  expect(JSON.stringify(connected)).toContain('You said: say third')

  const socket = await openSocket(runner.url)
  const refused = { error: { code: 'replay_expired', details: { lost } } }
  socket.send({ type: 'subscribe', threadId: 't', after: lost.first - 1 })
  expect(await socket.frame(({ type }) => type === 'error')).toMatchObject(refused)
  socket.send({ type: 'subscribe', threadId: 't', after: 0 })
  await socket.frame(() => socket.frames.filter(({ type }) => type === 'error').length === 2)
  expect(socket.frames.at(-1)).toMatchObject(refused)
  expect(socket.frames.filter(({ seq }) => seq !== undefined)).toHaveLength(lost.first - 1)
  await socket.close()

  expect((await run(runner.url, runInput('t', 'go on'))).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
})

test('a store that cannot be used ends the start with folder and remedy, and reset sets it aside', async () => {
  const first = await bench.start()
  await run(first.url, runInput('t', 'hello'))
  await first.stop()
  truncateSync(data, 5 * 4096)
  const refused = bench.spawn()
  expect(await refused.exited).toBe(1)
  expect(refused.stderr()).toContain(join(bench.state, 'store'))
  expect(refused.stderr()).toContain('STATE_RECOVERY=reset')
  const runner = await bench.start({ STATE_RECOVERY: 'reset' })
  expect(readdirSync(bench.state).filter((name) => name.startsWith('store'))).toEqual([
    'store',
    expect.stringMatching(/^store\.damaged-/),
  ])
  expect((await fetch(`${runner.url}/sessions/t`)).status).toBe(404)
  expect((await run(runner.url, runInput('t', 'hello'))).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
  expect(await runner.stop()).toBe(0)
})

test('facts of another version end the start with folder and remedy, and reset sets them aside', async () => {
  const odd = await LmdbStorage.open(join(bench.state, 'store'), { retentionBytes: 1024 ** 3 })
  await odd.commit({ threadId: 't', writes: [{ table: 'threads', key: ['t'], value: { version: 2 } }] })
  await odd.close()
  const refused = bench.spawn()
  expect(await refused.exited).toBe(1)
  expect(refused.stderr()).toContain(`The store in ${join(bench.state, 'store')} cannot be used`)
  expect(refused.stderr()).toContain('STATE_RECOVERY=reset')
  const runner = await bench.start({ STATE_RECOVERY: 'reset' })
  expect((await fetch(`${runner.url}/sessions/t`)).status).toBe(404)
})

test.each([
  ['read', 0o600],
  ['write', 0o644],
])(
  'a store that this user may not %s is refused with what to do, at each start, also with reset',
  async (_may, mode) => {
    const first = await bench.open()
    await first.stop()
    chmodSync(data, mode)
    const nobody = 65534
    for (const path of [
      bench.directory,
      bench.home,
      bench.workspace,
      bench.state,
      join(bench.state, 'store'),
    ])
      chmodSync(path, 0o777)
    const program = `import('${new URL('../../src/storage/lmdb/store.ts', import.meta.url).pathname}').then(({ Store }) => {
    for (let start = 0; start < 2; start++)
      try {
        Store.open(process.argv[1], { recovery: 'reset' })
        console.log('opened')
      } catch (error) {
        console.log(error.code, error.message)
      }
  })`
    const said = execFileSync(
      process.execPath,
      ['--import', 'tsx', '--eval', program, join(bench.state, 'store')],
      {
        uid: nobody,
        gid: nobody,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], TMPDIR: bench.directory },
      },
    )
    const refusal = `storage_damaged The store in .* Give user ${nobody} access to it, .*\n`
    expect(said).toMatch(new RegExp(`^${refusal}${refusal}$`))
    expect(existsSync(data)).toBe(true)
  },
)
