import type { AgentMemory, AgentView } from '../agent/agent.ts'
import type { Storage } from '../storage/storage.ts'
import { isEntry, parseHead } from './queue-entry.ts'
import { areFacts, type ThreadFacts, ThreadTable } from './thread-table.ts'
import { describeThread, type ThreadDescription } from './told.ts'

export interface ThreadView extends ThreadDescription {
  /** The last seq before the run that is under way, if one is. */
  runningAfter?: number
}

/** Whether a stored value is one that threads can be brought back from; asked before the store is opened. */
export function isReadable(table: string, value: Buffer): boolean {
  if (table === 'threads') return areFacts(value)
  return table !== 'queue' || isEntry(value)
}

/** Threads as the store has them, whoever writes them. */
export class StoredThreads {
  readonly #storage: Storage
  readonly #table: ThreadTable
  readonly #look: (memory: AgentMemory) => AgentView

  constructor(storage: Storage, look: (memory: AgentMemory) => AgentView) {
    this.#storage = storage
    this.#table = new ThreadTable(storage)
    this.#look = look
  }

  async has(threadId: string): Promise<boolean> {
    return (await this.#table.get(threadId)) !== undefined
  }

  async view(threadId: string): Promise<ThreadView | undefined> {
    const facts = await this.#table.get(threadId)
    return facts === undefined ? undefined : await this.#viewOf(threadId, facts)
  }

  async all(isLeftOut: (threadId: string) => boolean): Promise<ThreadView[]> {
    const stored = await this.#table.all()
    const wanted = stored.flatMap(([threadId, facts]) =>
      facts === undefined || isLeftOut(threadId) ? [] : [this.#viewOf(threadId, facts)],
    )
    return await Promise.all(wanted)
  }

  async #viewOf(threadId: string, facts: ThreadFacts): Promise<ThreadView> {
    const [lastSeq, queued] = await Promise.all([
      this.#storage.log.head(threadId),
      this.#storage.tables.queue.entries(threadId),
    ])
    const { openRun, memory } = facts
    const waiting = queued.map(parseHead)
    const now = { agent: this.#look(memory), lastSeq, runId: openRun?.runId, waiting }
    const described = describeThread(threadId, facts, now)
    return openRun === undefined ? described : { ...described, runningAfter: openRun.after }
  }
}
