import { contentToText, type Message } from '@ag-ui/core'

/** Characters: enough to tell threads apart in a list. */
const TITLE_CHARS_MAX = 120

/** The first line that a person says, for a thread that has no title yet: `{}` when nobody says anything. */
export function titled(
  { title }: { title?: string | undefined },
  messages: readonly Message[],
  redact: (text: string) => string,
): { title?: string } {
  if (title !== undefined) return { title }
  const prompt = messages.find(({ role }) => role === 'user')
  const text = prompt?.role === 'user' ? contentToText(prompt.content).trim() : ''
  const [line = ''] = redact(text).split('\n')
  return line === '' ? {} : { title: [...line].slice(0, TITLE_CHARS_MAX).join('') }
}
