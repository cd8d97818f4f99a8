import type { Link as ClientLink } from '@agui-runner/client'
import { Timeline } from '../model/timeline.ts'
import { wordsOf } from '../model/words-of.ts'
import { runner } from './api.ts'

/** The connection to a thread. `ended`: the thread is gone, or the door is shut. */
export type Link = ClientLink | { state: 'ended'; reason: string }

export interface OpenThreadOptions {
  onChange(): void
  /** Called when a run has begun or ended, since the thread's facts have changed then. */
  onRunEdge(): void
  onLink(link: Link): void
}

const EDGES: ReadonlySet<unknown> = new Set(['RUN_STARTED', 'RUN_FINISHED', 'RUN_ERROR'])

/** Milliseconds. A long log comes faster than it is applied; after so long the browser may draw and hear keys. */
const TURN_MS_MAX = 10

/** Follows one thread from its first record for as long as it is open. */
export class OpenThread {
  readonly threadId: string
  readonly timeline = new Timeline()
  link: Link = { state: 'connecting' }
  readonly #options: OpenThreadOptions
  readonly #closing = new AbortController()
  #after = 0

  constructor(threadId: string, options: OpenThreadOptions) {
    this.threadId = threadId
    this.#options = options
    void this.#follow()
  }

  close(): void {
    this.#closing.abort()
  }

  async #follow(): Promise<void> {
    try {
      while (!this.#closing.signal.aborted) await this.#whileSeen()
    } catch (error) {
      this.#setLink({ state: 'ended', reason: wordsOf(error) })
    }
  }

  /** Reads while somebody looks: a browser has six connections to one server, so a hidden tab gives its own back. */
  async #whileSeen(): Promise<void> {
    const turned = new AbortController()
    const turn = (): void => turned.abort()
    document.addEventListener('visibilitychange', turn, { signal: turned.signal })
    this.#closing.signal.addEventListener('abort', turn, { signal: turned.signal })
    if (document.hidden) await new Promise((resolve) => turned.signal.addEventListener('abort', resolve))
    else await this.#read(turned.signal)
  }

  async #read(signal: AbortSignal): Promise<void> {
    const records = runner.thread(this.threadId).follow({
      after: this.#after,
      signal,
      onLink: (link) => this.#setLink(link),
      onExpired: (oldest) =>
        this.timeline.apply({
          type: 'CUSTOM',
          name: `Records before ${oldest} were dropped by retention (LOG_RETENTION_BYTES)`,
        }),
    })
    let began = performance.now()
    for await (const { seq, event } of records) {
      this.#after = seq
      this.timeline.apply({ ...event }, seq)
      this.#options.onChange()
      if (EDGES.has(event.type)) this.#options.onRunEdge()
      if (performance.now() - began < TURN_MS_MAX) continue
      await new Promise((resolve) => setTimeout(resolve))
      began = performance.now()
    }
  }

  #setLink(link: Link): void {
    this.link = link
    this.#options.onLink(link)
  }
}
