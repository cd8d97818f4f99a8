import { RunnerError } from '../../errors.ts'
import { isObject } from '../../json.ts'
import { STEERED } from '../../thread/steered-ids.ts'
import { checkDepth, type JsonLimits } from './json-body.ts'

export interface SentLimits extends JsonLimits {
  /** Upper bound of an id of a thread, run, message, tool call, interrupt, task or blob, in UTF-16 code units. */
  idCharsMax: number
}

/** Members that contain an id wherever they occur in a request: in its path, query or body, or in a frame. */
const IDS = [
  ...['threadId', 'thread_id', 'runId', 'run_id', 'parentRunId', 'parent_run_id'],
  ...['messageId', 'message_id', 'blobId', 'taskId', 'task_id', 'session'],
]
const MESSAGE_IDS = ['id', 'toolCallId', 'tool_call_id']
const RESUME_IDS = ['interruptId', 'interrupt_id']

/**
 * Checks every id that a client sent, and the depth of the JSON texts within a run input. The schemas check the rest.
 *
 * @param where for the message: "the path", "the body".
 * @throws {RunnerError} `invalid_input` when an id is empty, `.`, `..` or longer than `ID_CHARS_MAX`, or when a JSON text nests
 * deeper than `JSON_DEPTH_MAX`: arguments or a result of a tool, or the payload of a resume.
 */
export function checkSent(sent: unknown, where: string, limits: SentLimits): void {
  if (!isObject(sent)) return
  checkIds(sent, IDS, { where, limits })
  // `input` is the run in a WebSocket frame, `payload` the feedback on a message.
  for (const member of ['input', 'payload']) checkSent(sent[member], `${where}: ${member}`, limits)
  for (const [index, message] of listOf(sent['messages'])) {
    const place = { where: `${where}: messages[${index}]`, limits }
    checkIds(message, MESSAGE_IDS, place)
    if (message['role'] === 'tool') checkInner(message, 'content', place)
    for (const [call, toolCall] of listOf(message['toolCalls'] ?? message['tool_calls'])) {
      const calls = { where: `${place.where}.toolCalls[${call}]`, limits }
      checkIds(toolCall, ['id'], calls)
      checkInner(toolCall['function'], 'arguments', calls)
    }
  }
  checkResume(sent['resume'], `${where}: resume`, limits)
  const props = sent['forwardedProps'] ?? sent['forwarded_props']
  // Other members of `forwardedProps` belong to the application.
  if (!isObject(props)) return
  checkResume(props['resume'], `${where}: forwardedProps.resume`, limits)
  checkIds(props, ['replaces'], { where: `${where}: forwardedProps`, limits })
}

function checkResume(resume: unknown, where: string, limits: SentLimits): void {
  for (const [index, entry] of listOf(resume)) {
    const place = { where: `${where}[${index}]`, limits }
    checkIds(entry, RESUME_IDS, place)
    checkInner(entry, 'payload', place)
    checkInner(entry['payload'], 'editedArgs', place)
  }
}

interface Place {
  where: string
  limits: SentLimits
}

function checkIds(holder: Record<string, unknown>, names: readonly string[], { where, limits }: Place): void {
  const { idCharsMax } = limits
  for (const name of names) {
    const id = holder[name]
    if (typeof id !== 'string') continue
    const problem = problemOf(id, idCharsMax)
    if (problem === undefined) continue
    throw new RunnerError('invalid_input', `In ${where}: the id ${name} ${problem}.`)
  }
}

function problemOf(id: string, idCharsMax: number): string | undefined {
  if (id === '') return 'is empty'
  // Every client takes it out of an address, however it is written: what bears it could not be read, stopped or deleted.
  if (id === '.' || id === '..') return `is "${id}", which no address can hold`
  return sentChars(id) > idCharsMax ? `is longer than ID_CHARS_MAX (${idCharsMax} characters)` : undefined
}

/** Returns the length of the id that the client chose, without the suffix that the runner adds to a steered message. */
function sentChars(id: string): number {
  return id.endsWith(STEERED) ? id.length - STEERED.length : id.length
}

/** Checks the depth of a member that contains JSON as text. */
function checkInner(holder: unknown, name: string, { where, limits }: Place): void {
  const text = isObject(holder) ? holder[name] : undefined
  if (typeof text === 'string') checkDepth(text, `${where}.${name}`, limits.jsonDepthMax)
}

function* listOf(value: unknown): Iterable<[index: number, item: Record<string, unknown>]> {
  if (!Array.isArray(value)) return
  for (const [index, item] of value.entries()) if (isObject(item)) yield [index, item]
}
