/**
 * The value of each CUSTOM event `agui-runner.<name>`, as the runner's docs/events.md explains it. The runner's own
 * table has the schemas; a test of it compares the two, type by type.
 */
export interface OwnEvents {
  cancelled: {
    reason: string
  }
  subagent: {
    [member: string]: unknown
    type: string
    subagentRunId: string
  }
  api_retry: {
    attempt: number
    maxRetries?: number | undefined
    delayMs?: number | undefined
    status?: number | undefined
    error?: string | undefined
  }
  api_error: {
    error: string
    status?: number | undefined
    message: string
  }
  turn_stopped: {
    by: 'hook'
    reason: string
    message?: string | undefined
  }
  mcp_waiting: {
    servers: readonly string[]
    waitedMs: number
  }
  elicitation_declined: {
    server: string
    message: string
    mode: 'form' | 'url'
    url?: string | undefined
  }
  retracted: {
    reason: string
    messageIds: readonly string[]
    toolCallIds: readonly string[]
  }
  injected_message: {
    reason: string
    text: string
  }
  message_state: {
    messageId: string
    state: string
  }
  limit_reached: {
    limit: 'turns' | 'cost'
    message?: string | undefined
  }
  model_fallback: {
    from?: string | undefined
    to?: string | undefined
    category?: string | undefined
    explanation?: string | undefined
    text?: string | undefined
  }
  model_refusal: {
    model?: string | undefined
    category?: string | undefined
    explanation?: string | undefined
  }
  compaction: {
    state: string
    error?: string | undefined
  }
  compacted: {
    trigger?: string | undefined
    tokensBefore?: number | undefined
    tokensAfter?: number | undefined
    durationMs?: number | undefined
  }
  conversation_reset: {
    trigger?: string | undefined
  }
  permission_mode: {
    mode: string
  }
  permission_denied: {
    toolCallId: string
    toolName?: string | undefined
    reasonType?: string | undefined
    reason?: string | undefined
    message?: string | undefined
  }
  mcp_servers: {
    servers: {
      name: string
      status: string
    }[]
  }
  thinking_tokens: {
    estimatedTokens: number
  }
  tool_progress: {
    toolCallId: string
    toolName?: string | undefined
    elapsedSeconds?: number | undefined
  }
  tool_summary: {
    summary: string
    toolCallIds?: readonly string[] | undefined
  }
  task: {
    taskId: string
    state: string
    toolCallId?: string | undefined
    taskType?: string | undefined
    description?: string | undefined
    background?: boolean | undefined
    summary?: string | undefined
    error?: string | undefined
    lastTool?: string | undefined
    usage?:
      | {
          totalTokens?: number | undefined
          toolUses?: number | undefined
          durationMs?: number | undefined
        }
      | undefined
  }
  background_tasks: {
    tasks: {
      taskId: string
      taskType?: string | undefined
      subagentType?: string | undefined
      description?: string | undefined
      ambient?: boolean | undefined
    }[]
  }
  hook: {
    state: 'started' | 'progress' | 'finished'
    hookId?: string | undefined
    name?: string | undefined
    event?: string | undefined
    outcome?: string | undefined
    exitCode?: number | undefined
    output?: string | undefined
  }
  notice: {
    text: string
    level?: string | undefined
    key?: string | undefined
    toolCallId?: string | undefined
    stopsTurn?: boolean | undefined
  }
  rate_limit: {
    status?: string | undefined
    limit?: string | undefined
    utilization?: number | undefined
    resetsAt?: number | undefined
  }
  memory_recall: {
    mode?: string | undefined
    memories: {
      path: string
      scope?: string | undefined
    }[]
  }
  files_persisted: {
    files?: unknown
    failed?: unknown
  }
  plugin_install: {
    status?: string | undefined
    name?: string | undefined
    error?: string | undefined
  }
  elicitation_complete: {
    server?: string | undefined
    elicitationId?: string | undefined
  }
  session_writes_lost: {
    error?: string | undefined
    lost?: readonly string[] | undefined
  }
  prompt_suggestion: {
    suggestion: string
  }
  active_goal: {
    goal?: unknown
  }
  unknown: {
    kind: string
    message?: unknown
    chars?: number | undefined
  }
  taken_back: {
    afterSeq: number
  }
  session_reset: {
    claudeSessionId: string
    reason: string
  }
  content_skipped: {
    parts: readonly string[]
  }
  message_pending: {
    messageId: string
    name?: string | undefined
    content: string
    parts?: readonly { [member: string]: unknown; type: string }[] | undefined
  }
  message_queued: {
    messageId: string
    runId: string
  }
  withdrawn: {
    messageIds: readonly string[]
    words: string
  }
  answered: {
    interruptId: string
    toolCallId?: string | undefined
    decision: 'approved' | 'refused' | 'answered' | 'dismissed'
    scope?: 'session' | undefined
    message?: string | undefined
    at: number
    restarted?: true | undefined
  }
  tool_call_edited: {
    toolCallId: string
    args: Record<string, unknown>
  }
  policy_denied: {
    host: string
    port: number
    method?: string | undefined
    rule?: string | undefined
    reason: string
  }
  gap: {
    firstSeq: number
    lastSeq: number
  }
  workspace_problems: {
    problems: readonly string[]
  }
  steered: {
    intoRunId: string
  }
}
