import { contentToText, type Message } from '@ag-ui/core'
import type { ThreadFacts } from './thread-table.ts'

/** Longest title, in characters: enough to tell threads apart in a list. */
export const TITLE_CHARS_MAX = 120

/** What opens a block of Markdown, which says nothing in a list of titles. */
const MARK = /^(?:#{1,6}|>|[-*+])\s+/
const FENCE = /^(?:`{3,}|~{3,})/

/** Returns the first line of the first user message that has words, redacted; another one when none has any. */
export function firstLine(messages: readonly Message[], redact: (text: string) => string): string {
  const prompt = messages.find(({ role }) => role === 'user')
  if (prompt?.role !== 'user') return ''
  const lines = redact(contentToText(prompt.content).trim()).split('\n')
  const [first = ''] = lines
  const worded = lines.find((line) => !FENCE.test(line.trim()) && /[\p{L}\p{N}]/u.test(line)) ?? first
  return [...worded.trim().replace(MARK, '')].slice(0, TITLE_CHARS_MAX).join('')
}

/** Sets the first line as the title of a thread that has none. */
export function titled(
  facts: ThreadFacts,
  messages: readonly Message[],
  redact: (text: string) => string,
): ThreadFacts {
  if (facts.title !== undefined) return facts
  const title = firstLine(messages, redact)
  return title === '' ? facts : { ...facts, title }
}

/** Sets the title that a person chose. */
export function renamed(facts: ThreadFacts, title: string): ThreadFacts {
  return { ...facts, title, updatedAt: Date.now() }
}
