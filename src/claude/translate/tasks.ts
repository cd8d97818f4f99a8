import type { OwnEventValue } from '../../agui/own-events.ts'
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

/** Returns the value of `CUSTOM agui-runner.task`. */
export function toTaskValue(
  task: TaskMessage,
  state: string,
  toolCallId: string | undefined,
): OwnEventValue<'task'> {
  return {
    taskId: task.task_id,
    state: task.status ?? task.patch?.status ?? state,
    toolCallId,
    taskType: task.task_type,
    description: task.description ?? task.patch?.description,
    background: task.is_backgrounded ?? task.patch?.is_backgrounded,
    summary: task.summary,
    error: task.patch?.error,
    lastTool: task.last_tool_name,
    usage: toTaskUsage(task),
  }
}
