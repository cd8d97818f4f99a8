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
  /** What began the turn when no prompt of ours did: `task-notification` and the like. */
  origin?: string
  /** The ids of the user messages that the turn has answered, as they were sent. */
  messageIds?: string[]
}

/** How Claude Code ended the run: all of a `RunEnd` but the waiting for a person, which is not Claude Code's to say. */
export type ClaudeEnd = Exclude<RunEnd, { outcome: 'interrupt' }> & { facts: TurnFacts }

export function toApiError(message: AssistantMessage, text: string): ApiError {
  const { error = 'unknown', api_error_status: status = null, api_error: kind } = message
  return { error, status, message: text, ...(kind === undefined ? {} : { kind }) }
}

/** The limit that ended the turn, when one did. */
export function limitOf(result: ResultMessage): 'turns' | 'cost' | undefined {
  if (result.subtype === 'error_max_turns') return 'turns'
  return result.subtype === 'error_max_budget_usd' ? 'cost' : undefined
}

type Ending =
  | { outcome: 'success'; result?: unknown }
  | { outcome: 'cancelled' }
  | { outcome: 'error'; code: ErrorCode; message: string }

/** What is known of a turn beside its `result`. */
export interface TurnSigns {
  apiError: ApiError | undefined
  /** Why the prompt was not taken in. */
  refusal: string | undefined
  isToldToGoOn: boolean
  /** A result of a given shape was asked for. */
  expectsOutput: boolean
}

/** The model has ended its turn. With a reason that is not here nobody can say that it has finished. */
const FINISHED = ['end_turn', 'stop_sequence']
/** Hooks of the deployer that end a turn, as `terminal_reason`; the first three where the model had more to do. */
const HOOK_STOPS = ['hook_stopped', 'tool_deferred', 'stop_hook_blocked', 'stop_hook_prevented']

/** Why a hook has ended the turn, when one did. */
export function hookStopOf(result: ResultMessage, { isToldToGoOn }: TurnSigns): string | undefined {
  const { terminal_reason: reason } = result
  // A Stop hook that never lets the model go is overridden after some rounds: its last words stay unanswered.
  if (reason === 'completed' && isToldToGoOn) return 'stop_hook_blocked'
  return HOOK_STOPS.find((stop) => stop === reason)
}

/**
 * A `result` message as the end of a run. `subtype: success` says only that Claude Code has not failed: the run is a
 * success when the model has ended its turn and what was asked for is there (docs/events.md, "How a run ends").
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
  // Without a terminal reason the model was not asked: a command of Claude Code's own, or a refused prompt.
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

/** No answer came from a model at all: the way to it is broken. */
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
  // First, because a proxy that refuses the way answers 403 as a model does that refuses the key.
  if (UNREACHABLE.test(message)) return 'model_unreachable'
  return BY_ERROR[error ?? ''] ?? BY_STATUS[status ?? 0] ?? 'model_error'
}
