import { EventType } from '@ag-ui/core'
import { z } from 'zod'
import type { AguiEvent } from '../agui/event.ts'
import { typesOf } from '../agui/items.ts'
import { ownName, readOwn } from '../agui/own-events.ts'
import type { Batch } from '../storage/batch.ts'
import type { EventLog } from '../storage/event-log.ts'
import { readKept } from '../storage/replay.ts'
import { within } from '../within.ts'

/** A task that the agent started and that runs beside its turn. */
export interface KnownTask {
  taskId: string
  /** `running`, or the way it ended. */
  status: string
  /** Milliseconds since the epoch. */
  startedAt: number
  description?: string
  taskType?: string
  summary?: string
  error?: string
  lastTool?: string
  usage?: Record<string, unknown>
}

/** A thread, and which life of its id: a deleted one may have been created again. */
export interface Life {
  threadId: string
  createdAt: number
}

interface Ledger {
  createdAt: number
  /** The last seq that was read. */
  seq: number
  tasks: Map<string, KnownTask>
  /** The task of each subagent run, by the run's id. */
  subagents: Map<string, string>
  reading: Promise<void>
}

const text = z.string().optional().catch(undefined)
const OwnMetadata = z
  .object({ 'agui-runner': z.object({ taskId: text }) })
  .optional()
  .catch(undefined)

/** States that only mean that the task runs. */
const ALIVE = new Set(['started', 'progress', 'updated', 'running', 'pending'])
/** Upper bound of the remembered tasks of one thread. The oldest are forgotten. */
const TASKS_MAX = 1000
const MARKS = [ownName('task'), ...typesOf('subagent')].map((word) => Buffer.from(`"${word}"`))

/** The tasks of all threads, read from their logs. Each record is read once. */
export class TaskLedger {
  readonly #log: EventLog
  readonly #threads = new Map<string, Ledger>()

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Returns the thread's tasks, oldest first. */
  async tasks(life: Life, signal: AbortSignal): Promise<KnownTask[]> {
    const { threadId } = life
    const head = await this.#log.head(threadId)
    const ledger = this.#ledger(life, head)
    const turn = ledger.reading.then(() => this.#catchUp(threadId, ledger, signal))
    ledger.reading = turn.catch(() => undefined)
    await turn
    return [...ledger.tasks.values()]
  }

  /** Forgets every thread but these. */
  keep(threadIds: ReadonlySet<string>): void {
    for (const threadId of this.#threads.keys()) {
      if (!threadIds.has(threadId)) this.#threads.delete(threadId)
    }
  }

  #ledger({ threadId, createdAt }: Life, head: number): Ledger {
    const known = this.#threads.get(threadId)
    // A larger seq than the head means that a store has lost records.
    if (known?.createdAt === createdAt && known.seq <= head) return known
    const ledger = { createdAt, seq: 0, tasks: new Map(), subagents: new Map(), reading: Promise.resolve() }
    this.#threads.set(threadId, ledger)
    return ledger
  }

  async #catchUp(threadId: string, ledger: Ledger, signal: AbortSignal): Promise<void> {
    const head = await this.#log.head(threadId)
    if (ledger.seq >= head) return
    // One request reads many threads. Each read gets its own signal, so that listeners do not pile up on the request's.
    await within({ signal }, async (own) => {
      const kept = readKept(this.#log, threadId, { after: ledger.seq, head, signal: own })
      for await (const batches of kept) {
        for (const batch of batches) {
          takeBatch(ledger, batch)
          ledger.seq = batch.last
        }
      }
    })
  }
}

function takeBatch(ledger: Ledger, batch: Batch): void {
  // Most batches hold only deltas and need not be parsed.
  if (!MARKS.some((mark) => batch.sse.includes(mark))) return
  for (const { event, at } of batch.records()) takeEvent(ledger, event, at)
}

function takeEvent(ledger: Ledger, event: AguiEvent, at: number): void {
  switch (event.type) {
    case EventType.CUSTOM: {
      const task = readOwn('task', event)
      if (task === undefined) return
      const { taskId, state, ...facts } = task
      update(ledger, taskId, { at, ...(ALIVE.has(state) ? {} : { status: state }), facts })
      return
    }
    case EventType.SUBAGENT_STARTED: {
      const own = OwnMetadata.parse(event.metadata)?.['agui-runner'].taskId
      const taskId = own ?? ledger.subagents.get(event.subagentRunId) ?? event.subagentRunId
      ledger.subagents.set(event.subagentRunId, taskId)
      const description = event.description ?? event.name
      update(ledger, taskId, { at, status: 'running', facts: { taskType: 'local_agent', description } })
      return
    }
    case EventType.SUBAGENT_FINISHED: {
      // A suspended task outlives its run and continues.
      if (event.outcome?.type === 'suspended') return
      const taskId = ledger.subagents.get(event.subagentRunId)
      const summary = typeof event.result === 'string' ? event.result : undefined
      if (taskId !== undefined) update(ledger, taskId, { at, status: 'completed', facts: { summary } })
      return
    }
    case EventType.SUBAGENT_ERROR: {
      const taskId = ledger.subagents.get(event.subagentRunId)
      const status = event.code ?? 'failed'
      if (taskId !== undefined) update(ledger, taskId, { at, status, facts: { error: event.message } })
      return
    }
    default:
  }
}

function update(
  { tasks }: Ledger,
  taskId: string,
  { at, status, facts }: { at: number; status?: string; facts: Record<string, unknown> },
): void {
  const before = tasks.get(taskId) ?? { taskId, status: 'running', startedAt: at }
  const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
  tasks.set(taskId, { ...before, ...known, ...(status === undefined ? {} : { status }) })
  if (tasks.size <= TASKS_MAX) return
  const [oldest] = tasks.keys()
  if (oldest !== undefined) tasks.delete(oldest)
}
