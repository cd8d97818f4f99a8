import type { RunEnd } from '../../agent/agent.ts'
import type { ErrorCode } from '../../errors.ts'
import type { AssistantMessage, ResultMessage } from './messages.ts'
import type { ApiError } from './rejected-input.ts'
import { isRejectedInput, rejected } from './rejected-input.ts'

/** Facts of a finished turn that AG-UI has no field for. */
export interface TurnFacts {
  turns?: number
  durationMs?: number
  apiDurationMs?: number
  stopReason?: string
  terminalReason?: string
  /** What began the turn if not a prompt of the runner: `task-notification` and the like. */
  origin?: string
  /** The uuids of the user messages that the turn has answered, as they were sent to Claude Code. */
  messageIds?: string[]
}

/** The end of a run as Claude Code reports it: a `RunEnd` except for interrupts, which the host decides. */
export type ClaudeEnd = Exclude<RunEnd, { outcome: 'interrupt' }> & { facts: TurnFacts }

export function toApiError(message: AssistantMessage, text: string): ApiError {
  const { error = 'unknown', api_error_status: status = null, api_error: kind } = message
  return { error, status, message: text, ...(kind === undefined ? {} : { kind }) }
}

/** Returns the limit that ended the turn. Undefined when no limit did. */
export function limitOf(result: ResultMessage): 'turns' | 'cost' | undefined {
  if (result.subtype === 'error_max_turns') return 'turns'
  return result.subtype === 'error_max_budget_usd' ? 'cost' : undefined
}

type Ending =
  | { outcome: 'success'; result?: unknown }
  | { outcome: 'cancelled' }
  | { outcome: 'error'; code: ErrorCode; message: string }

/** The facts of a turn that its `result` does not contain. */
export interface TurnSigns {
  apiError: ApiError | undefined
  /** Why the prompt was not accepted. */
  refusal: string | undefined
  isAskedToGoOn: boolean
  /** Whether the run asked for a result of a given shape. */
  expectsOutput: boolean
}

/** Stop reasons with which the model has ended its turn. With any other reason it may not have finished. */
const FINISHED = ['end_turn', 'stop_sequence']
/** Values of `terminal_reason` when a deployer's hook ended the turn. In the first three the model had more to do. */
const HOOK_STOPS = ['hook_stopped', 'tool_deferred', 'stop_hook_blocked', 'stop_hook_prevented']

/** Returns why a hook has ended the turn. Undefined when no hook did. */
export function hookStopOf(result: ResultMessage, { isAskedToGoOn }: TurnSigns): string | undefined {
  const { terminal_reason: reason } = result
  // After some rounds Claude Code overrides a Stop hook that never lets the model stop. The hook's last message then
  // has no answer.
  if (reason === 'completed' && isAskedToGoOn) return 'stop_hook_blocked'
  return HOOK_STOPS.find((stop) => stop === reason)
}

/**
 * Converts a `result` message into the end of a run. `subtype: success` says only that Claude Code has not failed. The
 * run is a success when the model has ended its turn and the requested output exists (docs/events.md, "How a run
 * ends").
 */
export function toEnding(result: ResultMessage, signs: TurnSigns): Ending {
  const { subtype, terminal_reason: reason, stop_reason: stop, structured_output: output } = result
  const hookStop = hookStopOf(result, signs)
  // Stopped on purpose: by the user, or by a limit or a hook that the caller set (agui-1.0-producer.md A4.30).
  const isHookStop = hookStop !== undefined && hookStop !== 'stop_hook_prevented'
  if (reason?.startsWith('aborted_') || limitOf(result) !== undefined || isHookStop) {
    return { outcome: 'cancelled' }
  }
  if (subtype !== 'success' || result.is_error === true) {
    const message = messageOf(result, signs.apiError)
    const code = codeOf(result, signs.apiError, message)
    return { outcome: 'error', code, message: code === 'model_rejected_input' ? rejected(message) : message }
  }
  // Without a terminal reason the model was not asked: the prompt was Claude Code's own command or was refused.
  if (reason === undefined && signs.refusal !== undefined)
    return { outcome: 'error', code: 'prompt_refused', message: signs.refusal }
  if (output !== undefined && output !== null) return { outcome: 'success', result: output }
  if (signs.expectsOutput) return { outcome: 'error', code: 'schema_not_satisfied', message: NO_OUTPUT }
  return reason === undefined || FINISHED.includes(stop ?? '')
    ? { outcome: 'success' }
    : { outcome: 'error', code: 'model_error', message: unfinished(stop) }
}

