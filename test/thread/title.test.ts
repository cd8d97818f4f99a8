import { expect, test } from 'vitest'
import type { ThreadFacts } from '../../src/thread/thread-table.ts'
import { titled } from '../../src/thread/title.ts'

const FACTS: ThreadFacts = { createdAt: 1, updatedAt: 1, lastOutcome: 'none', usage: [], memory: {} }
const redact = (text: string): string => text.replaceAll('secret', '[redacted]')
const said = (content: string) => [
  { id: 's', role: 'system' as const, content: 'be brief' },
  { id: 'u', role: 'user' as const, content },
]

test.each([
  ['  Write the tests\nand run them', 'Write the tests'],
  ['the secret\nof it', 'the [redacted]'],
  ['\u{1f600}'.repeat(300), '\u{1f600}'.repeat(120)],
  [' \n ', undefined],
  ['## Fix the **login** test\nIt fails.', 'Fix the **login** test'],
  ['```ts\nconst a = 1\n```\nWhy?', 'const a = 1'],
  ['---\n> quoted', 'quoted'],
  ['?!', '?!'],
])('%j names its thread %j', (prompt, title) => {
  expect(titled(FACTS, said(prompt), redact).title).toBe(title)
})

test('a title stays, and a run without a prompt gives none', () => {
  expect(titled({ ...FACTS, title: 'first' }, said('second'), redact).title).toBe('first')
  expect(titled(FACTS, [], redact)).toBe(FACTS)
})
