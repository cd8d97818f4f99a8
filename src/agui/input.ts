import type { RunAgentInput, UserMessage } from '@ag-ui/core'
import { RunAgentInputSchema, UserMessageSchema } from '@ag-ui/core/schemas'
import { parseNulls } from '../absent-null.ts'
import { RunnerError } from '../errors.ts'
import { isObject } from '../json.ts'
import { type Dialect, ProtocolVersion } from './dialect.ts'

export interface ParsedInput {
  input: RunAgentInput
  /** The AG-UI version that the sender reads. Only clients of 1.0 name one. */
  dialect: Dialect
  /** The paths of stripped members, for the log: an unknown member never fails a run. */
  warnings: string[]
}

const ROLES = new Set(['developer', 'system', 'assistant', 'user', 'tool', 'activity', 'reasoning'])
const PART_TYPES = new Set(['text', 'image', 'audio', 'video', 'document'])
const SOURCE_TYPES = new Set(['data', 'url', 'file'])
const KNOWN = new Set([
  ...['threadId', 'runId', 'messages', 'protocolVersion', 'parentRunId', 'state'],
  ...['tools', 'context', 'forwardedProps', 'resume'],
])
/**
 * The spellings of Python: the existing platform's (openshell.md 6.6), and all that `model_dump()` of ag-ui-protocol writes,
 * which gives the names of AG-UI with `by_alias` only (0.1.22, 1.0.0).
 */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['thread_id', 'threadId'],
  ['run_id', 'runId'],
  ['parent_run_id', 'parentRunId'],
  ['protocol_version', 'protocolVersion'],
  ['forwarded_props', 'forwardedProps'],
  ['tool_calls', 'toolCalls'],
  ['tool_call_id', 'toolCallId'],
  ['encrypted_value', 'encryptedValue'],
  ['subagent_run_id', 'subagentRunId'],
  ['activity_type', 'activityType'],
  ['mime_type', 'mimeType'],
  ['interrupt_id', 'interruptId'],
])

/**
 * Parses the body of `POST /` (agui-1.0-producer.md A1). Unknown members are stripped with a warning, a null in an
 * optional member counts as absent, and a known member with a wrong value is refused.
 *
 * @throws {RunnerError} `invalid_input` with the path of every wrong member.
 */
export function parseRunInput(body: unknown): ParsedInput {
  if (!isObject(body)) {
    throw new RunnerError('invalid_input', 'The body must be a JSON object: a RunAgentInput.')
  }
  const warnings: string[] = []
  const stripped = strip(body, warnings)
  const said = ProtocolVersion.nullish().safeParse(stripped['protocolVersion'])
  const dialect = said.data ?? 'older'
  const result = parseNulls(RunAgentInputSchema, withResume(stripped, dialect))
  if (said.error !== undefined) {
    const problem = `protocolVersion: ${said.error.issues[0]?.message}`
    throw new RunnerError('invalid_input', `The run input is malformed: ${problem}.`, { details: [problem] })
  }
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`)
    throw new RunnerError(
      'invalid_input',
      `The run input is malformed: ${problems.slice(0, 5).join('; ')}.`,
      {
        details: problems,
      },
    )
  }
  // The value was just checked. The cast only drops the `undefined` that zod's types allow and JSON does not have.
  return { input: result.data as RunAgentInput, dialect, warnings }
}

/** Takes `resume` from `forwardedProps` too, where apps put it whose client is 0.0.53 or older and cannot send it. */
function withResume(body: Record<string, unknown>, dialect: Dialect): Record<string, unknown> {
  const props = body['forwardedProps']
  const forwarded = dialect === 'older' && isObject(props) ? props['resume'] : undefined
  const resume = body['resume'] ?? forwarded
  if (resume === undefined || resume === null) return body
  return { ...body, resume: Array.isArray(resume) ? resume.map(withAguiNames) : resume }
}

/**
 * Parses the content of a user message that comes without a run input. Returns a message with the given id.
 *
 * @throws {RunnerError} `invalid_input`.
 */
export function parseUserContent(content: unknown, id: string): UserMessage {
  const result = parseNulls(UserMessageSchema, stripMessage({ id, role: 'user', content }, '', []))
  if (!result.success) {
    throw new RunnerError('invalid_input', 'content must be a text, or a list of AG-UI content parts.', {
      details: result.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`),
    })
  }
  // As above: zod's types allow an `undefined` that JSON does not have.
  return result.data as UserMessage
}

function strip(body: Record<string, unknown>, warnings: string[]): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(withAguiNames(body))) {
    if (KNOWN.has(name)) kept[name] = value
    else warnings.push(`${name}: unknown member`)
  }
  if (Array.isArray(kept['messages'])) {
    kept['messages'] = stripMessages(kept['messages'], warnings)
  }
  return kept
}

