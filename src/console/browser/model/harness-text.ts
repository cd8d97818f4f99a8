/** Words in the user's place that no user wrote: Claude Code's harness wraps them in a tag of its own. */
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

/** The tag around all of the text; undefined when a person said it. */
export function harnessTagOf(text: string): string | undefined {
  return WHOLE.exec(text)?.[1]
}
