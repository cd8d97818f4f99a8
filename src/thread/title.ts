import { contentToText, type Message } from '@ag-ui/core'

/** Characters: enough to tell threads apart in a list. */
const TITLE_CHARS_MAX = 120

/** The first line that a person says; undefined when nobody says anything. */
export function titleOf(messages: readonly Message[], redact: (text: string) => string): string | undefined {
  const prompt = messages.find(({ role }) => role === 'user')
  const text = prompt?.role === 'user' ? contentToText(prompt.content).trim() : ''
  const [line = ''] = redact(text).split('\n')
  return line === '' ? undefined : [...line].slice(0, TITLE_CHARS_MAX).join('')
}
