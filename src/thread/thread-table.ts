import { createHash } from 'node:crypto'
import type { TokenUsage } from '@ag-ui/core'
import { TokenUsageSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'
import { idOfKey, keyText, type Store, type Table } from '../storage/lmdb/store.ts'

/** What outlives the process of a thread, beside its log. Door of the stored data. */
const ThreadFacts = z.object({
  createdAt: z.number(),
  updatedAt: z.number(),
  /** How the last run ended; `none` before the first. */
  lastOutcome: z.enum(['none', 'success', 'interrupt', 'cancelled', 'error']),
  /** The run that ended last: the one that asks what is open. */
  lastRunId: z.string().optional(),
  /** The run that is open in the log, until its terminal record is there, and the last seq before it. */
  openRun: z.object({ runId: z.string(), after: z.number() }).optional(),
  lastUserMessageId: z.string().optional(),
  /** What all runs have used. */
  usage: z.array(z.custom<TokenUsage>((value) => TokenUsageSchema.safeParse(value).success)),
  /** The agent's own: for Claude its session id and the like. */
  memory: z.record(z.string(), z.unknown()),
})
export type ThreadFacts = z.infer<typeof ThreadFacts>

/** In the place of the facts while a thread is deleted: what is there of it beside is to go, after a restart too. */
const Deleted = z.object({ deleted: z.literal(true) })

type Member = [thread: string, id: string]

/** How a run, or a thread, ends is stored also on a full disk; what begins one asks for room before. */
const LAST = { isLast: true }

/** The facts of every thread, and which run and message ids each has seen. */
export class ThreadTable {
  readonly #store: Store
  readonly #facts: Table<string>
  readonly #runs: Table<Member>
  readonly #messages: Table<Member>

  constructor(store: Store) {
    this.#store = store
    this.#facts = store.json('threads')
    this.#runs = store.json('runs')
    this.#messages = store.json('messages')
  }

  /**
   * Every thread; without facts one whose deletion is not done.
   *
   * @throws when the stored facts are not what this version writes.
   */
  all(): [threadId: string, facts: ThreadFacts | undefined][] {
    return [...this.#facts.getRange()].map(({ key, value }) => [idOfKey(key), factsOf(value)])
  }

  /** Of a thread that is there and not being deleted. */
  get(threadId: string): ThreadFacts | undefined {
    return factsOf(this.#facts.get(keyText(threadId)))
  }

  async put(threadId: string, facts: ThreadFacts): Promise<void> {
    await this.#facts.put(keyText(threadId), facts, LAST)
  }

  hasRun(threadId: string, runId: string): boolean {
    return this.#runs.doesExist(member(threadId, runId))
  }

  async addRun(threadId: string, runId: string): Promise<void> {
    await this.#runs.put(member(threadId, runId), true, LAST)
  }

  /** What the message said when it was taken in, as a digest; `undefined` for one this thread has not seen. */
  messageDigest(threadId: string, messageId: string): string | undefined {
    const digest = this.#messages.get(member(threadId, messageId))
    return typeof digest === 'string' ? digest : undefined
  }

  async addMessages(threadId: string, messages: Iterable<[id: string, digest: string]>): Promise<void> {
    await Promise.all(
      [...messages].map(([id, digest]) => this.#messages.put(member(threadId, id), digest, LAST)),
    )
  }

  /** From here on the thread is one that is being deleted, whatever happens to this process. */
  async bury(threadId: string): Promise<void> {
    await this.#facts.put(keyText(threadId), { deleted: true }, LAST)
    await this.#store.flushed()
  }

  /** The end of a deletion: call when nothing else is left of the thread. */
  async drop(threadId: string): Promise<void> {
    const range = { start: [keyText(threadId), ''], end: [keyText(threadId), '\uffff'] }
    await Promise.all([this.#runs.removeAll(range), this.#messages.removeAll(range)])
    await this.#facts.remove(keyText(threadId))
    await this.#store.flushed()
  }
}

function factsOf(stored: unknown): ThreadFacts | undefined {
  return stored === undefined || Deleted.safeParse(stored).success ? undefined : ThreadFacts.parse(stored)
}

/** The client chooses the ids, and a message's may be longer than a key can be. */
function member(threadId: string, id: string): Member {
  return [keyText(threadId), createHash('sha256').update(id).digest('base64url')]
}
