import { contentToText, type Message } from '@ag-ui/core'
import type { ThreadFacts } from './thread-table.ts'

/** Characters: enough to tell threads apart in a list. */
export const TITLE_CHARS_MAX = 120

/** The first line that a person says in them, without secrets. */
export function firstLine(messages: readonly Message[], redact: (text: string) => string): string {
  const prompt = messages.find(({ role }) => role === 'user')
  if (prompt?.role !== 'user') return ''
  const [line = ''] = redact(contentToText(prompt.content).trim()).split('\n')
  return [...line].slice(0, TITLE_CHARS_MAX).join('')
}

/** What a person says first is the title of a thread that has none yet. */
export function titled(
  facts: ThreadFacts,
  messages: readonly Message[],
  redact: (text: string) => string,
): ThreadFacts {
  if (facts.title !== undefined) return facts
  const title = firstLine(messages, redact)
  return title === '' ? facts : { ...facts, title }
}

/** A person has named it. */
export function renamed(facts: ThreadFacts, title: string): ThreadFacts {
  return { ...facts, title, updatedAt: Date.now() }
}
