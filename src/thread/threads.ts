import { createHash } from 'node:crypto'
import type { RunAgentInput, TokenUsage } from '@ag-ui/core'
import { RunAgentInputSchema, TokenUsageSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'
import { idOfKey, keyText, type Store, type Table } from '../storage/lmdb/store.ts'

/** A run that waits for the one before it; its client may be gone. */
const QueuedRun = z.object({
  /** With the messages that are new to the thread only. */
  request: z.custom<RunAgentInput>((value) => RunAgentInputSchema.safeParse(value).success),
  digests: z.array(z.tuple([z.string(), z.string()])),
})
export type QueuedRun = z.infer<typeof QueuedRun>

/** What outlives the process of a thread, beside its log. Door of the stored data. */
const ThreadFacts = z.object({
  createdAt: z.number(),
  updatedAt: z.number(),
  /** How the last run ended; `none` before the first. */
  lastOutcome: z.enum(['none', 'success', 'interrupt', 'cancelled', 'error']),
  /** The run that is open in the log, until its terminal record is there, and the last seq before it. */
  openRun: z.object({ runId: z.string(), after: z.number() }).optional(),
  lastUserMessageId: z.string().optional(),
  /** What all runs have used. */
  usage: z.array(z.custom<TokenUsage>((value) => TokenUsageSchema.safeParse(value).success)),
  /** Oldest first. */
  queue: z.array(QueuedRun),
  /** The agent's own: for Claude its session id and the like. */
  memory: z.record(z.string(), z.unknown()),
})
export type ThreadFacts = z.infer<typeof ThreadFacts>

type Member = [thread: string, id: string]

/** The facts of every thread, and which run and message ids each has seen. */
export class Threads {
  readonly #facts: Table<string>
  readonly #runs: Table<Member>
  readonly #messages: Table<Member>

  constructor(store: Store) {
    this.#facts = store.json('threads')
    this.#runs = store.json('runs')
    this.#messages = store.json('messages')
  }

  /** @throws when the stored facts are not what this version writes. */
  *all(): Iterable<[threadId: string, facts: ThreadFacts]> {
    for (const { key, value } of this.#facts.getRange()) yield [idOfKey(key), ThreadFacts.parse(value)]
  }

  get(threadId: string): ThreadFacts | undefined {
    const stored = this.#facts.get(keyText(threadId))
    return stored === undefined ? undefined : ThreadFacts.parse(stored)
  }

  async put(threadId: string, facts: ThreadFacts): Promise<void> {
    await this.#facts.put(keyText(threadId), facts)
  }

  hasRun(threadId: string, runId: string): boolean {
    return this.#runs.doesExist(member(threadId, runId))
  }

  async addRun(threadId: string, runId: string): Promise<void> {
    await this.#runs.put(member(threadId, runId), true)
  }

  /** What the message said when it was taken in, as a digest; `undefined` for one this thread has not seen. */
  messageDigest(threadId: string, messageId: string): string | undefined {
    const digest = this.#messages.get(member(threadId, messageId))
    return typeof digest === 'string' ? digest : undefined
  }

  async addMessages(threadId: string, messages: Iterable<[id: string, digest: string]>): Promise<void> {
    await Promise.all([...messages].map(([id, digest]) => this.#messages.put(member(threadId, id), digest)))
  }

  async drop(threadId: string): Promise<void> {
    const removals: Promise<unknown>[] = [this.#facts.remove(keyText(threadId))]
    for (const members of [this.#runs, this.#messages]) {
      for (const key of members.getKeys({
        start: [keyText(threadId), ''],
        end: [keyText(threadId), '\uffff'],
      })) {
        removals.push(members.remove(key))
      }
    }
    await Promise.all(removals)
  }
}

/** The client chooses the ids, and a message's may be longer than a key can be. */
function member(threadId: string, id: string): Member {
  return [keyText(threadId), createHash('sha256').update(id).digest('base64url')]
}
