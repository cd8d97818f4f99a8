// A Claude Code that lives and does not answer (SIGSTOP; it is the same for one whose event loop is blocked). Every
// wait for it ends, at the limit or with the abort, and the process does not outlive what gave it up.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingNeed } from '../sandbox/needs.ts'
import { bodyOf, events, frames, post, run, runInput, textOf } from '../support/client.ts'
import { claudeOf, pidOf, processesWith, readProcess } from '../support/processes.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { oneOrAll } from '../support/signals.ts'

const LONG = '600000'
/** A hung process makes no use of the time that it is given. */
const SOON = { INTERRUPT_GRACE_MS: '300', CLAUDE_STOP_STEP_MS: '300' }
const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { reply: 'You said: {{prompt}}' },
  ],
}
const TOOL = { name: 'lamp', description: 'the client’s', parameters: { type: 'object', properties: {} } }

let bench: Bench
/** Gives an unanswered control request up soon. */
let hasty: OpenRunner
/** Never does within a test: what ends the wait there is the abort. */
let patient: OpenRunner

beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  hasty = await bench.open({ ...SOON, CLAUDE_CONTROL_TIMEOUT_MS: '700' })
  patient = await bench.open(patience('patient'))
})
afterAll(() => bench.close())

const patience = (name: string, env: Record<string, string> = {}): Record<string, string> => ({
  RUNNER_STATE_DIR: join(bench.directory, name),
  CLAUDE_CONTROL_TIMEOUT_MS: LONG,
  ...SOON,
  ...env,
})

/** A zombie has no command line: it is dead, and only not yet buried by its parent. */
const isLiving = (pid: number): boolean => readProcess(pid, 'cmdline') !== ''

/** A thread whose warm process is stopped; gives its pid. */
async function openHung(runner: Pick<OpenRunner, 'url'>, threadId: string): Promise<number> {
  const before = claudeOf(bench)
  await run(runner.url, runInput(threadId, 'hello'))
  const [pid] = claudeOf(bench).filter((each) => !before.includes(each))
  if (pid === undefined) throw new Error('no Claude Code process came')
  process.kill(pid, 'SIGSTOP')
  return pid
}

const OTHER_SETTINGS = {
  'another model': { forwardedProps: { claude: { model: 'claude-other' } } },
  'another list of tools': { tools: [TOOL] },
}

describe('a run with', () => {
  test.each(oneOrAll(Object.entries(OTHER_SETTINGS)))(
    '%s ends at the limit; the next one goes on',
    async (name, props) => {
      const threadId = `limit ${name}`
      const pid = await openHung(hasty, threadId)
      const all = await run(hasty.url, { ...runInput(threadId, 'again'), ...props })
      expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'claude_unresponsive' })
      const next = await run(hasty.url, runInput(threadId, 'and now'))
      expect(isLiving(pid)).toBe(false)
      expect(textOf(next)).toBe('You said: and now')
      expect(JSON.stringify(bench.gateway.requests.at(-1)?.body)).toContain('You said: hello')
    },
  )

  test('no thinking gets a process of its own, and is not held up', async () => {
    const pid = await openHung(hasty, 'thinking')
    const props = { forwardedProps: { claude: { maxThinkingTokens: 0 } } }
    const all = await run(hasty.url, { ...runInput('thinking', 'again'), ...props })
    expect(textOf(all)).toBe('You said: again')
    expect(isLiving(pid)).toBe(false)
  })

  test.each(oneOrAll(Object.entries(OTHER_SETTINGS).toReversed()))(
    '%s ends at once when it is interrupted',
    async (name, props) => {
      const threadId = `interrupt ${name}`
      await openHung(patient, threadId)
      const reading = frames(await post(patient.url, { ...runInput(threadId, 'again'), ...props }))
      expect((await reading.next()).value?.event.type).toBe('RUN_STARTED')
      const answer = await post(`${patient.url}/sessions/${encodeURIComponent(threadId)}/interrupt`, {})
      expect(answer.status).toBe(200)
      expect((await reading.next()).value?.event).toMatchObject({
        type: 'RUN_FINISHED',
        outcome: { type: 'cancelled' },
      })
    },
  )

  test('another model ends at RUN_TIMEOUT_MS too', async () => {
    // Enough for the run before it on a machine that is busy.
    const runner = await bench.open(patience('timed', { RUN_TIMEOUT_MS: '8000' }))
    await openHung(runner, 'timed')
    const all = await run(runner.url, { ...runInput('timed', 'again'), ...OTHER_SETTINGS['another model'] })
    expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'run_timeout' })
  })
})

