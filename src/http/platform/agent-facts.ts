import type { TaskOutput } from '../../agent/agent.ts'

export interface McpServerStatus {
  name: string
  status: string
  [detail: string]: unknown
}

/** One thing that the agent started and that runs beside its turn: a command, a subagent. */
export interface Task {
  task_id: string
  thread_id: string
  /** `running`, or how it ended. */
  status: string
  description?: string
  task_type?: string
  summary?: string
  error?: string
  last_tool?: string
  started_at?: string
  usage?: Record<string, unknown>
}

/** What the platform asks of the agent beside its events. Without a thread: of every thread. */
export interface AgentFacts {
  /** Of the processes that live; none is started for it. */
  mcpStatus(threadId: string | undefined, signal: AbortSignal): Promise<McpServerStatus[]>
  tasks(threadId: string | undefined, signal: AbortSignal): Promise<Task[]>
  /**
   * How the task had ended, if it had.
   *
   * @throws {RunnerError} `not_found` when no such task is known, or its process is gone and it with it.
   */
  stopTask(taskId: string, threadId: string | undefined, signal: AbortSignal): Promise<string | undefined>
  /** @throws {RunnerError} `not_found`, `output_not_allowed`. */
  taskOutput(taskId: string, threadId: string | undefined, signal: AbortSignal): Promise<TaskOutput>
}
