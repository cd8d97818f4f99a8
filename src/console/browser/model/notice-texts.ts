import { decisionOf } from './decision.ts'
import { type Json, toList, toNumber, toObject } from './fields.ts'
import { formatTime } from './format.ts'
import type { Level } from './model.ts'

export interface Notice {
  level: Level
  title: string
  detail: string
}

type Describe = (value: Json) => Notice

const info = (title: string, detail = ''): Notice => ({ level: 'info', title, detail })
const warn = (title: string, detail = ''): Notice => ({ level: 'warn', title, detail })
const bad = (title: string, detail = ''): Notice => ({ level: 'bad', title, detail })

/** Joins the parts that are there into one line. */
const words = (...parts: unknown[]): string =>
  parts.filter((part) => typeof part === 'string' || typeof part === 'number').join(' · ')

/** The words for each event of docs/events.md; one that is not here is shown by its name. */
const NOTICES: Readonly<Record<string, Describe>> = {
  policy_denied: ({ host, port, method, rule, reason }) =>
    bad(`Policy denied ${words(method)} ${text(host)}:${text(port)}`, words(reason, named('rule', rule))),
  permission_denied: ({ toolName, reason, message }) =>
    bad(`Permission denied${of(toolName)}`, words(message, reason)),
  api_retry: ({ attempt, maxRetries, status, error, delayMs }) =>
    warn(
      `Model request failed, attempt ${text(attempt)}${maxRetries === undefined ? '' : ` of ${text(maxRetries)}`}`,
      words(
        named('status', status),
        error,
        delayMs === undefined ? undefined : `again in ${text(delayMs)} ms`,
      ),
    ),
  api_error: ({ error, status, message }) =>
    warn('A model request failed; the run goes on', words(message, error, named('status', status))),
  elicitation_declined: ({ server, message }) =>
    warn(`Declined, nobody is asked: ${text(server)}`, words(message)),
  mcp_waiting: ({ servers }) => info('Waits for MCP servers', toList(servers).map(text).join(', ')),
  turn_stopped: ({ reason, message }) => warn(`A hook ended the turn: ${text(reason)}`, words(message)),
  limit_reached: ({ limit, message }) => warn(`Limit reached: ${text(limit)}`, words(message)),
  model_fallback: ({ from, to, explanation, text: said }) =>
    warn(`Model changed: ${text(from)} → ${text(to)}`, words(explanation, said)),
  model_refusal: ({ model, explanation }) => bad(`Refused by the model${of(model)}`, words(explanation)),
  injected_message: ({ reason, text: said }) => info(`Put in for the model (${text(reason)})`, words(said)),
  compaction: ({ state, error }) =>
    state === 'failed' ? warn('Compaction failed', words(error)) : info(`Compaction ${text(state)}`),
  compacted: ({ trigger, tokensBefore, tokensAfter }) =>
    info(
      'The conversation was compacted',
      words(trigger, count(tokensBefore, 'tokens before'), count(tokensAfter, 'after')),
    ),
  conversation_reset: () => info('Claude Code started a new conversation'),
  session_reset: ({ reason }) =>
    warn('The Claude session is gone; it goes on without what was said before', words(reason)),
  taken_back: ({ afterSeq }) =>
    info('Taken back', `what stands behind record ${text(afterSeq)} is no part of the conversation any more`),
  gap: ({ firstSeq, lastSeq }) =>
    warn('Damaged in the store', `records ${text(firstSeq)} to ${text(lastSeq)}`),
  workspace_problems: ({ problems }) =>
    warn('Not in the workspace as it was wanted', toList(problems).map(String).join('; ')),
  content_skipped: ({ parts }) => warn('The model cannot be given', toList(parts).map(String).join(', ')),
  message_pending: ({ content }) => info('On its way into the running turn', words(content)),
  withdrawn: (value) => info('Taken out of the queue', words(value['words'])),
  message_queued: () => info('The turn ended before it took the message in; it runs on its own'),
  steered: () => info('Put into the running turn'),
  permission_mode: ({ mode }) => info(`Permission mode: ${text(mode)}`),
  mcp_servers: ({ servers }) => {
    const states = toList(servers).map((server) => {
      const { name, status } = toObject(server)
      return `${text(name)} ${text(status)}`
    })
    return warn('MCP servers', states.join(', '))
  },
  answered: (value) => {
    const { word, at } = decisionOf(value)
    return info(`${word} at ${formatTime(at)}`, words(value['message']))
  },
  tool_summary: ({ summary }) => info('Summary', words(summary)),
  task: ({ state, description, summary, error, lastTool }) =>
    (state === 'failed' ? warn : info)(`Task ${text(state)}`, words(description, summary, error, lastTool)),
  background_tasks: ({ tasks }) =>
    info(
      `Tasks in the background: ${toList(tasks).length}`,
      toList(tasks)
        .map((task) => words(toObject(task)['description'], toObject(task)['taskType']))
        .join('; '),
    ),
  hook: ({ name, state, event, outcome, exitCode, output }) =>
    (outcome === 'error' ? warn : info)(
      `Hook ${words(name, event)} ${text(state)}`,
      words(outcome, named('exit', exitCode), output),
    ),
  notice: ({ text: said, level, stopsTurn }) => {
    const kind = stopsTurn === true || level === 'error' ? bad : level === 'warning' ? warn : info
    return kind('Notice', words(said))
  },
  rate_limit: ({ status, limit, utilization }) =>
    (status === 'allowed' ? info : warn)(
      `Rate limit: ${text(status)}`,
      words(limit, typeof utilization === 'number' ? `${Math.round(utilization * 100)} % used` : undefined),
    ),
  memory_recall: ({ memories }) =>
    info(
      'Read from memory',
      toList(memories)
        .map((memory) => text(toObject(memory)['path']))
        .join(', '),
    ),
  session_writes_lost: ({ error, lost }) =>
    warn('Claude Code could not save its session', words(error, count(lost, 'writes'))),
  prompt_suggestion: ({ suggestion }) => info('Suggested next prompt', words(suggestion)),
  active_goal: ({ goal }) => info('Goal', words(goal)),
  plugin_install: ({ status, name, error }) => info(`Plugin ${words(name, status)}`, words(error)),
  unknown: ({ kind }) => info(`Not known to the runner: ${text(kind)}`),
}

const PREFIX = 'agui-runner.'

/** A CUSTOM event in words. */
export function describeCustom(name: string, value: unknown): Notice {
  const own = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined
  const describe = own !== undefined && Object.hasOwn(NOTICES, own) ? NOTICES[own] : undefined
  return describe?.(toObject(value)) ?? info(own ?? name, typeof value === 'string' ? value : '')
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?'
}

function of(value: unknown): string {
  return typeof value === 'string' ? `: ${value}` : ''
}

function named(name: string, value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : `${name} ${text(value)}`
}

function count(value: unknown, unit: string): string | undefined {
  const number = toNumber(value)
  return number === undefined ? undefined : `${number} ${unit}`
}
