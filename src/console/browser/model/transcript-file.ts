import { formatDate, formatUsage } from './format.ts'
import type { Item, ShownRun } from './model.ts'

/** The transcript as Markdown. */
export function toMarkdown(title: string, runs: readonly ShownRun[]): string {
  return [`# ${title}`, ...runs.flatMap(runLines)].join('\n\n').concat('\n')
}

/** The transcript as JSON: `{threadId, runs}`, each run with its items as the page has them (model.ts). */
export function toJson(threadId: string, runs: readonly ShownRun[]): string {
  const bare = (key: string, value: unknown): unknown =>
    key === 'holder' || key === 'rev' || key === 'key' ? undefined : value
  return JSON.stringify({ threadId, runs }, bare, 2)
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
      return [`### ${item.role === 'user' ? 'You' : 'Claude Code'}`, item.text]
    case 'reasoning':
      return item.text === '' ? [] : [quoted(item.text)]
    case 'notice':
      return [`_${item.title}${item.detail === '' ? '' : `: ${item.detail}`}_`]
    case 'subagent':
      return [`### Subagent ${item.name}: ${item.description}`, ...item.items.flatMap(itemLines)]
    case 'tool': {
      const args = item.editedArgs === undefined ? item.args : JSON.stringify(item.editedArgs)
      const result = item.result === undefined ? [] : [fenced('', item.result.text)]
      return [`### ${item.name}`, fenced('json', args), ...item.items.flatMap(itemLines), ...result]
    }
  }
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
