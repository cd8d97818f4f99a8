import type { Storage } from '../storage/storage.ts'
import { closeCut, LOST } from './cut-run.ts'
import { Queues } from './queue.ts'
import type { ThreadTable } from './thread-table.ts'
import { ThreadWriter } from './thread-writer.ts'

/** Nothing is put into a queue here. */
const NO_QUEUE = { queueMax: 0, queueBytesMax: 0 }

/**
 * Ends in the log the runs of runners that have lost their leases: their readers would wait for ever. The thread stays that
 * runner's, or whoever's asks for it next; what is queued waits for that one.
 */
export class LostRuns {
  readonly #storage: Storage
  readonly #table: ThreadTable
  readonly #queues: Queues
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(storage: Storage, table: ThreadTable) {
    this.#storage = storage
    this.#table = table
    this.#queues = new Queues({ storage, ...NO_QUEUE })
  }

  /** Resolves when no run is open in the thread that nobody works on. */
  async end(threadId: string): Promise<void> {
    const underWay = this.#underWay.get(threadId)
    if (underWay !== undefined) return await underWay
    const ending = this.#end(threadId).finally(() => this.#underWay.delete(threadId))
    this.#underWay.set(threadId, ending)
    await ending
  }

  async #end(threadId: string): Promise<void> {
    if ((await this.#table.get(threadId))?.openRun === undefined) return
    await this.#storage.tenancy.visit(threadId, () => this.#close(threadId))
  }

  async #close(threadId: string): Promise<void> {
    const facts = await this.#table.get(threadId)
    if (facts === undefined) return
    const { log } = this.#storage
    const [head, queued] = await Promise.all([log.head(threadId), this.#queues.stored(threadId)])
    const writer = new ThreadWriter(this.#storage, { threadId, head })
    const queue = this.#queues.open(writer, queued)
    await closeCut(LOST, facts, { agent: facts, log, queue, writer })
  }
}
