const PROSE_CHARS_MAX = 80
const LISTS = ['slash_commands', 'terminal_slash_commands', 'skills', 'agents', 'plugins']

/** A recorded message without what belongs to the machine it was recorded on, and without the vendor's long prose. */
export function scrub(message: object, machine: { root: string; port: number }): unknown {
  const json = JSON.stringify(message)
    .replaceAll(machine.root, '/sandbox')
    .replaceAll(machine.root.replaceAll('/', '-'), '-sandbox')
    .replaceAll(`127.0.0.1:${machine.port}`, '127.0.0.1:8080')
    .replaceAll(/\[Subagent hand-back\].*?The report follows:/gs, '[Subagent hand-back] …')
  const scrubbed: unknown = JSON.parse(json)
  if (!isRecord(scrubbed)) return scrubbed
  for (const list of LISTS) if (Array.isArray(scrubbed[list])) scrubbed[list] = []
  if (typeof scrubbed['content'] === 'string') scrubbed['content'] = cut(scrubbed['content'])
  if (scrubbed['isSynthetic'] === true) scrubbed['message'] = cutTexts(scrubbed['message'])
  return scrubbed
}

function cutTexts(message: unknown): unknown {
  if (!isRecord(message)) return message
  const { content } = message
  if (typeof content === 'string') return { ...message, content: cut(content) }
  if (!Array.isArray(content)) return message
  const blocks = content.map((block: unknown) =>
    isRecord(block) && typeof block['text'] === 'string' ? { ...block, text: cut(block['text']) } : block,
  )
  return { ...message, content: blocks }
}

function cut(text: string): string {
  return text.length <= PROSE_CHARS_MAX ? text : `${text.slice(0, PROSE_CHARS_MAX)}…`
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
