import type { AgentMemory, AgentView } from '../agent/agent.ts'
import { backgroundFailed } from '../channels.ts'
import { isCode } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { Storage } from '../storage/storage.ts'
import { LostRuns } from './lost-runs.ts'
import { isEntry, parseHead } from './queue-entry.ts'
import { describeThread, type ThreadDescription } from './thread-description.ts'
import { areFacts, isSeenMessage, type StoredThread, type ThreadFacts, ThreadTable } from './thread-table.ts'

export interface ThreadView extends ThreadDescription {
  /** The last seq before the run in progress, if there is one. */
  runningAfter?: number
}

/**
 * Whether a thread can be restored from a stored value. This is checked before the store is opened.
 *
 * @param isMemory Whether the agent can continue from a stored memory.
 */
export function isReadable(
  table: string,
  value: Buffer,
  isMemory: (memory: AgentMemory) => boolean = () => true,
): boolean {
  if (table === 'queue') return isEntry(value)
  if (table === 'threads') return areFacts(parseJson(value.toString()), isMemory)
  return table !== 'messages' || isSeenMessage(parseJson(value.toString()))
}

/** The threads in the store, whichever process writes them. */
export class StoredThreads {
  readonly #storage: Storage
  readonly #table: ThreadTable
  readonly #look: (memory: AgentMemory) => AgentView
  readonly #lost: LostRuns
  #isReported = false

  constructor(storage: Storage, look: (memory: AgentMemory) => AgentView) {
    this.#storage = storage
    this.#table = new ThreadTable(storage)
    this.#look = look
    this.#lost = new LostRuns(storage, this.#table)
  }

  async has(threadId: string): Promise<boolean> {
    return (await this.#table.get(threadId)) !== undefined
  }

  /** Resolves with the first record, which shows that the thread exists, or when `signal` is aborted. */
  async arrived(threadId: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of this.#storage.log.read(threadId, 0, signal)) return
    } catch (error) {
      // Retention has removed the first record, so the thread exists.
      if (!isCode(error, 'replay_expired')) throw error
    }
  }

  async view(threadId: string): Promise<ThreadView | undefined> {
    const facts = await this.#table.get(threadId)
    return facts === undefined ? undefined : await this.#viewOf(threadId, facts)
  }

  /**
   * Ends the thread's open run when its runner is gone. A failure is not the reader's: it is reported once, and the next
   * sweep tries again.
   */
  async sweep(threadId: string): Promise<void> {
    try {
      await this.#lost.end(threadId)
    } catch (error) {
      if (this.#isReported || isCode(error, 'storage_unavailable', 'shutting_down')) return
      this.#isReported = true
      backgroundFailed.publish({ name: 'ending a lost run', threadId, error })
    }
  }

  /** Returns the readable threads. An unreadable one is reported by `view` and at the runner's start. */
  async all(isLeftOut: (threadId: string) => boolean): Promise<ThreadView[]> {
    const wanted = (await this.#table.all()).filter(({ threadId }) => !isLeftOut(threadId))
    return (await Promise.all(wanted.map((stored) => this.#listed(stored)))).flat()
  }

  async #listed({ threadId, read }: StoredThread): Promise<ThreadView[]> {
    try {
      const facts = read()
      return facts === undefined ? [] : [await this.#viewOf(threadId, facts)]
    } catch (error) {
      if (isCode(error, 'storage_damaged')) return []
      throw error
    }
  }

  async #viewOf(threadId: string, stored: ThreadFacts): Promise<ThreadView> {
    if (stored.openRun !== undefined) await this.sweep(threadId)
    const facts = (stored.openRun && (await this.#table.get(threadId))) ?? stored
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
