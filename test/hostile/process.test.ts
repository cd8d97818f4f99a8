// What befalls the runner's own process: it is stopped and goes on, its folder goes, another one hangs, its parent ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { bodyOf, frames, post, run, runInput, textOf } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { PATIENT, pidOf } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { ALL_SIGNALS, oneOrAll } from '../support/signals.ts'

let bench: Bench
afterEach(() => bench.close())

const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

describe('a runner that is stopped and goes on', () => {
  test('keeps its healthy run, whatever its limits', async () => {
    const limitMs = 4000
    const limits = ['RUN_IDLE_TIMEOUT_MS', 'RUN_TIMEOUT_MS', 'CLAUDE_START_TIMEOUT_MS']
    bench = await openBench({ script: SCRIPT })
    const runner = await bench.start(Object.fromEntries(limits.map((name) => [name, String(limitMs)])))
    const answered = run(runner.url, runInput('paused', 'hello'))
    await runner.line(({ msg }) => msg === 'Claude Code started')
    process.kill(runner.pid, 'SIGSTOP')
    // The pause itself: longer than the limits is what it is about.
    await delay(limitMs + 500)
    wake(runner.pid)
    const seen = await answered
    expect(seen.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
    expect(textOf(seen)).toBe('You said: hello')
  })

  test('still ends one that says nothing when it is awake', async () => {
    bench = await openBench({ script: SCRIPT })
    const runner = await bench.open({ RUN_IDLE_TIMEOUT_MS: '300' })
    const all = await run(runner.url, runInput('silent', 'hang on'))
    expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'run_idle_timeout' })
  })
})

/** Claude Code may write while the folder is removed: what came meanwhile goes with the next try. */
function remove(folder: string): void {
  for (let tries = 100; existsSync(folder); tries -= 1) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch (error) {
      if (tries === 0) throw error
    }
  }
}

