import assert from 'node:assert'
import { randomBytes, randomUUID } from 'node:crypto'
import { isCode, RunnerError } from '../../errors.ts'
import { Batch } from '../batch.ts'
import type { Commit } from '../storage.ts'
import type { RedisClient } from './client.ts'
import { commitEntryOf, type Entry } from './commit-entry.ts'
import {
  channelOf,
  FORMAT,
  FORMAT_KEY,
  nameOf,
  THREADS_KEY,
  threadKeys,
  threadTag,
  transcriptKey,
} from './keys.ts'
import type { Claimed, HeldFeed } from './redis-event-log.ts'
import { textsOfReply } from './reply.ts'
import { CLAIM, DROP, RELEASE, RENEW, TRANSCRIBE } from './scripts.ts'
import { elsewhere, type Tenant } from './tenant.ts'

export interface LaneOptions {
  threadId: string
  client: RedisClient
  tenant: Tenant
  retentionBytes: number
  retentionMs: number
  now(): number
  /** Settles before the thread is claimed: the removal of an earlier thread of the same id. */
  after?: Promise<unknown> | undefined
  /** Whether the thread is written for a moment only, without a lease. */
  isVisit?: boolean
  /** Called after a claim. Returns the feed that takes commits to the readers of this process. */
  hold(claimed: Claimed): HeldFeed
  /** Called when another process writes the thread. */
  onLost(): void
}

/** Milliseconds for which confirmed commits are kept, to send them again to a Redis that lost them in a crash. */
const JOURNAL_MS = 10_000
const JOURNAL_BYTES_MAX = 4 * 1024 * 1024

const DONE = { kind: 'done', facts: [] }

/**
 * The commits of one process for one thread. Commits are numbered. Redis makes each once, in order, and only for the
 * process that shows the thread's fence. So they are sent without waiting for each other, and again after a fault.
 */
export class WriteLane {
  readonly #options: LaneOptions
  readonly #keys: readonly string[]
  readonly #journal: Entry[] = []
  #journalBytes = 0
  #claiming: Promise<Claimed> | undefined
  #claimingAgain: Promise<unknown> | undefined
  #catching: Promise<void> | undefined
  /** Distinguishes this writer from every other one, those of this process included. */
  readonly #id = randomBytes(6).toString('hex')
  #fence = ''
  /** Id of the thread's life: another one when the thread was deleted and made anew. */
  #born: string = randomUUID()
  #n = 0
  /** Number of the last confirmed commit. */
  #done = 0
  /** Last assigned seq; runs ahead of `#head` while a commit is in progress. */
  #assigned = 0
  #head = 0
  readonly #pending = new Set<Promise<unknown>>()
  /** Number of lines of each transcript, once its last append has arrived. */
  readonly #transcripts = new Map<string, Promise<number>>()
  #feed: HeldFeed | undefined
  #isLost = false
  #isDropped = false
  /** Size of the thread's records in Redis, in bytes. */
  bytes = 0
  /** When the lease ends, by this process's clock (`performance.now()`). */
  leasedUntil = 0

  constructor(options: LaneOptions) {
    this.#options = options
    this.#keys = threadKeys(options.threadId)
  }

  get isLeased(): boolean {
    return this.isHeld && this.#options.isVisit !== true
  }

  get isHeld(): boolean {
    return this.#fence !== '' && !this.#isLost && !this.#isDropped
  }

  /** Whether a commit or a transcript append is not answered yet. */
  get isWriting(): boolean {
    return this.#pending.size > 0
  }

  get fence(): string {
    return this.#fence
  }

  /**
   * Claims the thread on the first call; later calls return the same promise. @throws {RunnerError} `elsewhere`,
   * `storage_damaged`, `storage_full`, `storage_unavailable`.
   */
  claim(): Promise<Claimed> {
    this.#claiming ??= this.#claim()
    return this.#claiming
  }

  /** As `Storage.commit`. */
  commit(commit: Commit): Promise<Batch | undefined> {
    const work = this.#commit(commit)
    this.#track(work)
    return work
  }

