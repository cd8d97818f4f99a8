import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { isObject } from '../../json.ts'
import type { Calls } from './calls.ts'
import type { UsedIds } from './ids.ts'
import type { Lane } from './lane.ts'
import type { TaskMessage, UserMessage } from './messages.ts'
import { toTaskUsage } from './tasks.ts'
import { type ToolResult, textOf } from './tool-result.ts'

/** A background subagent that outlives its run. It continues under the same id in a later run. */
export interface SuspendedSubagent {
  subagentRunId: string
  name: string
  description?: string | undefined
  toolUseId?: string | undefined
  taskId?: string | undefined
}

/** State of a subagent. `suspended`: ended in the stream but alive; its next message announces it again. */
type State = 'open' | 'suspended' | 'closed'

interface Subagent {
  readonly id: string
  readonly name: string
  readonly description: string | undefined
  readonly lane: Lane
  readonly toolUseId: string | undefined
  taskId: string | undefined
  background: boolean
  state: State
  /** The task notification, kept until the tool result closes the subagent. */
  notice: TaskMessage | undefined
}

interface Announcement {
  name?: string | undefined
  description?: string | undefined
  prompt?: string | undefined
  taskId?: string | undefined
  parentTaskId?: string | undefined
  background?: boolean | undefined
}

/** The subagents of a thread. Each is known by the tool call that started it, or by its task. */
export class Subagents {
  readonly #byToolUse = new Map<string, Subagent>()
  readonly #byTask = new Map<string, Subagent>()
  readonly #all: Subagent[] = []
  readonly #calls: Calls
  readonly #ids: UsedIds
  readonly #createLane: (subagentRunId: string) => Lane

  constructor(options: {
    calls: Calls
    ids: UsedIds
    suspended: readonly SuspendedSubagent[]
    createLane: (subagentRunId: string) => Lane
  }) {
    this.#calls = options.calls
    this.#ids = options.ids
    this.#createLane = options.createLane
    for (const { subagentRunId: id, name, description, toolUseId, taskId } of options.suspended) {
      this.#add({ id, name, description, toolUseId, taskId, background: true, state: 'suspended' })
    }
  }

  /**
   * Returns the lane of the subagent that a tool call started. Announces the subagent if it is new. The task id comes
   * first: a subagent that a message resumed still sends under the call that started it (2.1.329).
   */
  lane(toolUseId: string, announcement: Announcement, out: AguiEvent[]): Lane {
    const known = this.#byTask.get(announcement.taskId ?? '') ?? this.#byToolUse.get(toolUseId)
    if (known === undefined) return this.#announce(toolUseId, announcement, out).lane
    this.#wake(known, out)
    return known.lane
  }

  laneOf(task: TaskMessage): Lane | undefined {
    return this.#find(task)?.lane
  }

  /** Takes a message about a task. @returns whether the task is a subagent's and the message is fully translated. */
  take(kind: string, task: TaskMessage, out: AguiEvent[]): boolean {
    if (kind === 'system/task_started') return this.#started(task, out)
    const subagent = this.#find(task)
    if (subagent === undefined) return false
    this.#wake(subagent, out)
    if (kind === 'system/task_progress') return false
    if (kind === 'system/task_updated') subagent.background ||= task.patch?.is_backgrounded === true
    else this.#notified(subagent, task, out)
    return true
  }

  /** Ends a subagent in the foreground when the tool call that started it was answered. */
  answered(
    toolUseId: string,
    result: ToolResult,
    structured: UserMessage['tool_use_result'],
    out: AguiEvent[],
  ): void {
    const subagent = this.#byToolUse.get(toolUseId)
    if (subagent === undefined) return
    if (isObject(structured) && structured['status'] === 'async_launched') subagent.background = true
    if (subagent.background) return
    this.#wake(subagent, out)
    const report = reportOf(structured) ?? subagent.lane.lastText ?? textOf(result)
    // The notice of a stopped subagent repeats its description, and its result is the vendor's text about the stop.
    if (subagent.notice?.status === 'stopped') {
      this.#fail(subagent, 'The subagent was stopped.', 'stopped', out)
    } else if (result.isError) this.#fail(subagent, textOf(result), 'failed', out)
    else this.#finish(subagent, report, out)
  }

  /** Ends the open subagents, innermost first. Suspends those in the background, which live on. */
  close(out: AguiEvent[]): void {
    for (const subagent of this.#open()) {
      if (subagent.notice !== undefined) this.#finish(subagent, subagent.notice.summary, out)
      else if (subagent.background) this.#suspend(subagent, out)
      else this.#fail(subagent, 'The run ended before the subagent did.', 'cancelled', out)
    }
  }

  /** Suspends all open subagents at the end of a run whose turn waits. All of them live on. */
  suspend(out: AguiEvent[]): void {
    for (const subagent of this.#open()) this.#suspend(subagent, out)
  }

  suspended(): SuspendedSubagent[] {
    return this.#all
      .filter((subagent) => subagent.state === 'suspended')
      .map(({ id: subagentRunId, name, description, toolUseId, taskId }) => {
        return { subagentRunId, name, description, toolUseId, taskId }
      })
  }

  #open(): Subagent[] {
    return this.#all.filter((subagent) => subagent.state === 'open').reverse()
  }

