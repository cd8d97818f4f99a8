/** Claude Code's harness writes in the user's place too, and wraps its words in one of these tags. */
const TAGS = [
  'system-reminder',
  'task-notification',
  'command-name',
  'command-message',
  'local-command-stdout',
  'local-command-stderr',
  'context',
  'state',
]
const TAGGED = new RegExp(`<(${TAGS.join('|')})\\b[^>]*>[\\s\\S]*?</\\1>`, 'g')

/** The first tag of a text that is in such tags as a whole; undefined when a person wrote some of it. */
export function harnessTagOf(text: string): string | undefined {
  const [first] = text.matchAll(TAGGED)
  return first !== undefined && text.replace(TAGGED, '').trim() === '' ? first[1] : undefined
}