  /** As `Transcripts.append`. Appends to one transcript are made in the order of the calls. */
  transcribe(name: string, lines: readonly string[]): Promise<void> {
    const before = this.#transcripts.get(name) ?? this.#lengthOf(name)
    const after = before.then((length) => this.#transcribe(name, lines, length))
    // After a failed append, the length is requested again.
    const known = after.catch(() => this.#lengthOf(name))
    this.#transcripts.set(name, known)
    known.catch(() => this.#transcripts.delete(name))
    this.#track(after)
    return after.then(() => undefined)
  }

  async #lengthOf(name: string): Promise<number> {
    await this.claim()
    return Number(await this.#options.client.ask('LLEN', transcriptKey(this.#options.threadId, name)))
  }

  async #transcribe(name: string, lines: readonly string[], length: number): Promise<number> {
    const { client, threadId } = this.#options
    const keys = [...this.#keys, transcriptKey(threadId, name)]
    const args = [this.#fence, nameOf(name), length, ...lines]
    const [kind, first, lease] = textsOfReply(await client.run(TRANSCRIBE, keys, args))
    if (kind === 'fenced') throw this.#lose(lease)
    return Number(first)
  }

  /** Removes all of the thread, after its pending writes. */
  async drop(): Promise<void> {
    await this.claim()
    await this.settled()
    const { threadId, client } = this.#options
    const args = [this.#fence, channelOf(threadId), `${threadTag(threadId)}:transcript/`]
    const [kind, ...rest] = textsOfReply(await client.run(DROP, this.#keys, args))
    if (kind === 'fenced') throw this.#lose(rest[1])
    this.#isDropped = true
    this.#feed?.dropped()
  }

  /** Gives the thread up. @returns whether nothing is left of it, since it never had anything. */
  async release(): Promise<boolean> {
    if (!this.isHeld) return false
    await this.settled()
    const reply = textsOfReply(await this.#options.client.askScript(RELEASE, this.#keys, [this.#fence]))
    this.#isDropped = true
    this.#feed?.left()
    return reply[1] === 'empty'
  }

  /**
   * Renews the lease, and sends again what Redis has lost: without a next commit nobody would. Resolves whether this
   * process still has the thread.
   */
  async renew(): Promise<boolean> {
    const { client, tenant } = this.#options
    const asked = performance.now()
    const confirmed = this.#done
    const fence = this.#fence
    const args = [fence, tenant.lease, tenant.leaseMs]
    const [kind, first, lease] = textsOfReply(await client.askScript(RENEW, this.#keys, args))
    if (kind === 'done') this.leasedUntil = asked + tenant.leaseMs
    // If Redis has lost the claim itself, it is made again, unless another process was quicker.
    else if (!(await this.#claimAgain(fence))) {
      this.#lose(lease)
      return false
    }
    const done = kind === 'done' ? Number(first) : 0
    if (done < confirmed) await this.#catchUp(done, confirmed + 1)
    this.#forgetOld()
    return true
  }

  /** Resolves when no write is pending. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
  }

  #track(work: Promise<unknown>): void {
    this.#pending.add(work)
    const done = (): void => {
      this.#pending.delete(work)
      if (this.#pending.size === 0) this.#feed?.settled()
    }
    work.then(done, done)
  }

  async #claim(least = 0): Promise<Claimed> {
    const { after, client, tenant, threadId, hold, isVisit = false } = this.#options
    await after
    // A Redis that has lost everything has lost the format mark too.
    await Promise.all([
      client.ask('SET', FORMAT_KEY, FORMAT, 'NX'),
      client.ask('SADD', THREADS_KEY, nameOf(threadId)),
    ])
    const asked = performance.now()
    const { lease, runnerId, leaseMs } = tenant
    const args = [lease, runnerId, this.#id, isVisit ? 0 : leaseMs, this.#born, least, this.#assigned]
    const [kind, first = '', ...facts] = textsOfReply(await client.askScript(CLAIM, this.#keys, args))
    if (kind === 'held') throw elsewhere(threadId, first)
    if (kind === 'foreign') {
      const message = `Redis holds something else under the key ${first}; nothing was written for this thread.`
      throw new RunnerError('storage_damaged', message)
    }
    this.#fence = first
    this.leasedUntil = asked + leaseMs
    const [head = 0, oldest = 1, bytes = 0] = facts.slice(0, 3).map(Number)
    const claimed = { head, oldest, born: facts[3] ?? '', fence: first, claims: facts[4] ?? '' }
    this.#born = claimed.born
    this.bytes = bytes
    // In a repeated claim the lane keeps its own state: what Redis has lost is sent again.
    if (least > 0) {
      this.#feed?.reclaimed(claimed)
      return claimed
    }
    this.#head = head
    this.#assigned = head
    this.#feed = hold(claimed)
    return claimed
  }

  async #commit(commit: Commit): Promise<Batch | undefined> {
    await this.claim()
    if (this.#isLost) throw elsewhere(this.#options.threadId)
    const { append } = commit
    let batch: Batch | undefined
    if (append !== undefined) {
      assert(append.events.length > 0, 'a batch without events has no seq')
      const place = { first: this.#assigned + 1, at: this.#options.now() }
      batch = Batch.of(append.runId, append.events, place)
      this.#assigned = batch.last
    }
    this.#n += 1
    const { retentionBytes, retentionMs, now } = this.#options
    const place = { n: this.#n, keys: this.#keys, now: now() }
    const entry = commitEntryOf(commit, batch, { ...place, retentionBytes, retentionMs })
    this.#journal.push(entry)
    this.#journalBytes += entry.bytes
    await this.#deliver(entry)
    return batch
  }

  /** Sends a commit until Redis has made or refused it. */
  async #deliver(entry: Entry): Promise<void> {
    for (;;) {
      const fence = this.#fence
      const reply = await this.#send(entry)
      if (entry.refusal !== undefined) throw entry.refusal
      if (reply.kind === 'done') return
      if (reply.kind === 'behind') await this.#catchUpTo(entry, Number(reply.facts[0]))
      else if (this.#isDropped) return
      else if (!(await this.#claimAgain(fence))) throw this.#lose(reply.facts[1])
    }
  }

  async #send(entry: Entry): Promise<{ kind: string; facts: readonly string[] }> {
    const { client } = this.#options
    try {
      const reply = await client.run(entry.script, entry.keys, [this.#fence, ...entry.args])
      if (Buffer.isBuffer(reply)) {
        if (entry.refusal === undefined) this.#settle(entry, reply.toString())
        return DONE
      }
      const [kind = '', ...facts] = textsOfReply(reply)
      return { kind, facts }
    } catch (error) {
      throw this.#refuse(entry, error)
    }
  }

  /** Marks a commit and all commits before it as made, and publishes their batches. */
  #settle(entry: Entry, now: string): void {
    if (entry.isSettled) return
    const [bytes, oldest] = now.split(' ')
    // Entries are numbered without a gap and settled in order.
    const end = entry.n - (this.#journal[0]?.n ?? entry.n) + 1
    let begin = end
    while (this.#journal[begin - 1]?.isSettled === false) begin -= 1
    const settled = this.#journal.slice(begin, end)
    for (const each of settled) Object.assign(each, { isSettled: true, at: this.#options.now() })
    this.#done = entry.n
    const batches = settled.flatMap(({ batch }) => (batch === undefined ? [] : [batch]))
    this.#head = batches.at(-1)?.last ?? this.#head
    this.bytes = Number(bytes)
    if (batches.length > 0) this.#feed?.published(batches, Number(oldest))
    this.#forgetOld()
  }

  /** Refuses a commit and all later ones, which would follow a gap. Returns the error to throw. */
  #refuse(entry: Entry, error: unknown): unknown {
    const at = this.#journal.indexOf(entry)
    if (at < 0 || entry.isSettled) return entry.refusal ?? error
    for (const each of this.#journal.splice(at)) {
      each.refusal = error
      this.#journalBytes -= each.bytes
    }
    this.#n = entry.n - 1
    this.#assigned = this.#journal.findLast(({ batch }) => batch !== undefined)?.batch?.last ?? this.#head
    return error
  }

  /** Sends what is missing before an entry. When that is refused, so is the entry. */
  async #catchUpTo(entry: Entry, done: number): Promise<void> {
    try {
      await this.#catchUp(done, entry.n)
    } catch (error) {
      throw this.#refuse(entry, error)
    }
  }

  /** Sends the missing commits up to a number, in order: Redis has lost them, or they are still on their way. */
  async #catchUp(done: number, upTo: number): Promise<void> {
    this.#catching ??= this.#sendAll(done + 1, upTo).finally(() => {
      this.#catching = undefined
    })
    await this.#catching
  }

  async #sendAll(from: number, upTo: number): Promise<void> {
    const missing = this.#journal.filter(({ n }) => n >= from && n < upTo)
    if (missing.length !== upTo - from) {
      const message =
        'Redis has lost records that it had confirmed longer ago than this runner remembers; start the runner again.'
      throw new RunnerError('storage_damaged', message)
    }
    for (const entry of missing) {
      const { kind } = await this.#send(entry)
      if (kind !== 'done') return
    }
  }

  /** Claims the thread again after Redis has lost the claim of a fence. Resolves whether this process has the thread. */
  async #claimAgain(fence: string): Promise<boolean> {
    if (this.#isLost || this.#isDropped) return false
    // All commits that were on their way learn of the loss, and one claim is enough.
    if (this.#fence !== fence) return true
    this.#claimingAgain ??= this.#claim(Number.parseInt(fence, 10)).finally(() => {
      this.#claimingAgain = undefined
    })
    try {
      await this.#claimingAgain
      return true
    } catch (error) {
      if (isCode(error, 'elsewhere')) return false
      throw error
    }
  }

  #lose(lease?: string): RunnerError {
    const error = elsewhere(this.#options.threadId, lease)
    if (this.#isLost) return error
    this.#isLost = true
    for (const entry of this.#journal) if (!entry.isSettled) entry.refusal = error
    this.#feed?.left()
    this.#options.onLost()
    return error
  }

  #forgetOld(): void {
    const old = this.#options.now() - JOURNAL_MS
    const isTooMuch = (at: number): boolean => this.#journalBytes > JOURNAL_BYTES_MAX || at < old
    while (this.#journal[0]?.isSettled === true && isTooMuch(this.#journal[0].at)) {
      this.#journalBytes -= this.#journal.shift()?.bytes ?? 0
    }
  }
}
