import type { ShownContext, Usage } from './model.ts'

const number = new Intl.NumberFormat('en')
const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' })
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

/** A day as `Sat 28 Nov`. */
function formatDay(at: number): string {
  return day.format(at).replace(',', '')
}

/** The time of day; with the day in front when that is not the day of `since`. */
export function formatMoment(at: number, since: number): string {
  const [own, other] = [formatDay(at), formatDay(since)]
  return own === other ? formatTime(at) : `${own}, ${formatTime(at)}`
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

/** Milliseconds as `40 ms`, `4.2 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 100) return `${Math.max(Math.round(ms), 0)} ms`
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** A number of tokens in short: `1.2k`, `200k`, `3.4M`. */
export function formatTokens(total: number): string {
  if (total < 1000) return `${total}`
  const short = total < 1_000_000 ? `${(total / 1000).toFixed(1)}k` : `${(total / 1_000_000).toFixed(1)}M`
  return short.replace('.0', '')
}

export function totalTokens(usage: readonly Usage[]): number {
  return usage.reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0)
}

/** US dollars as `$0.42`, less than a cent as `< $0.01`. */
export function formatCost(usd: number): string {
  return usd > 0 && usd < 0.01 ? '< $0.01' : `$${usd.toFixed(2)}`
}

/** `12% of 200k context`; without the window `24k tokens of context`. */
export function formatContext({ tokens, window }: ShownContext): string {
  if (window === undefined) return `${formatTokens(tokens)} tokens of context`
  const percent = Math.round((tokens / window) * 100)
  return `${percent === 0 ? '< 1' : percent}% of ${formatTokens(window)} context`
}
