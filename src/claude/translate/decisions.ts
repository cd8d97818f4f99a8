/**
 * The decision for one kind of Claude Code's messages: `translate` by code of its own, `custom` into one
 * `CUSTOM agui-runner.*` event, or `drop`. A test walks the SDK's types and fails when a kind has no decision here.
 * docs/events.md explains the shapes. Kinds of a newer Claude Code pass as `CUSTOM agui-runner.unknown`.
 */
export interface Treatment {
  action: 'translate' | 'custom' | 'drop'
  why: string
}

const translate = (why: string): Treatment => ({ action: 'translate', why })
const custom = (why: string): Treatment => ({ action: 'custom', why })
const drop = (why: string): Treatment => ({ action: 'drop', why })

export const DECISIONS: Readonly<Record<string, Treatment>> = {
  stream_event: translate('text, reasoning and tool calls as they come'),
  assistant: translate('confirms what was streamed, tells what was not'),
  user: translate('tool results; words put in by the harness'),
  'result/success': translate('the end of the run, also of one that failed, was refused or is unfinished'),
  'result/error_during_execution': translate('the end: cancelled when it was interrupted, else failed'),
  'result/error_max_turns': translate('the end: a limit, so cancelled'),
  'result/error_max_budget_usd': translate('the end: a limit, so cancelled'),
  'result/error_max_structured_output_retries': translate('the end: failed'),
  'system/init': translate('session facts; MCP servers that are not connected'),
  'system/task_started': translate('a subagent begins; other tasks as agui-runner.task'),
  'system/task_updated': translate('a subagent goes to the background; other tasks as agui-runner.task'),
  'system/task_progress': translate('agui-runner.task, attributed to its subagent'),
  'system/task_notification': translate('a subagent ends; other tasks as agui-runner.task'),
  'system/compact_boundary': translate(
    'agui-runner.compacted; the summary that follows is not the user speaking',
  ),
  'system/model_refusal_fallback': translate('agui-runner.model_fallback and what it retracted'),
  'system/local_command_output': translate('text of a slash command, meant to be read as the answer'),
  'system/thinking_tokens': translate('agui-runner.thinking_tokens, one in many'),
  'system/status': translate('compaction and permission mode; "requesting" says nothing'),
  conversation_reset: translate('agui-runner.conversation_reset; the Claude session id changes'),
  tool_progress: translate('agui-runner.tool_progress, so that a long tool is seen to live'),
  'system/permission_denied': translate('agui-runner.permission_denied, attributed like its call'),
  'system/api_retry': custom('a person sees why nothing moves'),
  'system/model_refusal_no_fallback': custom('why the answer stops; the run ends with an error'),
  'system/hook_started': custom('hooks that the deployer configured'),
  'system/hook_progress': custom('hooks that the deployer configured'),
  'system/hook_response': custom('hooks that the deployer configured'),
  'system/plugin_install': custom('progress before a first answer'),
  'system/background_tasks_changed': custom('the whole set of live background tasks'),
  'system/notification': custom('a line for a person'),
  'system/informational': custom('a line for a person'),
  'system/files_persisted': custom('files of the workspace were stored'),
  'system/memory_recall': custom('which memories were put into the turn'),
  'system/elicitation_complete': custom('an MCP server has its answer'),
  'system/session_writes_lost': custom('the session may not be resumable'),
  'system/mirror_error': custom('another runner may not be able to resume the session'),
  tool_use_summary: custom('a line for a person'),
  rate_limit_event: custom('how much of a subscription is left'),
  prompt_suggestion: custom('a next prompt to offer'),
  active_goal: custom('state of a goal'),
  command_lifecycle: custom('what became of a user message that was put into the turn'),
  'system/control_request_progress': drop('answers a control request of ours, which has its own reply'),
  'system/session_state_changed': drop('the run lifecycle says it'),
  'system/worker_shutting_down': drop('the process end says it'),
  'system/commands_changed': drop('a list for a terminal; slash commands are off by default'),
  auth_status: drop('an interactive login, which a runner has not; may hold a login address'),
  ui_invalidate: drop('a hint to a terminal'),
  keep_alive: drop('liveness of the pipe'),
  control_request: drop('the SDK answers it'),
  control_response: drop('the SDK consumes it'),
  control_cancel_request: drop('the SDK consumes it'),
}
