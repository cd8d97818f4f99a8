import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { DECISIONS } from '../../../src/claude/translate/decisions.ts'
import { NOTICES } from '../../../src/claude/translate/notices.ts'
import { Translator } from '../../../src/claude/translate/translator.ts'

const sdk = createRequire(import.meta.url).resolve('@anthropic-ai/claude-agent-sdk')
const declarations = readFileSync(join(dirname(sdk), 'sdk.d.ts'), 'utf8')

/** The text of a type declaration, up to the next one. */
function declarationOf(name: string): string {
  const start = declarations.search(new RegExp(`^(?:export )?declare type ${name} =`, 'm'))
  expect(start, `sdk.d.ts declares ${name}`).toBeGreaterThanOrEqual(0)
  const rest = declarations.slice(start)
  const end = rest.slice(1).search(/^(?:export )?declare /m)
  return end < 0 ? rest : rest.slice(0, end + 1)
}

/** Every `type` or `type/subtype` that a union of the SDK admits. */
function kindsOf(name: string): string[] {
  const text = declarationOf(name).replaceAll(/\/\*[\s\S]*?\*\//g, '')
  const type = /^ {4}type: '([^']+)'/m.exec(text)?.[1]
  if (type === undefined) {
    const members = text.slice(text.indexOf('=') + 1).match(/\bSDK\w+/g) ?? []
    expect(members.length, `${name} is a union of messages`).toBeGreaterThan(0)
    return members.flatMap(kindsOf)
  }
  const subtypes = /^ {4}subtype: ([^;]+);/m.exec(text)?.[1]?.match(/'([^']+)'/g) ?? []
  return subtypes.length === 0 ? [type] : subtypes.map((subtype) => `${type}/${subtype.slice(1, -1)}`)
}

const kinds = [...new Set([...kindsOf('SDKMessage'), ...kindsOf('SDKActiveGoalMessage')])].sort()

test('the walk sees the whole union', () => {
  expect(kinds.length).toBeGreaterThan(40)
  expect(kinds).toContain('stream_event')
  expect(kinds).toContain('result/error_max_turns')
  expect(kinds).toContain('system/task_notification')
})

test('every kind of message in the SDK has a decision', () => {
  expect(kinds.filter((kind) => DECISIONS[kind] === undefined)).toEqual([])
})

/** Said by the 2.1.329 binary or allowed by its protocol, and not in the SDK's union. */
const OUTSIDE_THE_UNION = [
  'command_lifecycle',
  'control_cancel_request',
  'control_request',
  'control_response',
  'keep_alive',
  'ui_invalidate',
]

test('no decision is about a kind that is gone', () => {
  const known = new Set([...kinds, ...OUTSIDE_THE_UNION])
  expect(Object.keys(DECISIONS).filter((kind) => !known.has(kind))).toEqual([])
})

test('a kind is told as CUSTOM where the decision says so, and only there', () => {
  const decided = Object.keys(DECISIONS).filter((kind) => DECISIONS[kind]?.action === 'custom')
  expect(Object.keys(NOTICES).sort()).toEqual(decided.sort())
})

function minimal(kind: string): Record<string, unknown> {
  const [type, subtype] = kind.split('/')
  return { type, ...(subtype === undefined ? {} : { subtype }), session_id: 's' }
}

test.each(Object.keys(DECISIONS))('%s without any of its fields breaks nothing', (kind) => {
  const translator = new Translator()
  const events = [...translator.translate(minimal(kind)), ...translator.close()]
  if (DECISIONS[kind]?.action === 'drop') expect(events).toEqual([])
})

test('a part of the transcript that could not be stored is told of', () => {
  const key = { projectKey: 'p', sessionId: 's' }
  const message = { type: 'system', subtype: 'mirror_error', error: 'READONLY', key, session_id: 's' }
  const value = { error: 'READONLY', lost: ['stored transcript'] }
  expect(new Translator().translate(message)).toEqual([
    { type: 'CUSTOM', name: 'agui-runner.session_writes_lost', value },
  ])
})

test('a kind that nobody knows passes as agui-runner.unknown', () => {
  const message = { type: 'system', subtype: 'brand_new', detail: [1, 2] }
  expect(new Translator().translate(message)).toEqual([
    { type: 'CUSTOM', name: 'agui-runner.unknown', value: { kind: 'system/brand_new', message } },
  ])
})

test('an unknown message that is too large is named but not carried', () => {
  const [event] = new Translator().translate({ type: 'novel', text: 'x'.repeat(20_000) })
  expect(event).toMatchObject({ value: { kind: 'novel', chars: expect.any(Number) } })
  expect(JSON.stringify(event).length).toBeLessThan(200)
})

test.each([null, undefined, 'text', 7, []])('%j instead of a message breaks nothing', (message) => {
  expect(new Translator().translate(message)).toHaveLength(1)
})

const page = readFileSync(new URL('../../../docs/events.md', import.meta.url), 'utf8')

/** The first cells of the table under a heading. */
function rowsUnder(heading: string): string[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| `([\w/]+)` +\|/gm)].map((match) => match[1] ?? '').sort()
}

test('docs/events.md has a row for every decision', () => {
  expect(rowsUnder('Messages to events')).toEqual(Object.keys(DECISIONS).sort())
})
