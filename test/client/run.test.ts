// A run that goes on with the results of the client's tools: what it carries over, and what it does for a caller who left.
import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { RunnerEvent } from '../../packages/client/src/events.ts'
import { Run, type RunLine } from '../../packages/client/src/run.ts'

const call = { toolCallId: 'call', toolCallName: 'look' }
const ENDS = { type: EventType.RUN_FINISHED, threadId: 't', runId: 'r' } as const
const ASKS: RunnerEvent[] = [
  { type: EventType.TOOL_CALL_START, ...call },
  { ...ENDS, outcome: { type: 'success', pendingToolCallIds: ['call'] } },
]

function line(events: readonly RunnerEvent[]): RunLine {
  async function* groups() {
    for (const [seq, event] of events.entries()) yield { seq, events: [event] }
  }
  return { groups: groups(), leave: () => undefined }
}

/** Plays the lines of a run, one after the other. Returns the state that each one after the first was started with. */
async function statesOf(lines: RunnerEvent[][], execute: () => Promise<string>, signal?: AbortSignal) {
  const later = lines.map(line)
  const first = later.shift() ?? line([])
  const states: unknown[] = []
  const goOn = async (_results: unknown, state: unknown): Promise<RunLine> => {
    states.push(state)
    return later.shift() ?? line([ENDS])
  }
  const tools = [{ name: 'look', description: 'Look.', parameters: {}, execute }]
  const run = new Run('r', { line: first, tools, signal, goOn })
  for await (const _ of run);
  return states
}

test('brings the state that the agent made, not the one that it began with', async () => {
  const made: RunnerEvent = { type: EventType.STATE_SNAPSHOT, snapshot: { steps: 2 } }
  const states = await statesOf([ASKS, [made, ...ASKS], ASKS, [ENDS]], async () => 'seen')
  expect(states).toEqual([undefined, { steps: 2 }, { steps: 2 }])
})

test('sends nothing for a caller who left while the tool ran', async () => {
  const left = new AbortController()
  const execute = async () => {
    left.abort()
    return 'seen'
  }
  expect(await statesOf([ASKS], execute, left.signal)).toEqual([])
})
