// One example of every event that a stream may contain, for the OpenAPI document. Tests check each against its schema.
import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import type { OwnEventName, OwnEventValue } from '../../agui/own-events.ts'

const run = { threadId: 'first', runId: 'run-1' }
const answer = { messageId: 'msg_1' }
const thought = { messageId: 'msg_1:reasoning' }
const call = { toolCallId: 'toolu_1' }
const subagent = { subagentRunId: 'toolu_2' }

/** The AG-UI events that the runner sends, in an order that a run may have. */
export const AGUI_EXAMPLES: readonly AguiEvent[] = [
  {
    type: EventType.RUN_STARTED,
    ...run,
    protocolVersion: '1.0',
    input: {
      ...run,
      messages: [{ id: 'm1', role: 'user', content: 'Run the tests.' }],
      tools: [],
      context: [],
    },
    timestamp: 1_795_000_000_000,
  },
  { type: EventType.MESSAGES_SNAPSHOT, messages: [{ id: 'm1', role: 'user', content: 'Run the tests.' }] },
  {
    type: EventType.STATE_SNAPSHOT,
    snapshot: { todos: [{ content: 'Run the tests', status: 'in_progress' }] },
  },
  { type: EventType.REASONING_START, ...thought },
  { type: EventType.REASONING_MESSAGE_START, ...thought, role: 'reasoning' },
  { type: EventType.REASONING_MESSAGE_CONTENT, ...thought, delta: 'The tests first.' },
  { type: EventType.REASONING_MESSAGE_END, ...thought },
  {
    type: EventType.REASONING_ENCRYPTED_VALUE,
    subtype: 'message',
    entityId: thought.messageId,
    encryptedValue: 'opaque',
  },
  { type: EventType.REASONING_END, ...thought },
  { type: EventType.TOOL_CALL_START, ...call, toolCallName: 'Bash', parentMessageId: answer.messageId },
  { type: EventType.TOOL_CALL_ARGS, ...call, delta: '{"command":"npm test"}' },
  { type: EventType.TOOL_CALL_END, ...call },
  {
    type: EventType.TOOL_CALL_RESULT,
    ...call,
    messageId: 'toolu_1:result',
    content: 'Exit code 1\n1 failed',
    role: 'tool',
    metadata: { 'agui-runner': { isError: true } },
  },
  {
    type: EventType.SUBAGENT_STARTED,
    ...subagent,
    parentToolCallId: 'toolu_2',
    name: 'general-purpose',
    description: 'Look into the failure',
  },
  { type: EventType.SUBAGENT_FINISHED, ...subagent, outcome: { type: 'success' } },
  { type: EventType.SUBAGENT_ERROR, ...subagent, code: 'model_error', message: 'The request failed.' },
  { type: EventType.TEXT_MESSAGE_START, ...answer, role: 'assistant' },
  { type: EventType.TEXT_MESSAGE_CONTENT, ...answer, delta: 'One test fails.' },
  { type: EventType.TEXT_MESSAGE_END, ...answer },
  {
    type: EventType.RUN_FINISHED,
    ...run,
    outcome: { type: 'success' },
    usage: [{ provider: 'anthropic', model: 'opus-5-5', inputTokens: 18_200, outputTokens: 420 }],
    metadata: { 'agui-runner': { costUsd: 0.12, context: { tokens: 18_620, window: 200_000 } } },
    timestamp: 1_795_000_004_200,
  },
  {
    type: EventType.RUN_ERROR,
    code: 'model_overloaded',
    message: 'The model is overloaded; try again.',
    timestamp: 1_795_000_004_200,
  },
]