/** Returns an object with the members' names of AG-UI. A member that is there under both names counts as AG-UI has it. */
export function withAguiNames<T>(value: T): T | Record<string, unknown> {
  if (!isObject(value)) return value
  const entries = Object.entries(value).flatMap(([key, member]) => {
    const name = ALIASES.get(key) ?? key
    return name === key || !(name in value) ? [[name, member] as const] : []
  })
  return Object.fromEntries(entries)
}

function renamedPart(part: unknown): unknown {
  const named = withAguiNames(part)
  return isObject(named) && 'source' in named ? { ...named, source: withAguiNames(named['source']) } : named
}

/** Strips messages of unknown roles. The next message stands for such a one: when the thread knows it, it knows both. */
function stripMessages(messages: readonly unknown[], warnings: string[]): unknown[] {
  const kept: unknown[] = []
  let nameless: string[] = []
  for (const [index, message] of messages.entries()) {
    const path = `messages[${index}]`
    const role = isObject(message) ? message['role'] : undefined
    if (typeof role === 'string' && !ROLES.has(role)) {
      warnings.push(`${path}: unknown role "${role}"`)
      nameless.push(`a message of the unknown role "${role}"`)
      continue
    }
    const stripped = stripMessage(message, path, warnings)
    const isRead = role === 'user' || role === 'tool'
    kept.push(isRead ? withSkipped(stripped, nameless) : stripped)
    if (isRead) nameless = []
  }
  return nameless.length === 0 ? kept : [...kept.slice(0, -1), withSkipped(kept.at(-1), nameless)]
}

function stripMessage(message: unknown, path: string, warnings: string[]): unknown {
  if (!isObject(message)) return message
  const kept: Record<string, unknown> = { ...withAguiNames(message) }
  const { content, toolCalls } = kept
  if (Array.isArray(toolCalls)) kept['toolCalls'] = toolCalls.map(withAguiNames)
  if (!Array.isArray(content)) return kept
  const skipped: string[] = []
  kept['content'] = withoutBinary(content.map(renamedPart)).filter((part, index) => {
    const unknown = unknownOf(part)
    if (unknown === undefined) return true
    warnings.push(`${path}.content[${index}]: unknown ${unknown}`)
    skipped.push(`a part of unknown ${unknown}`)
    return false
  })
  return withSkipped(kept, skipped)
}

/** Notes in the message's metadata what the model was not given; the run reports it to the client. */
function withSkipped(message: unknown, parts: string[]): unknown {
  if (parts.length === 0 || !isObject(message)) return message
  const metadata = isObject(message['metadata']) ? message['metadata'] : {}
  return { ...message, metadata: { ...metadata, [SKIPPED]: [...parts, ...skippedOf({ metadata })] } }
}

/** Member of a message's metadata: the parts that were left out, in words. */
const SKIPPED = 'agui-runner.skipped'

/** Returns the parts of a message that were left out when it was parsed, in words. */
export function skippedOf({ metadata }: { metadata?: Record<string, unknown> | undefined }): string[] {
  const parts = metadata?.[SKIPPED]
  return Array.isArray(parts) ? parts.filter((part) => typeof part === 'string') : []
}

/** Drops `binary` parts whose successor stands beside them: some senders send both. */
function withoutBinary(parts: readonly unknown[]): unknown[] {
  const others = new Set(parts.map((part) => JSON.stringify(part)))
  return parts.flatMap((part) => {
    const media = fromBinary(part)
    return media !== part && others.has(JSON.stringify(media)) ? [] : [media]
  })
}

/** The one part for all media of AG-UI before 0.0.54: `{type: "binary", mimeType, data? | url? | id?}`. */
function fromBinary(part: unknown): unknown {
  if (!isObject(part) || part['type'] !== 'binary' || typeof part['mimeType'] !== 'string') return part
  const { mimeType, data, url, id } = part
  const known = mimeType.endsWith('/*') ? {} : { mimeType }
  const source =
    typeof data === 'string' && data !== ''
      ? { type: 'data', value: data, mimeType }
      : typeof url === 'string' && url !== ''
        ? { type: 'url', value: url, ...known }
        : typeof id === 'string'
          ? { type: 'file', value: id, ...known }
          : undefined
  if (source === undefined) return part
  const [kind = ''] = mimeType.trim().toLowerCase().split('/')
  return { type: ['image', 'audio', 'video'].includes(kind) ? kind : 'document', source }
}

function unknownOf(part: unknown): string | undefined {
  if (!isObject(part) || typeof part['type'] !== 'string') return undefined
  const source = part['source']
  const sourceType = isObject(source) ? source['type'] : undefined
  if (!PART_TYPES.has(part['type'])) return `part type "${part['type']}"`
  return typeof sourceType === 'string' && !SOURCE_TYPES.has(sourceType)
    ? `source type "${sourceType}"`
    : undefined
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  )
}
