import type { TaskOutput } from '../../agent/agent.ts'

export interface McpServerStatus {
  name: string
  status: string
  [detail: string]: unknown
}

/** A command or a subagent that the agent started and that runs beside its turn. */
export interface Task {
  task_id: string
  thread_id: string
  /** `running`, or how the task ended. */
  status: string
  description?: string
  task_type?: string
  summary?: string
  error?: string
  last_tool?: string
  started_at?: string
  usage?: Record<string, unknown>
}

/** What the platform asks of the agent beside its events. Without a `threadId`, every thread counts. */
export interface AgentFacts {
  /**
   * Returns the MCP servers of one running process, and starts none. Without a thread, the sandbox's own thread counts,
   * else the first with a process.
   */
  mcpStatus(threadId: string | undefined, signal: AbortSignal): Promise<McpServerStatus[]>
  tasks(threadId: string | undefined, signal: AbortSignal): Promise<Task[]>
  /**
   * Asks the agent to stop a running task, and then returns undefined. Returns the status of a task that had ended.
   *
   * @throws {RunnerError} `not_found` when no such task is known, or when no process is left that could stop it.
   */
  stopTask(taskId: string, threadId: string | undefined, signal: AbortSignal): Promise<string | undefined>
  /** Returns what the task has written so far. @throws {RunnerError} `not_found`, `output_not_allowed`. */
  taskOutput(taskId: string, threadId: string | undefined, signal: AbortSignal): Promise<TaskOutput>
}
