import { createHash } from 'node:crypto'
import { aggregateTokenUsage, type Message, type TokenUsage } from '@ag-ui/core'
import { TokenUsageSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'
import type { AgentMemory, RunEnd } from '../agent/agent.ts'
import { storeDamaged } from '../storage/damage.ts'
import type { Storage } from '../storage/storage.ts'
import type { Key, Write } from '../storage/table.ts'
import type { Digests } from './digests.ts'
import { seenUnderOtherIds } from './numbered-anew.ts'
import { isReply } from './replies.ts'
import { readMessages } from './snapshot.ts'
import { unsteeredId } from './steered-ids.ts'

/** The facts of a thread that outlive the process, beside its log. Stored data is checked against this schema. */
const ThreadFacts = z.object({
  createdAt: z.number(),
  updatedAt: z.number(),
  /** The first line of its first run, or the name that a person gave it. */
  title: z.string().optional(),
  /** The end of the last run; `none` before the first. */
  lastOutcome: z.enum(['none', 'success', 'interrupt', 'cancelled', 'error']),
  /** The run that ended last, to which open interrupts belong. */
  lastRunId: z.string().optional(),
  /** The run without a terminal record in the log, and the last seq before it. */
  openRun: z.object({ runId: z.string(), after: z.number() }).optional(),
  lastUserMessageId: z.string().optional(),
  /** The tokens of all runs. */
  usage: z.array(z.custom<TokenUsage>((value) => TokenUsageSchema.safeParse(value).success)),
  /** What all runs have cost, in US dollars; absent while no agent has said it. */
  costUsd: z.number().optional(),
  /** How full the context was when it was last said. */
  context: z.object({ tokens: z.number(), window: z.number().optional() }).optional(),
  /** The agent's own memory. */
  memory: z.record(z.string(), z.unknown()),
})
export type ThreadFacts = z.infer<typeof ThreadFacts>

/** Stored instead of the facts while a thread is being deleted, so that a restart completes the deletion. */
const Deleted = z.object({ deleted: z.literal(true) })

/** A message that a thread has seen. Stored data is checked against this schema. */
const SeenMessage = z.object({
  /** The digests of its content. */
  said: z.string(),
  /** The run that took it in; absent for a refused message. */
  by: z.object({ turn: z.number(), point: z.string().optional(), nth: z.number().optional() }).optional(),
})
type SeenMessage = z.infer<typeof SeenMessage>

/** What the store knows about the ids in a request. */
export interface LookedUp {
  hasRun: boolean
  /** The messages that the thread has seen, by the id that the request has for them. */
  messages: ReadonlyMap<string, SeenMessage>
  /** The digests of the thread's replies that the request holds, by message id. */
  replies: ReadonlyMap<string, string>
  /** The request's own id for the newest message that the thread has seen, if it gives its messages new ids. */
  newestId?: string
  /** The ids of all messages of the thread, when the request brings a history and names no user message of it. */
  heard?: ReadonlySet<string>
}

/** A thread in the store. */
export interface StoredThread {
  threadId: string
  /** Returns its facts, or undefined when its deletion is unfinished. @throws {RunnerError} `storage_damaged`. */
  read(): ThreadFacts | undefined
}

/** The facts of every thread, and the run and message ids that each has seen. */
export class ThreadTable {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** Returns every thread, each to be read by itself: an unreadable one hides no other. */
  async all(): Promise<StoredThread[]> {
    const entries = await this.#storage.tables.threads.entries()
    return entries.map(({ key: [threadId], value }) => ({
      threadId,
      read: () => {
        if (value === undefined)
          throw storeDamaged(`the facts of thread "${threadId}" are not what was written`)
        return factsOf(threadId, value)
      },
    }))
  }

  /** Returns the facts, or undefined for a thread that is absent or being deleted. @throws {RunnerError} `storage_damaged`. */
  async get(threadId: string): Promise<ThreadFacts | undefined> {
    const stored = await this.#storage.tables.threads.get([threadId])
    return stored === undefined ? undefined : factsOf(threadId, stored)
  }

  /**
   * Looks up a run and the messages that a request names. A request that names no known one, and brings a history, is
   * compared by what its messages say. If that finds none either, the log says whose answers they are.
   *
   * @throws {RunnerError} `storage_damaged`.
   */
  async lookUp(
    threadId: string,
    runId: string,
    messageIds: readonly string[],
    history: readonly Message[] = [],
  ): Promise<LookedUp> {
    const { runs, messages } = this.#storage.tables
    const replyIds = history.filter(isReply).map(({ id }) => id)
    const [hasRun, found, said] = await Promise.all([
      runs.has(member(threadId, runId)),
      messages.getAll(messageIds.map((id) => member(threadId, id))),
      runs.getAll(replyIds.map((id) => replyMember(threadId, id))),
    ])
    const replies = new Map(
      replyIds.flatMap((id, index) => {
        const digest = said[index]
        return typeof digest === 'string' ? [[id, digest] as const] : []
      }),
    )
    const seen = new Map<string, SeenMessage>()
    for (const [index, id] of messageIds.entries())
      if (found[index] !== undefined) seen.set(id, seenIn(threadId, found[index]))
    const isKnown = history.some(
      ({ role, id }) => role === 'user' && (seen.has(id) || seen.has(unsteeredId(id))),
    )
    if (isKnown || !history.some(({ role }) => role === 'assistant'))
      return { hasRun, messages: seen, replies }
    const taken = (await this.#taken(threadId)).map(({ message }) => message)
    const alike = seenUnderOtherIds(history, taken)
    const both = { hasRun, messages: new Map([...seen, ...alike]), replies }
    if (!history.some(({ role, id }) => role === 'user' && alike.has(id)))
      return { ...both, heard: await this.#heard(threadId) }
    const newestId = [...alike].find(([, message]) => message === taken.at(-1))?.[0]
    return { ...both, ...(newestId === undefined ? {} : { newestId }) }
  }

  async #heard(threadId: string): Promise<Set<string>> {
    // The read ends with what is stored, or when the store is closed.
    const { signal } = new AbortController()
    const messages = await readMessages(this.#storage.log, { threadId, signal })
    return new Set(messages.map(({ id }) => id))
  }

  /** Reads every message that the thread has taken in, oldest first. @throws {RunnerError} `storage_damaged`. */
  async #taken(
    threadId: string,
  ): Promise<{ key: Key; message: SeenMessage; by: NonNullable<SeenMessage['by']> }[]> {
    const entries = await this.#storage.tables.messages.entries(threadId)
    const taken = entries.flatMap(({ key, value }) => {
      const message = seenIn(threadId, value)
      return message.by === undefined ? [] : [{ key, message, by: message.by }]
    })
    return taken.sort(
      ({ by: one }, { by: other }) => one.turn - other.turn || (one.nth ?? 0) - (other.nth ?? 0),
    )
  }

  /**
   * Splits the messages that the thread has seen at this turn. Those of this and later turns are to be forgotten; of the
   * earlier ones it tells which is the last. It reads every message that the thread has seen.
   *
   * @throws {RunnerError} `storage_damaged`.
   */
  async parted(
    threadId: string,
    turn: number,
  ): Promise<{ forgotten: Write[]; isLast(messageId: string): boolean }> {
    const taken = await this.#taken(threadId)
    const last = taken.findLast(({ by }) => by.turn < turn)
    const forgotten = taken
      .filter(({ by }) => by.turn >= turn)
      .map(({ key }): Write => ({ table: 'messages', key, value: undefined }))
    return { forgotten, isLast: (messageId) => member(threadId, messageId)[1] === last?.key[1] }
  }

  /** Marks the thread as being deleted, so that even a restart completes the deletion. */
  async bury(threadId: string): Promise<void> {
    const write: Write = { table: 'threads', key: [threadId], value: { deleted: true } }
    await this.#storage.commit({ threadId, writes: [write], isLast: true })
    await this.#storage.flushed()
  }
}

/** Returns the facts after the end of a run. */
export function factsAfter(
  end: RunEnd,
  { openRun, ...facts }: ThreadFacts,
  { memory, lastUserMessageId = facts.lastUserMessageId }: Pick<ThreadFacts, 'memory' | 'lastUserMessageId'>,
): ThreadFacts {
  return {
    ...facts,
    lastRunId: openRun?.runId,
    lastOutcome: end.outcome,
    updatedAt: Date.now(),
    usage: aggregateTokenUsage([...facts.usage, ...(end.usage ?? [])]),
    ...(end.costUsd === undefined ? {} : { costUsd: (facts.costUsd ?? 0) + end.costUsd }),
    ...(end.context === undefined ? {} : { context: end.context }),
    memory,
    ...(lastUserMessageId === undefined ? {} : { lastUserMessageId }),
  }
}

export function putFacts(threadId: string, facts: ThreadFacts): Write {
  return { table: 'threads', key: [threadId], value: facts }
}

export function putRun(threadId: string, runId: string): Write {
  return { table: 'runs', key: member(threadId, runId), value: true }
}

/** They stand beside the runs, of which no list is ever read, because a long thread has many. */
export function putReplies(threadId: string, digests: Digests): Write[] {
  return digests.map(([id, value]) => ({ table: 'runs', key: replyMember(threadId, id), value }))
}

export function putMessages(
  threadId: string,
  digests: readonly (readonly [id: string, digest: string])[],
  by?: SeenMessage['by'],
): Write[] {
  return digests.map(([id, said], nth) => {
    const value: SeenMessage = { said, ...(by === undefined ? {} : { by: { ...by, nth } }) }
    return { table: 'messages', key: member(threadId, id), value }
  })
}

/** Whether this version can read the stored facts. */
export function areFacts(stored: unknown, isMemory: (memory: AgentMemory) => boolean): boolean {
  if (Deleted.safeParse(stored).success) return true
  const facts = ThreadFacts.safeParse(stored)
  return facts.success && isMemory(facts.data.memory)
}

/** Whether this version can read the stored message. */
export function isSeenMessage(stored: unknown): boolean {
  return SeenMessage.safeParse(stored).success
}

function factsOf(threadId: string, stored: unknown): ThreadFacts | undefined {
  return Deleted.safeParse(stored).success
    ? undefined
    : readAs(ThreadFacts, stored, `the facts of thread "${threadId}"`)
}

function seenIn(threadId: string, stored: unknown): SeenMessage {
  return readAs(SeenMessage, stored, `a message that thread "${threadId}" has seen`)
}

function readAs<T>(schema: z.ZodType<T>, stored: unknown, name: string): T {
  const { success, data, error } = schema.safeParse(stored)
  if (success) return data
  const remedy = 'start the version that wrote it, or delete the thread'
  throw storeDamaged(`${name}: not what this version writes; ${remedy}`, error)
}

/** Builds the key of an id. A client chooses its ids, and a message's may be longer than a key can be. */
function member(threadId: string, id: string): Key {
  return [threadId, createHash('sha256').update(id).digest('base64url')]
}

/** Builds a reply's key, which no run's can be. */
function replyMember(threadId: string, messageId: string): Key {
  const [, hash] = member(threadId, messageId)
  return [threadId, `${hash}.said`]
}
