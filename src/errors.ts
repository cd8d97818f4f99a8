import { z } from 'zod'

/**
 * Every failure that the runner reports: the contract's section 8. `docs/errors.md` explains each code, and a test
 * compares the two.
 *
 * `status` is the HTTP status of a failure before a stream starts. Later, the same code is sent in `RUN_ERROR.code`.
 */
export const ERRORS = {
  invalid_input: { status: 400 },
  path_outside_workspace: { status: 400 },
  unauthorized: { status: 401 },
  host_not_allowed: { status: 403 },
  origin_not_allowed: { status: 403 },
  output_not_allowed: { status: 403 },
  not_found: { status: 404 },
  not_acceptable: { status: 406 },
  thread_busy: { status: 409 },
  run_exists: { status: 409 },
  history_conflict: { status: 409 },
  elsewhere: { status: 409 },
  interrupt_open: { status: 409 },
  regenerate_unsupported: { status: 409 },
  replay_expired: { status: 410 },
  request_timeout: { status: 408 },
  too_large: { status: 413 },
  url_too_long: { status: 414 },
  unsupported_media_type: { status: 415 },
  headers_too_large: { status: 431 },
  rate_limited: { status: 429 },
  too_many_threads: { status: 429 },
  too_many_subscribers: { status: 429 },
  queue_full: { status: 429 },
  queue_changed: { status: 409 },
  too_many_processes: { status: 503 },
  no_model_route: { status: 503 },
  claude_not_found: { status: 503 },
  claude_start_failed: { status: 503 },
  home_not_writable: { status: 503 },
  git_failed: { status: 502 },
  github_failed: { status: 502 },
  claude_exited: { status: 502 },
  claude_protocol: { status: 502 },
  claude_unresponsive: { status: 504 },
  model_unauthorized: { status: 502 },
  model_rate_limited: { status: 503 },
  model_overloaded: { status: 503 },
  model_unreachable: { status: 502 },
  model_rejected_input: { status: 400 },
  model_error: { status: 502 },
  schema_not_satisfied: { status: 502 },
  prompt_refused: { status: 422 },
  run_timeout: { status: 504 },
  run_idle_timeout: { status: 504 },
  runner_restarted: { status: 503 },
  shutting_down: { status: 503 },
  policy_invalid: { status: 500 },
  policy_not_enforced: { status: 500 },
  storage_full: { status: 507 },
  storage_damaged: { status: 500 },
  storage_unavailable: { status: 503 },
  lease_lost: { status: 503 },
  config_invalid: { status: 500 },
  sandbox_failed: { status: 502 },
  internal: { status: 500 },
} as const satisfies Record<string, { status: number }>

export type ErrorCode = keyof typeof ERRORS

export interface RunnerErrorOptions {
  cause?: unknown
  /** Machine-readable facts for the client. They never contain a secret. */
  details?: unknown
}

/**
 * A failure with a code of ERRORS. `message` says what was wrong, where, and what to do. It may be shown to a client,
 * so it contains no secret.
 */
export class RunnerError extends Error {
  override readonly name = 'RunnerError'
  readonly code: ErrorCode
  readonly details: unknown

  constructor(code: ErrorCode, message: string, options: RunnerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details
  }

  get status(): number {
    return ERRORS[this.code].status
  }
}

export function isCode(error: unknown, ...codes: ErrorCode[]): error is RunnerError {
  return error instanceof RunnerError && codes.includes(error.code)
}

/** Returns the text of anything thrown, for logs and for the `cause` part of a message. One of a shape is one line. */
export function toMessage(error: unknown): string {
  if (error instanceof z.ZodError)
    return error.issues.map(({ path, message }) => [...path.map(String), message].join(': ')).join('; ')
  return error instanceof Error ? error.message : String(error)
}
