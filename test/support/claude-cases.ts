// Recorded Claude messages and the AG-UI events they must become: test/fixtures/claude/<case>.jsonl, .agui.jsonl.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../src/agui/event.ts'
import { Translator } from '../../src/claude/translate/translator.ts'
import { RECORDING_CASES } from './recording-cases.ts'

const DIRECTORY = new URL('../fixtures/claude/', import.meta.url)

export function caseNames(): string[] {
  return readdirSync(DIRECTORY)
    .filter((name) => name.endsWith('.jsonl') && !name.endsWith('.agui.jsonl'))
    .map((name) => name.slice(0, -'.jsonl'.length))
    .sort()
}

export const readMessages = (name: string): unknown[] => readLines(`${name}.jsonl`)
export const readGolden = (name: string): unknown[] => readLines(`${name}.agui.jsonl`)
export const writeMessages = (name: string, messages: readonly unknown[]): void =>
  writeLines(`${name}.jsonl`, messages)
export const writeGolden = (name: string, events: readonly AguiEvent[]): void =>
  writeLines(`${name}.agui.jsonl`, events)

/** A recording as the session would tell it: one run for each result, each with its lifecycle events. */
export function toEvents(messages: readonly unknown[], name = ''): AguiEvent[] {
  const expectsOutput = RECORDING_CASES[name]?.options?.outputFormat !== undefined
  const events: AguiEvent[] = []
  const prompts = messages.filter(isResult).length
  let memory: unknown
  let rest = messages
  for (let run = 1; run <= Math.max(prompts, 1); run += 1) {
    const end = rest.findIndex(isResult)
    const translator = new Translator({ memory, expectsOutput })
    const ids = { threadId: 'thread-1', runId: `run-${run}` }
    events.push({ type: EventType.RUN_STARTED, protocolVersion: '1.0', ...ids })
    for (const message of end < 0 ? rest : rest.slice(0, end + 1))
      events.push(...translator.translate(message))
    events.push(...translator.close(), terminal(translator, ids))
    // Through JSON, as the session stores it.
    memory = JSON.parse(JSON.stringify(translator.memory))
    rest = rest.slice(end + 1)
  }
  return events
}

function terminal({ end }: Translator, ids: { threadId: string; runId: string }): AguiEvent {
  if (end === undefined)
    return { type: EventType.RUN_ERROR, message: 'No result came.', code: 'claude_exited' }
  const usage = end.usage === undefined ? {} : { usage: end.usage }
  if (end.outcome === 'error')
    return { type: EventType.RUN_ERROR, message: end.message, code: end.code, ...usage }
  const result = end.outcome === 'success' && end.result !== undefined ? { result: end.result } : {}
  return { type: EventType.RUN_FINISHED, ...ids, outcome: { type: end.outcome }, ...result, ...usage }
}

function isResult(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'result'
}

function readLines(name: string): unknown[] {
  return readFileSync(new URL(name, DIRECTORY), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function writeLines(name: string, values: readonly unknown[]): void {
  writeFileSync(new URL(name, DIRECTORY), values.map((value) => `${JSON.stringify(value)}\n`).join(''))
}