test('a DELETE stops the process, whatever waits for it', async () => {
  const pid = await openHung(patient, 'deleted')
  const reading = events(
    await post(patient.url, { ...runInput('deleted', 'again'), ...OTHER_SETTINGS['another model'] }),
  )
  expect((await fetch(`${patient.url}/sessions/deleted`, { method: 'DELETE' })).status).toBe(204)
  expect(isLiving(pid)).toBe(false)
  expect((await reading).at(-1)).toMatchObject({ outcome: { type: 'cancelled' } })
})

test('a turn in its middle is stopped with its process, and the thread goes on', async () => {
  const before = claudeOf(bench)
  const reading = frames(await post(patient.url, runInput('mid-turn', 'hang')))
  for (;;) {
    const { value, done } = await reading.next()
    if (done === true) throw new Error('the run ended by itself')
    if (value.event.type === 'TEXT_MESSAGE_CONTENT') break
  }
  const pid = pidOf(claudeOf(bench).find((each) => !before.includes(each)))
  process.kill(pid, 'SIGSTOP')
  await post(`${patient.url}/sessions/mid-turn/interrupt`, {})
  expect(textOf(await run(patient.url, runInput('mid-turn', 'on')))).toBe('You said: on')
  expect(isLiving(pid)).toBe(false)
})

test('POST /model does not ask the process; GET /mcp/status gives it up at the limit', async () => {
  const pid = await openHung(hasty, 'asked')
  const model = await post(`${hasty.url}/model`, { thread_id: 'asked', model: 'claude-other' })
  expect([model.status, isLiving(pid)]).toEqual([200, true])
  const status = await fetch(`${hasty.url}/mcp/status?thread_id=asked`)
  expect([status.status, await bodyOf(status)]).toMatchObject([
    504,
    { error: { code: 'claude_unresponsive' } },
  ])
  expect(textOf(await run(hasty.url, runInput('asked', 'after')))).toBe('You said: after')
  expect(isLiving(pid)).toBe(false)
})

test('one that says nothing from its start is not kept', async () => {
  const silent = join(bench.directory, 'silent')
  writeFileSync(silent, '#!/bin/sh\nkill -STOP $$\n# --output-format\n')
  chmodSync(silent, 0o755)
  const own = patience('silent-start', { CLAUDE_CLI_PATH: silent, CLAUDE_START_TIMEOUT_MS: '500' })
  const runner = await bench.open(own)
  const before = claudeOf(bench)
  const all = await run(runner.url, runInput('silent', 'hello'))
  expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'claude_start_failed' })
  await runner.stop()
  expect(claudeOf(bench).filter((pid) => !before.includes(pid))).toEqual([])
})

test('SIGTERM ends the runner, and nothing of it survives', async () => {
  const runner = await bench.start(patience('stopped'))
  const idle = await openHung(runner, 'idle')
  const busy = await openHung(runner, 'busy')
  const reading = frames(
    await post(runner.url, { ...runInput('busy', 'again'), ...OTHER_SETTINGS['another model'] }),
  )
  await reading.next()
  expect(await runner.stop()).toBe(0)
  expect([idle, busy].filter(isLiving)).toEqual([])
})

test.skipIf(missingNeed([]) !== undefined)('behind bubblewrap it is the same', async () => {
  const runner = await bench.open(
    patience('walled', { OPENSHELL_SANDBOX: '', POLICY_ENFORCEMENT: 'required' }),
  )
  const isClaude = (pid: number): boolean =>
    readProcess(pid, 'cmdline').split(' ')[0]?.endsWith('/claude') === true
  await run(runner.url, runInput('walled', 'hello'))
  // Of this runner: bubblewrap's own processes name the workspace, which the process inside has for itself.
  const came = processesWith('--output-format stream-json').filter((pid) =>
    (['cmdline', 'environ'] as const).some((file) => readProcess(pid, file).includes('/walled/')),
  )
  expect(came.filter(isClaude)).toHaveLength(1)
  const [claude] = came.filter(isClaude)
  process.kill(pidOf(claude), 'SIGSTOP')
  expect((await fetch(`${runner.url}/sessions/walled`, { method: 'DELETE' })).status).toBe(204)
  expect(came.filter(isLiving)).toEqual([])
})
