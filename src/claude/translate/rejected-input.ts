import type { ResultMessage } from './messages.ts'

/** The facts of a failed request, from the last synthetic `assistant` message. */
export interface ApiError {
  error: string
  status: number | null
  /** Claude Code's own kind of the failure. Only some failures have one. */
  kind?: string
  message: string
}

/** Reasons for the end of a turn (2.1.332): a picture, a document or the whole input was refused. */
const REASONS = new Set(['image_error', 'prompt_too_long'])
const KINDS = /^(?:media_removed|pdf_|image_|tool_history_mismatch|prompt_too_long)/
/**
 * The API's own words when it refuses the content and not the form of the request (measured with 2.1.329 and 2.1.332).
 */
const WORDS =
  /\bmessages(?:\.\d+)?(?:\.content)?[.:]|content filtering policy|prompt is too long|exceed context limit|could not process (?:image|document|pdf)|\bPDF\b|image (?:exceeds|was too large|dimensions)|download the file|request too large|orphaned tool_result|`?tool_(?:use|result)`? (?:ids?|blocks?)\b/i

/**
 * Whether the API, or the model itself, refused the input. It would refuse the same input in every later request,
 * because Claude Code keeps the input in its session.
 */
export function isRejectedInput(result: ResultMessage, apiError: ApiError | undefined): boolean {
  if (result.stop_reason === 'refusal') return true
  const status = result.api_error_status ?? apiError?.status
  if (status !== 400 && status !== 413) return false
  if (apiError !== undefined && !['invalid_request', 'unknown'].includes(apiError.error)) return false
  if (REASONS.has(result.terminal_reason ?? '') || KINDS.test(apiError?.kind ?? '')) return true
  return WORDS.test(result.result ?? apiError?.message ?? '')
}

export function rejected(words: string): string {
  return `The model refused what it was given: ${words} The conversation is taken back to before it: send something else.`
}
