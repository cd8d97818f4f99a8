import type { TaskOutput } from '../../agent/agent.ts'
import { RunnerError } from '../../errors.ts'
import type { KnownTask, TaskLedger } from '../../thread/task-ledger.ts'
import type { ThreadDescription } from '../../thread/thread-description.ts'
import type { AgentFacts, McpServerStatus, Task } from './agent-facts.ts'

/** The operations that need the agent of a thread. */
export interface LivingAgent {
  /** Returns undefined while no process of the thread is warm. */
  mcpServers?(threadId: string, signal: AbortSignal): Promise<McpServerStatus[] | undefined>
  /** Returns `false` when the thread has no running process with this task. */
  stopTask?(threadId: string, taskId: string, signal: AbortSignal): Promise<boolean>
  /** Returns undefined when the thread does not exist. @throws {RunnerError} `not_found`, `output_not_allowed`. */
  taskOutput?(threadId: string, taskId: string): Promise<TaskOutput | undefined>
}

export interface LivingThreadsOptions {
  threads: { list(): Pick<ThreadDescription, 'threadId' | 'createdAt' | 'state' | 'warm'>[] }
  ledger: TaskLedger
  living: LivingAgent
  /** The thread that belongs to this sandbox. */
  sessionId: string | undefined
}

interface FoundTask {
  threadId: string
  task: KnownTask
}

/** The facts of the agent, from the log and from its running processes. */
export class LivingThreads implements AgentFacts {
  readonly #options: LivingThreadsOptions

  constructor(options: LivingThreadsOptions) {
    this.#options = options
  }

  async mcpStatus(threadId: string | undefined, signal: AbortSignal): Promise<McpServerStatus[]> {
    const { living, threads, sessionId } = this.#options
    // Without a thread id, the sandbox's own thread counts, else the first thread that has a running process.
    const named = threadId ?? sessionId
    const asked = named === undefined ? threads.list().map((thread) => thread.threadId) : [named]
    for (const id of asked) {
      const servers = await living.mcpServers?.(id, signal)
      if (servers !== undefined) return servers
    }
    return []
  }

  async tasks(threadId: string | undefined, signal: AbortSignal): Promise<Task[]> {
    const found = await this.#all(threadId, signal)
    return found.map(({ threadId: thread_id, task }) => ({
      task_id: task.taskId,
      thread_id,
      status: this.#statusOf(thread_id, task),
      started_at: new Date(task.startedAt).toISOString(),
      ...(task.description === undefined ? {} : { description: task.description }),
      ...(task.taskType === undefined ? {} : { task_type: task.taskType }),
      ...(task.summary === undefined ? {} : { summary: task.summary }),
      ...(task.error === undefined ? {} : { error: task.error }),
      ...(task.lastTool === undefined ? {} : { last_tool: task.lastTool }),
      ...(task.usage === undefined ? {} : { usage: task.usage }),
    }))
  }

  async stopTask(
    taskId: string,
    threadId: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const found = await this.#find(taskId, threadId, signal)
    const status = this.#statusOf(found.threadId, found.task)
    if (status !== 'running') return status
    const isAsked = await this.#options.living.stopTask?.(found.threadId, taskId, signal)
    if (isAsked === true) return undefined
    throw new RunnerError('not_found', `No process of the agent is there that could stop task "${taskId}".`)
  }

  async taskOutput(taskId: string, threadId: string | undefined, signal: AbortSignal): Promise<TaskOutput> {
    const found = await this.#find(taskId, threadId, signal)
    const output = await this.#options.living.taskOutput?.(found.threadId, taskId)
    if (output !== undefined) return output
    throw new RunnerError('not_found', `No output of task "${taskId}" is there.`)
  }

  /** Returns `stopped` for a running task whose process has ended, because nothing reports the end of such a task. */
  #statusOf(threadId: string, { status }: KnownTask): string {
    if (status !== 'running') return status
    const thread = this.#describe(threadId)
    return thread?.warm === true || thread?.state === 'running' ? status : 'stopped'
  }

  #describe(threadId: string) {
    return this.#options.threads.list().find((thread) => thread.threadId === threadId)
  }

  async #find(taskId: string, threadId: string | undefined, signal: AbortSignal): Promise<FoundTask> {
    const found = (await this.#all(threadId, signal)).find(({ task }) => task.taskId === taskId)
    if (found === undefined) throw new RunnerError('not_found', `No task "${taskId}" is known here.`)
    return found
  }

  async #all(threadId: string | undefined, signal: AbortSignal): Promise<FoundTask[]> {
    const { threads, ledger } = this.#options
    const here = threads.list()
    ledger.keep(new Set(here.map((thread) => thread.threadId)))
    const all: FoundTask[] = []
    for (const thread of here) {
      if (threadId !== undefined && threadId !== thread.threadId) continue
      const tasks = await ledger.tasks(thread, signal)
      all.push(...tasks.map((task) => ({ threadId: thread.threadId, task })))
    }
    return all
  }
}