  #find(task: TaskMessage): Subagent | undefined {
    return this.#byTask.get(task.task_id) ?? this.#byToolUse.get(task.tool_use_id ?? '')
  }

  #started(task: TaskMessage, out: AguiEvent[]): boolean {
    const known = this.#find(task)
    if (known !== undefined && known.state !== 'closed') {
      known.taskId = task.task_id
      known.background ||= task.is_backgrounded === true
      this.#byTask.set(task.task_id, known)
      this.#wake(known, out)
      return true
    }
    const isAgent =
      task.task_type === undefined ? task.subagent_type !== undefined : task.task_type === 'local_agent'
    if (isAgent) this.#announce(task.tool_use_id, toAnnouncement(task), out)
    return isAgent
  }

  /** Notes that a task ended. In the foreground the tool result says more and follows at once. */
  #notified(subagent: Subagent, task: TaskMessage, out: AguiEvent[]): void {
    subagent.notice = task
    if (subagent.background) this.#finish(subagent, task.summary, out)
  }

  #announce(toolUseId: string | undefined, announcement: Announcement, out: AguiEvent[]): Subagent {
    const { taskId, description, background = false, name = 'agent' } = announcement
    const id = this.#ids.claim(`agent:${toolUseId ?? taskId ?? 'unknown'}`)
    const subagent = this.#add({ id, name, description, toolUseId, taskId, background, state: 'open' })
    out.push(this.#startedEvent(subagent, announcement))
    return subagent
  }

  #add(facts: Omit<Subagent, 'lane' | 'notice'>): Subagent {
    const subagent: Subagent = { ...facts, lane: this.#createLane(facts.id), notice: undefined }
    this.#all.push(subagent)
    if (facts.toolUseId !== undefined) this.#byToolUse.set(facts.toolUseId, subagent)
    if (facts.taskId !== undefined) this.#byTask.set(facts.taskId, subagent)
    return subagent
  }

  #wake(subagent: Subagent, out: AguiEvent[]): void {
    if (subagent.state !== 'suspended') return
    subagent.state = 'open'
    out.push(this.#startedEvent(subagent, {}))
  }

  #startedEvent(subagent: Subagent, announcement: Announcement): AguiEvent {
    const { prompt, parentTaskId } = announcement
    const { description } = subagent
    const call = subagent.toolUseId === undefined ? undefined : this.#calls.get(subagent.toolUseId)
    const parent = call?.owner.subagentRunId ?? this.#byTask.get(parentTaskId ?? '')?.id
    const metadata = {
      ...(subagent.taskId === undefined ? {} : { taskId: subagent.taskId }),
      ...(prompt === undefined ? {} : { prompt }),
      ...(subagent.background ? { background: true } : {}),
    }
    return {
      type: EventType.SUBAGENT_STARTED,
      subagentRunId: subagent.id,
      name: subagent.name,
      ...(description === undefined ? {} : { description }),
      ...(parent === undefined ? {} : { parentSubagentRunId: parent }),
      ...(call === undefined ? {} : { parentToolCallId: call.id }),
      ...(call?.block.carrier === undefined ? {} : { parentMessageId: call.block.carrier }),
      ...(Object.keys(metadata).length === 0 ? {} : { metadata: { 'agui-runner': metadata } }),
    }
  }

  #finish(subagent: Subagent, result: string | undefined, out: AguiEvent[]): void {
    const { notice } = subagent
    if (notice?.status === 'stopped' || notice?.status === 'failed') {
      this.#fail(subagent, notice.summary ?? `The subagent ${notice.status}.`, notice.status, out)
      return
    }
    if (!this.#shut(subagent, out)) return
    const usage = toTaskUsage(notice)
    const metadata = usage === undefined ? {} : { metadata: { 'agui-runner': { usage } } }
    out.push({
      type: EventType.SUBAGENT_FINISHED,
      subagentRunId: subagent.id,
      ...(result === undefined ? {} : { result }),
      ...metadata,
    })
  }

  #fail(subagent: Subagent, message: string, code: string, out: AguiEvent[]): void {
    if (!this.#shut(subagent, out)) return
    out.push({ type: EventType.SUBAGENT_ERROR, subagentRunId: subagent.id, message, code })
  }

  #suspend(subagent: Subagent, out: AguiEvent[]): void {
    subagent.state = 'suspended'
    subagent.lane.suspend(out)
    out.push({
      type: EventType.SUBAGENT_FINISHED,
      subagentRunId: subagent.id,
      outcome: { type: 'suspended' },
    })
  }

  #shut(subagent: Subagent, out: AguiEvent[]): boolean {
    if (subagent.state !== 'open') return false
    subagent.state = 'closed'
    subagent.lane.closeAll(out)
    return true
  }
}

function toAnnouncement(task: TaskMessage): Announcement {
  return {
    name: task.subagent_type,
    description: task.description,
    prompt: task.prompt,
    taskId: task.task_id,
    parentTaskId: task.parent_task_id,
    background: task.is_backgrounded,
  }
}

/** Returns the subagent's own text, without the harness's notes to the model before and after it. */
function reportOf(structured: unknown): string | undefined {
  if (!isObject(structured) || !Array.isArray(structured['content'])) return undefined
  const { harnessNoteCount: notes, harnessTailCount: tail } = structured
  const from = typeof notes === 'number' ? notes : 0
  const to = structured['content'].length - (typeof tail === 'number' ? tail : 0)
  const texts = structured['content']
    .slice(from, to)
    .flatMap((part: unknown) => (isObject(part) && typeof part['text'] === 'string' ? [part['text']] : []))
  return texts.length === 0 ? undefined : texts.join('\n')
}
