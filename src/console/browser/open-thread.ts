import { openEvents } from './api.ts'
import { follow, type Link } from './follow.ts'
import { Transcript } from './timeline.ts'

export interface OpenThreadOptions {
  onChange(): void
  /** A run has ended, or has begun: the thread's facts are others now. */
  onRunEdge(): void
  onLink(link: Link): void
}

const EDGES: ReadonlySet<unknown> = new Set(['RUN_STARTED', 'RUN_FINISHED', 'RUN_ERROR'])

/** One thread, followed from its first record for as long as it is open. */
export class OpenThread {
  readonly threadId: string
  readonly transcript = new Transcript()
  link: Link = { state: 'connecting' }
  readonly #closing = new AbortController()

  constructor(threadId: string, { onChange, onRunEdge, onLink }: OpenThreadOptions) {
    this.threadId = threadId
    void follow({
      open: (after, signal) => openWhileSeen(threadId, after, signal),
      onRecords: (records) => {
        for (const { event } of records) this.transcript.apply(event)
        onChange()
        if (records.some(({ event }) => EDGES.has(event['type']))) onRunEdge()
      },
      onExpired: (oldest) =>
        this.transcript.apply({
          type: 'CUSTOM',
          name: `Records before ${oldest} were dropped by retention (LOG_RETENTION_BYTES)`,
        }),
      onLink: (link) => {
        this.link = link
        onLink(link)
      },
      pause,
      signal: this.#closing.signal,
    })
  }

  close(): void {
    this.#closing.abort()
  }
}

let hiding = new AbortController()
document.addEventListener('visibilitychange', () => {
  if (document.hidden) hiding.abort(new Error('Nobody looks at the page.'))
  else hiding = new AbortController()
})

/** A browser opens six connections to one server: a tab that nobody looks at gives its own back. */
async function openWhileSeen(threadId: string, after: number, signal: AbortSignal): Promise<Response> {
  if (document.hidden) {
    await new Promise<void>((resolve) => {
      const settings = { once: true, signal }
      document.addEventListener('visibilitychange', () => resolve(), settings)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
  return await openEvents(threadId, after, AbortSignal.any([signal, hiding.signal]))
}

/** Until the time is over, the network is back, or somebody looks again. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const settings = { once: true, signal: over.signal }
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    signal.addEventListener('abort', () => resolve(), settings)
    window.addEventListener('online', () => resolve(), settings)
    document.addEventListener('visibilitychange', () => resolve(), settings)
  })
  over.abort()
}
