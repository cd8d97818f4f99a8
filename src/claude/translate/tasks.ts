import type { TaskMessage } from './messages.ts'

export interface TaskUsage {
  totalTokens?: number
  toolUses?: number
  durationMs?: number
}

export function toTaskUsage(task: TaskMessage | undefined): TaskUsage | undefined {
  const usage = task?.usage
  if (usage === undefined) return undefined
  return {
    ...(usage.total_tokens === undefined ? {} : { totalTokens: usage.total_tokens }),
    ...(usage.tool_uses === undefined ? {} : { toolUses: usage.tool_uses }),
    ...(usage.duration_ms === undefined ? {} : { durationMs: usage.duration_ms }),
  }
}

/** The value of `CUSTOM agui-runner.task`. */
export function toTaskValue(task: TaskMessage, state: string, toolCallId: string | undefined): object {
  const usage = toTaskUsage(task)
  const description = task.description ?? task.patch?.description
  const background = task.is_backgrounded ?? task.patch?.is_backgrounded
  return {
    taskId: task.task_id,
    state: task.status ?? task.patch?.status ?? state,
    ...(toolCallId === undefined ? {} : { toolCallId }),
    ...(task.task_type === undefined ? {} : { taskType: task.task_type }),
    ...(description === undefined ? {} : { description }),
    ...(background === undefined ? {} : { background }),
    ...(task.summary === undefined ? {} : { summary: task.summary }),
    ...(task.patch?.error === undefined ? {} : { error: task.patch.error }),
    ...(task.last_tool_name === undefined ? {} : { lastTool: task.last_tool_name }),
    ...(usage === undefined ? {} : { usage }),
  }
}