const NO_OUTPUT =
  'The model ended its turn without a result that fits outputSchema. Its words are in the stream; ask again, or ease the schema.'

function unfinished(stop: string | null | undefined): string {
  const why = stop == null ? 'its answer was cut' : `it stopped with "${stop}"`
  return `The model has not finished: ${why}, and Claude Code did not go on. What it said is kept; another message goes on from there.`
}

export function factsOf(result: ResultMessage): TurnFacts {
  return {
    ...(result.num_turns === undefined ? {} : { turns: result.num_turns }),
    ...(result.duration_ms === undefined ? {} : { durationMs: result.duration_ms }),
    ...(result.duration_api_ms === undefined ? {} : { apiDurationMs: result.duration_api_ms }),
    ...(result.stop_reason == null ? {} : { stopReason: result.stop_reason }),
    ...(result.terminal_reason === undefined ? {} : { terminalReason: result.terminal_reason }),
    ...(result.origin === undefined ? {} : { origin: result.origin.kind }),
    ...(result.user_message_uuids === undefined ? {} : { messageIds: result.user_message_uuids }),
  }
}

function messageOf(result: ResultMessage, apiError: ApiError | undefined): string {
  const said = result.errors?.join('\n') || result.result || apiError?.message
  return said || `Claude Code ended the turn with ${result.subtype} and no further word.`
}

function codeOf(result: ResultMessage, apiError: ApiError | undefined, message: string): ErrorCode {
  if (result.startup_failure_reason !== undefined) return 'claude_start_failed'
  if (message.startsWith('No conversation found')) return 'claude_start_failed'
  if (result.subtype === 'error_max_structured_output_retries') return 'schema_not_satisfied'
  if (isRejectedInput(result, apiError)) return 'model_rejected_input'
  const failedRequest = result.subtype === 'success' || apiError !== undefined
  return failedRequest
    ? requestCode(apiError?.error, result.api_error_status ?? apiError?.status, message)
    : 'claude_protocol'
}

/** Error texts of a request that reached no model. */
const UNREACHABLE =
  /ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|ERR_PROXY_TUNNEL|UNABLE_TO_|CERT_|certificate|unable to connect|couldn't connect|connection (?:refused|reset|error|closed)|timed out|policy_denied|inference service (?:unavailable|error)|inference is not configured/i

const BY_ERROR: Record<string, ErrorCode> = {
  authentication_failed: 'model_unauthorized',
  oauth_org_not_allowed: 'model_unauthorized',
  account_on_hold: 'model_unauthorized',
  verification_required: 'model_unauthorized',
  billing_error: 'model_unauthorized',
  cloud_credential_error: 'model_unauthorized',
  rate_limit: 'model_rate_limited',
  overloaded: 'model_overloaded',
}

const BY_STATUS: Record<number, ErrorCode> = {
  401: 'model_unauthorized',
  403: 'model_unauthorized',
  429: 'model_rate_limited',
  502: 'model_unreachable',
  503: 'model_overloaded',
  504: 'model_unreachable',
  529: 'model_overloaded',
}

function requestCode(
  error: string | undefined,
  status: number | null | undefined,
  message: string,
): ErrorCode {
  // This comes first: a proxy that refuses the connection answers 403, like a model provider that refuses the key.
  if (UNREACHABLE.test(message)) return 'model_unreachable'
  return BY_ERROR[error ?? ''] ?? BY_STATUS[status ?? 0] ?? 'model_error'
}
