import { contentToText, type Message } from '@ag-ui/core'
import type { ThreadFacts } from './thread-table.ts'

/** Longest title, in characters: enough to tell threads apart in a list. */
export const TITLE_CHARS_MAX = 120

/** Returns the first line of the first user message, redacted. */
export function firstLine(messages: readonly Message[], redact: (text: string) => string): string {
  const prompt = messages.find(({ role }) => role === 'user')
  if (prompt?.role !== 'user') return ''
  const [line = ''] = redact(contentToText(prompt.content).trim()).split('\n')
  return [...line].slice(0, TITLE_CHARS_MAX).join('')
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