describe('the state folder', () => {
  const BEFALLS: readonly (readonly [what: string, befall: (state: string) => void])[] = [
    [
      'replaced by another',
      (state) => {
        renameSync(state, `${state}.away`)
        mkdirSync(join(state, 'store'), { recursive: true })
      },
    ],
    ['removed', remove],
    ['emptied', (state) => remove(join(state, 'store'))],
  ]
  test.each(oneOrAll(BEFALLS))(
    '%s under the runner is noticed, told, and ends it in order',
    async (_what, befall) => {
      bench = await openBench({ script: SCRIPT })
      const runner = await bench.start()
      const response = await post(runner.url, runInput('open', 'hang on'))
      const reader = frames(response)
      // Until Claude Code is at work: it has a folder of its own in there.
      for (let type: string | undefined; type !== 'TEXT_MESSAGE_CONTENT'; )
        type = (await reader.next()).value?.event.type
      befall(bench.state)
      const ready = await fetch(`${runner.url}/ready`)
      const { checks } = await bodyOf(ready)
      expect(ready.status).toBe(503)
      expect(checks).toContainEqual({
        name: 'state',
        ok: false,
        message: expect.stringContaining(`RUNNER_STATE_DIR (${bench.state}) was removed or replaced`),
      })
      const rest = []
      for await (const { event } of reader) rest.push(event)
      expect(rest.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
      expect(await runner.exited).toBe(1)
      const told = await runner.line(({ msg }) => String(msg).includes('was removed or replaced'))
      expect(told['msg']).toContain('Start the runner again')
    },
  )
})

describe('a second runner on the same folder', () => {
  const stopped = (pid: number): boolean => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

  test('waits for the first and ends with its exit code', async () => {
    bench = await openBench({ script: SCRIPT })
    const port = String(await freePort())
    const first = await bench.start({ AGUI_PORT: port })
    const second = bench.spawn({ AGUI_PORT: port })
    await expect.poll(second.stderr, PATIENT).toContain('attached to the runner')
    rmSync(bench.state, { recursive: true })
    expect([await first.exited, await second.exited]).toEqual([1, 1])
  })

  test('ends with a sentence and 1 beside a first one that is stopped, which then goes on', async () => {
    bench = await openBench({ script: SCRIPT })
    const first = await bench.start()
    process.kill(first.pid, 'SIGSTOP')
    onTestFinished(() => wake(first.pid))
    await expect.poll(() => stopped(first.pid), PATIENT).toBe(true)
    const second = bench.spawn()
    expect(await second.exited).toBe(1)
    expect(second.stderr()).toContain(
      `Another runner holds the state folder ${bench.state} and does not answer`,
    )
    wake(first.pid)
    expect(textOf(await run(first.url, runInput('on', 'still there?')))).toBe('You said: still there?')
  })

  test('in another container ends with a sentence and 1: it cannot see the first, nor wait for it', async () => {
    bench = await openBench({ script: SCRIPT })
    const first = await bench.start()
    const second = bench.spawn({}, ['serve'], ['unshare', '--map-root-user', '--net'])
    expect(await second.exited).toBe(1)
    expect(second.stderr()).toContain(
      `Another runner holds the state folder ${bench.state}, in another container or network namespace.`,
    )
    expect(textOf(await run(first.url, runInput('on', 'alone?')))).toBe('You said: alone?')
    await first.stop()
    expect((await bench.start()).pid).toBeGreaterThan(0)
  })

  test.runIf(ALL_SIGNALS)('that is stopped itself does not keep the first from ending', async () => {
    bench = await openBench({ script: SCRIPT })
    const port = String(await freePort())
    const first = await bench.start({ AGUI_PORT: port })
    const second = bench.spawn({ AGUI_PORT: port })
    await expect.poll(second.stderr, PATIENT).toContain('attached to the runner')
    process.kill(second.pid, 'SIGSTOP')
    onTestFinished(() => wake(second.pid))
    expect(await first.stop()).toBe(0)
    wake(second.pid)
    expect(await second.exited).toBe(0)
  })
})

describe('the pid that a person has of npm start', () => {
  /** Every living process that was started with this bench's environment. */
  const livingOf = ({ directory }: Bench): string[] =>
    readdirSync('/proc').filter(
      (pid) => /^\d+$/.test(pid) && environmentOf(pid).includes(`TMPDIR=${directory}`),
    )

  /** `npm start` in this repository, in a process group of its own as on a terminal; it listens. */
  async function npmStart(): Promise<{ npm: ChildProcess; ended: Promise<unknown[]> }> {
    const { directory, home, workspace, state } = bench
    const npm = spawn('npm', ['start'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {
        PATH: process.env['PATH'],
        TMPDIR: directory,
        HOME: home,
        AGUI_PORT: '0',
        WORKSPACE_PATH: workspace,
        RUNNER_STATE_DIR: state,
        OPENSHELL_SANDBOX: '1',
        npm_config_update_notifier: 'false',
        ...bench.gateway.environment,
      },
    })
    onTestFinished(() => killAll())
    const ended = once(npm, 'close')
    const listening = (line: string): boolean => line.startsWith('{') && JSON.parse(line).msg === 'listening'
    for await (const line of createInterface({ input: npm.stdout ?? process.stdin })) {
      if (listening(line)) break
    }
    return { npm, ended }
  }

  function killAll(): void {
    for (const pid of livingOf(bench)) {
      if (pid !== String(process.pid)) process.kill(Number(pid), 'SIGKILL')
    }
  }

  test.each(oneOrAll(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGKILL'] as const))(
    '%s ends the server',
    async (signal) => {
      bench = await openBench()
      const { npm, ended } = await npmStart()
      expect(livingOf(bench).length).toBeGreaterThan(1)
      npm.kill(signal)
      await ended
      await expect.poll(() => livingOf(bench), PATIENT).toEqual([])
    },
  )

  test.runIf(ALL_SIGNALS)(
    'Ctrl-C, which reaches the whole group and comes once more from npm, ends it in good order',
    async () => {
      bench = await openBench()
      const { npm, ended } = await npmStart()
      process.kill(-pidOf(npm.pid), 'SIGINT')
      expect(await ended).toEqual([0, null])
      expect(livingOf(bench)).toEqual([])
    },
  )
})

function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It has ended.
  }
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    // It ended in between.
    return []
  }
}
