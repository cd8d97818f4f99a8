import { formatDate, formatUsage } from './format.ts'
import type { Content, Item, ShownRun } from './model.ts'

/** The transcript as Markdown. */
export function toMarkdown(title: string, runs: readonly ShownRun[]): string {
  return [`# ${title}`, ...runs.flatMap(runLines)].join('\n\n').concat('\n')
}

/** The transcript as JSON: `{threadId, runs}`, each run with its items as the page has them (model.ts). */
export function toJson(threadId: string, runs: readonly ShownRun[]): string {
  return JSON.stringify({ threadId, runs: runs.map(bare) }, null, 2)
}

/** A run or an item without what only the page needs. What the thread itself says is left as it is. */
function bare({ rev: _rev, ...node }: ShownRun | Item): object {
  const { key: _key, holder: _holder, ...shown } = 'key' in node ? node : { ...node, key: 0 }
  return 'items' in shown ? { ...shown, items: shown.items.map(bare) } : shown
}

function runLines(run: ShownRun): string[] {
  const when = run.startedAt === undefined ? '' : `, ${formatDate(run.startedAt)}`
  const error = run.error === undefined ? [] : [`**${run.error.code}**: ${run.error.message}`]
  const usage = run.usage.length === 0 ? [] : [`_${formatUsage(run.usage)}_`]
  return [`## Run ${run.runId}${when}`, ...run.items.flatMap(itemLines), ...error, ...usage]
}

function itemLines(item: Item): string[] {
  switch (item.kind) {
    case 'text':
      return [`### ${item.role === 'user' ? 'You' : 'Claude Code'}`, ...contentLines(item)]
    case 'reasoning':
      return item.text === '' ? [] : [quoted(item.text)]
    case 'notice':
      return [`_${item.title}${item.detail === '' ? '' : `: ${item.detail}`}_`]
    case 'subagent':
      return [`### Subagent ${item.name}: ${item.description}`, ...item.items.flatMap(itemLines)]
    case 'tool': {
      const args = item.editedArgs === undefined ? item.args : JSON.stringify(item.editedArgs)
      const { text = '', attachments = [] } = item.result ?? {}
      const result = item.result === undefined ? [] : contentLines({ text: fenced('', text), attachments })
      return [`### ${item.name}`, fenced('json', args), ...item.items.flatMap(itemLines), ...result]
    }
  }
}

function contentLines({ text, attachments }: Content): string[] {
  return [...(text === '' ? [] : [text]), ...attachments.map(({ mimeType }) => `_[${mimeType}]_`)]
}

function quoted(text: string): string {
  return text.replace(/^/gm, '> ')
}

/** The text in a fence longer than any inside it. */
function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text}\n${fence}`
}
