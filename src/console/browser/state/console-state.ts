import { Refusal, type ResumeEntry } from '@agui-runner/client'
import { threadAddress, threadOfAddress } from '../model/address.ts'
import type { Readiness } from '../model/readiness.ts'
import { newThreadId } from '../model/thread-id.ts'
import { readSession, type ThreadShape } from '../model/thread-shapes.ts'
import { wordsOf } from '../model/words-of.ts'
import { readOwnThread, runner, startRun } from '../runner/api.ts'
import { type Link, OpenThread } from '../runner/open-thread.ts'
import { Poll } from '../runner/poll.ts'
import { readReadiness } from '../runner/readiness.ts'
import { AnsweredHere } from './answered-here.ts'
import { Drafts } from './drafts.ts'

/** How often the list of threads is asked for, in milliseconds: in a tab that is seen, and in a hidden one. */
const LIST_MS = 3000
const HIDDEN_LIST_MS = 15_000

/** Why the connection was lost, and when it is tried again (milliseconds since 1970). */
export interface Loss {
  reason: string
  retryAt: number
}

/** What the page knows. Only its methods change it, and each change calls `onChange`. */
export class ConsoleState {
  threads: readonly ThreadShape[] = []
  /** The list has come at least once, so a thread that is not in it is not there. */
  isListed = false
  readiness: Readiness | { problem: string } | undefined
  open: OpenThread | undefined
  loss: Loss | undefined
  /** Prompts that were sent from here. With each one the transcript goes to its end. */
  sends = 0
  /** The last news of the connection or of the open thread's run, for a screen reader. */
  said = ''
  /** The thread that the page's address names, which may not be there yet. */
  #wanted: string | undefined
  /** The thread that the next prompt makes, when the address names none. */
  #newThread = newThreadId()
  readonly drafts = new Drafts()
  readonly #answered = new AnsweredHere()
  readonly #closing: AbortSignal
  readonly #onChange: () => void
  readonly #poll = new Poll(
    () => this.#list(),
    () => (document.hidden ? HIDDEN_LIST_MS : LIST_MS),
  )

  constructor({ signal, onChange }: { signal: AbortSignal; onChange: () => void }) {
    this.#closing = signal
    this.#onChange = onChange
  }

  async start(): Promise<void> {
    window.addEventListener('hashchange', () => this.#go())
    window.addEventListener('online', () => void this.#poll.now())
    document.addEventListener('visibilitychange', () => void this.#poll.now())
    void this.check()
    if (threadOfAddress(location.hash) === undefined) {
      const own = await readOwnThread().catch(() => undefined)
      if (own !== undefined) history.replaceState(null, '', threadAddress(own))
    }
    this.#go()
  }

  get facts(): ThreadShape | undefined {
    return this.threads.find(({ threadId }) => threadId === this.#wanted)
  }

  get threadId(): string {
    return this.#wanted ?? this.#newThread
  }

  /** Whether the address names a thread. */
  get isNamed(): boolean {
    return this.#wanted !== undefined
  }

  /** Whether the page is connected, so that what it shows is true now. */
  get isKnown(): boolean {
    return this.loss === undefined
  }

  refresh(): void {
    void this.#poll.now()
  }

  newThread(): void {
    location.hash = ''
  }

  openThread(threadId: string): void {
    location.hash = threadAddress(threadId)
  }

  /** Call when a prompt was accepted: opens its thread, shows its end and asks for the list. */
  sent(threadId: string): void {
    this.sends += 1
    this.#onChange()
    if (this.#wanted !== threadId) this.openThread(threadId)
    void this.#poll.now()
  }

  /** Sets the order of the waiting runs. */
  async orderQueue(runIds: readonly string[]): Promise<void> {
    await this.#change(() => runner.thread(this.threadId).orderQueue(runIds))
  }

  /** Takes a waiting run out of the queue. */
  async withdraw(runId: string): Promise<void> {
    await this.#change(() => runner.thread(this.threadId).withdraw(runId))
  }

  async rename(title: string): Promise<void> {
    await this.#change(() => runner.thread(this.threadId).rename(title))
  }

  async interrupt(): Promise<void> {
    await runner.thread(this.threadId).interrupt()
    void this.#poll.now()
  }

  async forget(): Promise<void> {
    // Otherwise its stream would be asked for once more, and refused.
    this.open?.close()
    try {
      await runner.thread(this.threadId).delete()
    } catch (error) {
      this.open = undefined
      this.#follow()
      throw error
    }
    location.hash = ''
    void this.#poll.now()
  }

  async answer(entry: ResumeEntry): Promise<void> {
    // The event of the answer may come before the answer to the request.
    this.#answered.add(entry.interruptId)
    try {
      await startRun(this.threadId, { resume: [entry] })
    } catch (error) {
      this.#answered.delete(entry.interruptId)
      throw error
    }
    // What was answered is in the list until it comes anew.
    await this.#poll.now()
  }

  isAnsweredHere(interruptId: string): boolean {
    return this.#answered.has(interruptId)
  }

  /** Asks whether a run would work. Each check costs real work, so it is made once, and again when a person asks. */
  async check(): Promise<void> {
    this.readiness = undefined
    this.#onChange()
    try {
      this.readiness = await readReadiness(this.#closing)
    } catch (error) {
      this.readiness = { problem: wordsOf(error) }
    }
    this.#onChange()
  }

  /** Changes something and asks for the list again; after a refusal too, since the list may have been old. */
  async #change(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } finally {
      void this.#poll.now()
    }
  }

  #go(): void {
    const wanted = threadOfAddress(location.hash)
    if (wanted === this.#newThread) this.#newThread = newThreadId()
    if (wanted !== this.#wanted || wanted === undefined) {
      this.#wanted = wanted
      this.open?.close()
      this.open = undefined
    }
    this.#follow()
    void this.#poll.now()
    this.#onChange()
  }

  /** Follows the thread as soon as it is there; also one that was forgotten and made anew. */
  #follow(): void {
    const threadId = this.facts?.threadId
    if (threadId === undefined || (this.open !== undefined && this.open.link.state !== 'ended')) return
    this.open?.close()
    const open = new OpenThread(threadId, {
      onChange: () => this.#onChange(),
      onRunEdge: () => {
        this.#announceRun(open)
        void this.#poll.now()
      },
      onLink: (link) => this.#heard(link),
    })
    this.open = open
  }

  #heard(link: Link): void {
    if (link.state === 'live') {
      if (this.loss !== undefined) void this.#poll.now()
      this.#regain()
    } else if (link.state === 'lost') {
      this.#lose({ reason: link.reason, retryAt: Date.now() + link.retryMs })
    }
    this.#onChange()
  }

  async #list(): Promise<void> {
    try {
      const described = await runner.threads(this.#closing)
      this.threads = described.map((thread) => readSession({ ...thread }))
      this.isListed = true
      // The thread's own stream ends its loss itself.
      if (this.open?.link.state !== 'lost') this.#regain()
      this.#follow()
    } catch (error) {
      if (this.#closing.aborted) return
      const reason = wordsOf(error)
      // A refusal is an answer, so the runner is there.
      if (!(error instanceof Refusal) || error.status >= 500)
        this.#lose({ reason, retryAt: Date.now() + LIST_MS })
    }
    this.#onChange()
  }

  #lose(loss: Loss): void {
    this.loss = loss
    this.said = 'The connection to the runner is lost.'
  }

  /** The connection is there again. It may be another runner by now, or one that is set up in another way. */
  #regain(): void {
    if (this.loss === undefined) return
    this.loss = undefined
    this.said = 'The connection is back.'
    void this.check()
  }

  #announceRun({ timeline: { run } }: OpenThread): void {
    if (run === undefined) return
    this.said = {
      running: 'A run has started.',
      success: 'The run has finished.',
      cancelled: 'The run was stopped.',
      interrupt: 'The run waits for your answer.',
      error: `The run failed: ${run.error?.message}`,
    }[run.state]
  }
}
