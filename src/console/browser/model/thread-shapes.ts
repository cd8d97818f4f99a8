import { readContext, readUsage } from './content.ts'
import { isObject, type Json, toList, toNumber, toObject, toText } from './fields.ts'
import type { ShownContext, Usage } from './model.ts'

/** What `GET /sessions` says of a thread, as far as the page shows it. */
export interface ThreadShape {
  threadId: string
  /** Its name, or the first line of its first prompt; undefined before there is one. */
  title: string | undefined
  state: string
  interrupts: Interrupt[]
  /** Runs that wait behind the one under way, the next first. */
  queue: QueuedShape[]
  createdAt: number
  usage: Usage[]
  /** All runs together, in US dollars. */
  costUsd: number | undefined
  context: ShownContext | undefined
  updatedAt: number
  model: string | undefined
  claudeSessionId: string | undefined
  isWarm: boolean
}

export interface QueuedShape {
  runId: string
  words: string
  /** It was given to the running turn, so it cannot be moved any more. */
  isSteered: boolean
}

export interface Choice {
  question: string
  header: string
  isMultiple: boolean
  options: { label: string; description: string }[]
}

/** What an MCP server asks, as its interrupt carries it. */
export interface ElicitationForm {
  url: string | undefined
  requestedSchema: Json
}

/** What waits for a person. */
export interface Interrupt {
  id: string
  toolCallId: string | undefined
  /** AG-UI's reason: `tool_call`, `confirmation`, `input_required`, or another. */
  reason: string
  message: string
  tool: string
  input: Json
  /** The questions of an AskUserQuestion; empty for whatever else is asked. */
  choices: Choice[]
  /** What an MCP server asks. */
  elicitation: ElicitationForm | undefined
  expiresAt: string | undefined
}

export function readSession(session: Json): ThreadShape {
  return {
    threadId: toText(session['threadId']) ?? '',
    title: toText(session['title']),
    state: stateOf(session),
    interrupts: toList(session['interrupts']).filter(isObject).map(readInterrupt),
    queue: toList(session['queue']).map((entry) => ({
      runId: toText(toObject(entry)['runId']) ?? '',
      words: toText(toObject(entry)['words']) ?? '',
      isSteered: toObject(entry)['delivery'] === 'steer',
    })),
    createdAt: toNumber(session['createdAt']) ?? 0,
    usage: readUsage(session['usage']),
    costUsd: toNumber(session['costUsd']),
    context: readContext(session['context']),
    updatedAt: toNumber(session['updatedAt']) ?? 0,
    model: toText(session['model']),
    claudeSessionId: toText(session['claudeSessionId']),
    isWarm: session['warm'] === true,
  }
}

/** An idle thread whose last run was stopped is `stopped` here: nobody finished what was asked. */
function stateOf({ state, lastOutcome }: Json): string {
  return state === 'idle' && lastOutcome === 'cancelled' ? 'stopped' : (toText(state) ?? 'unknown')
}

function readInterrupt(interrupt: Json): Interrupt {
  const own = toObject(toObject(interrupt['metadata'])['agui-runner'])
  const input = toObject(own['input'])
  const reason = toText(interrupt['reason']) ?? ''
  return {
    id: toText(interrupt['id']) ?? '',
    toolCallId: toText(interrupt['toolCallId']),
    reason,
    message: toText(interrupt['message']) ?? 'This run waits for an answer.',
    tool: toText(own['tool']) ?? '',
    input,
    choices: reason === 'input_required' ? toList(input['questions']).filter(isObject).map(readChoice) : [],
    elicitation: readElicitation(own['elicitation']),
    expiresAt: toText(interrupt['expiresAt']),
  }
}

function readElicitation(elicitation: unknown): ElicitationForm | undefined {
  if (!isObject(elicitation)) return undefined
  return { url: toText(elicitation['url']), requestedSchema: toObject(elicitation['requestedSchema']) }
}

function readChoice(choice: Json): Choice {
  return {
    question: toText(choice['question']) ?? '',
    header: toText(choice['header']) ?? '',
    isMultiple: choice['multiSelect'] === true,
    options: toList(choice['options'])
      .filter(isObject)
      .map(({ label, description }) => ({
        label: toText(label) ?? '',
        description: toText(description) ?? '',
      })),
  }
}
