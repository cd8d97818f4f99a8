// The table of our own events against everything that speaks of them: the page of docs, the recordings, the console.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { AguiEvent } from '../../src/agui/event.ts'
import { OWN_EVENTS, type OwnEventName, ownEvent, readOwn } from '../../src/agui/own-events.ts'
import { describeCustom } from '../../src/console/browser/model/notice-texts.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'

const names = Object.keys(OWN_EVENTS) as OwnEventName[]

/** Name and members of each documented event; a member's own members are left out. */
function documented(): Map<string, string[]> {
  const page = readFileSync('docs/events.md', 'utf8')
  const sections = page.slice(page.indexOf('\n## CUSTOM events\n'), page.indexOf('\n## Interrupts\n'))
  const rows = [...sections.matchAll(/^\| `(\w+)` +\| (.*)\|$/gm)]
  return new Map(rows.map(([, name = '', text = '']) => [name, membersIn(text)]))
}

function membersIn(text: string): string[] {
  const shapes = [...text.matchAll(/`\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}`/g)].map(
    ([, shape = '']) => shape,
  )
  const flat = shapes.map((shape) => shape.replace(/:\s*(\[?\{[^{}]*\}\]?|"[^,]*|\[\w+\])/g, ''))
  return [...new Set(flat.flatMap((shape) => shape.split(',').map((part) => part.trim())))].sort()
}

const membersOf = (name: OwnEventName): string[] =>
  Object.entries(OWN_EVENTS[name].shape)
    .map(([member, schema]) => (schema.safeParse(undefined).success ? `${member}?` : member))
    .sort()

test('docs/events.md names exactly the events of the table', () => {
  expect([...documented().keys()].sort()).toEqual([...names].sort())
})

// `unknown` is documented as one of two shapes.
test.each(names.filter((name) => name !== 'unknown'))('docs/events.md has the members of %s', (name) => {
  expect(documented().get(name)).toEqual(membersOf(name))
})

/** Shown at what they belong to, not worth a line, or told to older clients only. */
const WORDLESS = [
  'cancelled',
  'elicitation_complete',
  'files_persisted',
  'message_state',
  'retracted',
  'subagent',
  'thinking_tokens',
  'tool_call_edited',
  'tool_progress',
]

test('the console has words for every event that stands alone', () => {
  const wordless = names.filter((name) => describeCustom(`agui-runner.${name}`, {}).title === name)
  expect(wordless.sort()).toEqual(WORDLESS)
})

test.each(caseNames())(
  'every own event of the golden stream %s fits its schema, and has no member more',
  (name) => {
    for (const event of readGolden(name) as AguiEvent[]) {
      if (event.type !== 'CUSTOM') continue
      const own = names.find((candidate) => event.name === `agui-runner.${candidate}`)
      expect(own, event.name).toBeDefined()
      if (own !== undefined)
        expect(z.strictObject(OWN_EVENTS[own].shape).safeParse(event.value).error).toBeUndefined()
    }
  },
)

test('members that are undefined do not travel', () => {
  expect(ownEvent('api_retry', { attempt: 1, delayMs: undefined })).toEqual({
    type: 'CUSTOM',
    name: 'agui-runner.api_retry',
    value: { attempt: 1 },
  })
})

test.each([
  ['another event', { name: 'agui-runner.task', value: { reason: 'x', messageIds: [], toolCallIds: [] } }],
  ["somebody else's", { name: 'retracted', value: { reason: 'x', messageIds: [], toolCallIds: [] } }],
  ['one of another shape', { name: 'agui-runner.retracted', value: { messageIds: 'm' } }],
  ['one without a value', { name: 'agui-runner.retracted' }],
])('%s is not read', (_what, event) => {
  expect(readOwn('retracted', event)).toBeUndefined()
})
