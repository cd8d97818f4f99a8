import type { Usage } from './model.ts'

const number = new Intl.NumberFormat('en')
const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

export function formatCount(value: number, unit: string): string {
  return `${number.format(value)} ${unit}${value === 1 ? '' : 's'}`
}

export function formatTime(at: number): string {
  return time.format(at)
}

export function formatDate(at: number): string {
  return date.format(at)
}

export function formatAge(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return 'now'
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const kib = bytes / 1024
  return kib < 1024 ? `${Math.round(kib)} KiB` : `${(kib / 1024).toFixed(1)} MiB`
}

export function formatUsage(usage: readonly Usage[]): string {
  return usage
    .map(({ model, inputTokens, outputTokens, cachedInputTokens }) => {
      const cached = cachedInputTokens > 0 ? ` (${number.format(cachedInputTokens)} cached)` : ''
      return `${model}: ${number.format(inputTokens)} in${cached}, ${number.format(outputTokens)} out`
    })
    .join(' · ')
}

/** What the argument of a call is about, for a line: the one member that people look for. */
const TELLING = ['command', 'file_path', 'path', 'url', 'pattern', 'query', 'description', 'prompt']

export function summarise(args: Readonly<Record<string, unknown>>): string {
  for (const key of TELLING) {
    const value = args[key]
    if (typeof value === 'string' && value !== '') return value.split('\n')[0] ?? ''
  }
  return ''
}

export interface FormattedBlock {
  kind: 'prose' | 'code'
  text: string
}

/** Markdown's fenced code apart from the rest; a fence that is still open is code already. */
export function splitFences(text: string): FormattedBlock[] {
  const blocks: FormattedBlock[] = []
  let kind: FormattedBlock['kind'] = 'prose'
  let lines: string[] = []
  const close = (): void => {
    const joined = lines.join('\n')
    if (kind === 'code' || joined.trim() !== '')
      blocks.push({ kind, text: kind === 'prose' ? joined.replace(/^\n+|\n+$/g, '') : joined })
    lines = []
  }
  for (const line of text.split('\n')) {
    if (!line.startsWith('```')) {
      lines.push(line)
      continue
    }
    close()
    kind = kind === 'prose' ? 'code' : 'prose'
  }
  close()
  return blocks
}

/** Prose with its `code` apart: every second piece is code. */
export function splitInlineCode(text: string): string[] {
  return text.split(/`([^`\n]+)`/)
}