/** One value for each of the runner's own events. */
export const OWN_EXAMPLES: { readonly [N in OwnEventName]: OwnEventValue<N> } = {
  api_retry: { attempt: 1, maxRetries: 10, delayMs: 500, status: 529, error: 'overloaded' },
  api_error: { error: 'overloaded', status: 529, message: 'The request failed and the run goes on.' },
  retracted: { reason: 'superseded', messageIds: ['msg_1'], toolCallIds: [] },
  injected_message: { reason: 'task-notification', text: 'The task has finished.' },
  message_state: { messageId: 'm1', state: 'started' },
  limit_reached: { limit: 'turns', message: 'Reached maximum number of turns (3)' },
  turn_stopped: { by: 'hook', reason: 'hook_stopped', message: 'Not on Fridays.' },
  model_fallback: { from: 'opus-5-5', to: 'sonnet-5', category: 'refusal' },
  model_refusal: { model: 'opus-5-5', explanation: 'The request was declined.' },
  compaction: { state: 'started' },
  compacted: { trigger: 'auto', tokensBefore: 180_000, tokensAfter: 12_000, durationMs: 9000 },
  conversation_reset: { trigger: 'clear' },
  permission_mode: { mode: 'plan' },
  permission_denied: {
    toolCallId: 'toolu_1',
    toolName: 'Bash',
    reasonType: 'rule',
    message: 'A rule denies it.',
  },
  mcp_servers: { servers: [{ name: 'issues', status: 'failed' }] },
  mcp_waiting: { servers: ['issues'], waitedMs: 5000 },
  thinking_tokens: { estimatedTokens: 400 },
  tool_progress: { toolCallId: 'toolu_1', toolName: 'Bash', elapsedSeconds: 30 },
  tool_summary: { summary: 'Ran the tests', toolCallIds: ['toolu_1'] },
  task: {
    taskId: 'b1',
    state: 'progress',
    taskType: 'local_bash',
    description: 'npm run dev',
    background: true,
  },
  background_tasks: { tasks: [{ taskId: 'b1', taskType: 'local_bash', description: 'npm run dev' }] },
  hook: { state: 'finished', name: 'format', event: 'PostToolUse', outcome: 'success', exitCode: 0 },
  notice: { text: 'The model is at its limit for today.', level: 'warning' },
  rate_limit: { status: 'allowed_warning', limit: 'five_hour', utilization: 0.92, resetsAt: 1_795_003_600 },
  memory_recall: { memories: [{ path: 'AGENTS.md', scope: 'project' }] },
  files_persisted: { files: [{ filename: 'report.pdf' }], failed: [] },
  plugin_install: { status: 'installed', name: 'formatter' },
  elicitation_declined: { server: 'issues', message: 'Which project?', mode: 'form' },
  elicitation_complete: { server: 'issues', elicitationId: 'e1' },
  session_writes_lost: { error: 'ENOSPC', lost: ['transcript'] },
  prompt_suggestion: { suggestion: 'Now fix the failing test.' },
  active_goal: { goal: 'All tests pass' },
  unknown: { kind: 'system/new_kind', message: { type: 'system', subtype: 'new_kind' } },
  taken_back: { afterSeq: 41 },
  session_reset: { claudeSessionId: '5f0c', reason: 'its file is gone' },
  content_skipped: { parts: ['a video (video/mp4)'] },
  message_pending: {
    messageId: 'm2',
    content: 'And then lint.',
    parts: [{ type: 'image', source: { type: 'url', value: 'https://example.com/a.png' } }],
  },
  message_queued: { messageId: 'm2', runId: 'run-2' },
  withdrawn: { messageIds: ['m3'], words: 'Deploy it' },
  answered: { interruptId: 'i1', toolCallId: 'toolu_1', decision: 'approved', at: 1_795_000_002_000 },
  tool_call_edited: { toolCallId: 'toolu_1', args: { command: 'npm test -- --run' } },
  policy_denied: { host: 'evil.example', port: 443, method: 'CONNECT', reason: 'no rule allows it' },
  gap: { firstSeq: 12, lastSeq: 14 },
  workspace_problems: { problems: ['"repos/app" could not be cloned: git clone failed'] },
  steered: { intoRunId: 'run-1' },
  cancelled: { reason: 'interrupted' },
  subagent: { type: 'started', subagentRunId: 'toolu_2', name: 'general-purpose' },
}
