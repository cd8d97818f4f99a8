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
const WHOLE = new RegExp(`^\\s*<(${TAGS.join('|')})\\b[^>]*>[\\s\\S]*</\\1>\\s*$`)

/** The tag around the whole text; undefined when a person wrote it. */
export function harnessTagOf(text: string): string | undefined {
  return WHOLE.exec(text)?.[1]
}
