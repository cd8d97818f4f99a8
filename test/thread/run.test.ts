import { EventType } from '@ag-ui/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RunEnd } from '../../src/agent/agent.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import { RunnerError } from '../../src/errors.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { Oversize } from '../../src/thread/oversize.ts'
import { Run, type RunOptions } from '../../src/thread/run.ts'
import { LogFolder, readRecords } from '../support/event-log.ts'
import { scriptedAgent } from '../support/scripted-agent.ts'

let folder: LogFolder
beforeEach(() => {
  folder = new LogFolder()
})
afterEach(() => folder.remove())

const SCRIPT = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] },
    { when: { prompt: 'fail' }, reply: [{ text: 'half' }, { error: { status: 400 } }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

async function play(prompt: string, options: Partial<RunOptions> = {}, onText?: (run: Run) => void) {
  const { log } = folder.open()
  const message = { id: 'm', role: 'user' as const, content: prompt }
  const run = new Run({
    threadId: 't',
    request: { threadId: 't', runId: 'r', messages: [message], tools: [], context: [] },
    log,
    redactor: createRedactor({ values: [] }),
    oversize: new Oversize({ eventBytesMax: 1e6, keep: () => 'blob', urlOf: (id) => id }),
    onUserMessage: () => undefined,
    lastWords: () => [],
    runTimeoutMs: 0,
    runIdleTimeoutMs: 0,
    ...options,
  })
  const session = scriptedAgent({ script: SCRIPT }).open('t', {})
  const ends: RunEnd[] = []
  const executed = run.execute(session, (end) => ends.push(end))
  if (onText !== undefined) {
    for await (const batches of log.read('t', 0, new AbortController().signal)) {
      const events = batches.flatMap((batch) => batch.records()).map(({ event }) => event)
      if (events.some(({ type }) => type === EventType.TEXT_MESSAGE_CONTENT)) break
    }
    onText(run)
  }
  const end = await executed
  expect(ends).toEqual([end])
  return { end, told: (await readRecords(log, 't')).map(({ event }): AguiEvent => event) }
}

test('from RUN_STARTED to one terminal event, all in the log when it has ended', async () => {
  const { end, told } = await play('hello')
  expect(end).toMatchObject({ outcome: 'success' })
  expect(told.map(({ type }) => type)).toEqual([
    'RUN_STARTED',
    'TEXT_MESSAGE_START',
    'TEXT_MESSAGE_CONTENT',
    'TEXT_MESSAGE_END',
    'RUN_FINISHED',
  ])
})

test('what a stopped or failing agent leaves open is closed before the end', async () => {
  const stopped = await play('hang', {}, (run) => run.stop())
  expect(stopped.told.slice(-2)).toMatchObject([
    { type: 'TEXT_MESSAGE_END' },
    { type: 'RUN_FINISHED', outcome: { type: 'cancelled' } },
  ])
})

test('a failure of the agent is the end of the run, with its code', async () => {
  const { told } = await play('fail')
  expect(told.slice(-2)).toMatchObject([
    { type: 'TEXT_MESSAGE_END' },
    { type: 'RUN_ERROR', code: 'model_error' },
  ])
})

test('an agent that is silent for too long is named by its own name', async () => {
  const { told } = await play('hang', { runIdleTimeoutMs: 20 })
  expect(told.at(-1)).toMatchObject({
    type: 'RUN_ERROR',
    code: 'run_idle_timeout',
    message: 'Nothing was heard from the scripted agent for RUN_IDLE_TIMEOUT_MS (20 ms).',
  })
})

test('the first reason to stop decides, however many follow', async () => {
  const { told } = await play('hang', {}, (run) => {
    run.stop(new RunnerError('run_timeout', 'too long'))
    run.stop()
    run.stop(new RunnerError('run_idle_timeout', 'too quiet'))
  })
  const ends = told.filter(({ type }) => type === 'RUN_FINISHED' || type === 'RUN_ERROR')
  expect(ends).toMatchObject([{ type: 'RUN_ERROR', code: 'run_timeout', message: 'too long' }])
})
