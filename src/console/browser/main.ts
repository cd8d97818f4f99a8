import { newId } from '@agui-runner/client'
import { threadAddress, threadOfAddress } from './address.ts'
import { readOwnThread, runner, startRun } from './api.ts'
import { Composer } from './composer.ts'
import { find, setText } from './dom.ts'
import { formatUsage } from './format.ts'
import { InterruptsView } from './interrupts-view.ts'
import { type Link, OpenThread } from './open-thread.ts'
import { ReadinessView } from './readiness-view.ts'
import { readSession, type ThreadShape } from './thread-shapes.ts'
import { stateBadge, ThreadsView } from './threads-view.ts'
import { TranscriptView } from './transcript-view.ts'

/** How often the list of threads is asked for while somebody looks at it. */
const LIST_EVERY_MS = 3000
/** Random bytes in the name of a thread that is made here. */
const THREAD_ID_BYTES = 3

/** The page: what is open, and what happens on which button. */
class Console {
  readonly #threads = new ThreadsView(find('thread-list', HTMLElement))
  readonly #view = new TranscriptView(find('transcript', HTMLElement), find('to-end', HTMLButtonElement))
  readonly #interrupts = new InterruptsView(find('interrupts', HTMLElement), async (entry) => {
    await startRun(this.#threadId, { resume: [entry] })
    this.#refresh()
  })
  readonly #composer = new Composer({
    threadId: () => this.#threadId,
    isRunning: () => this.#facts?.state === 'running',
    onSent: (threadId) => this.#sent(threadId),
  })
  readonly #readiness: ReadinessView
  readonly #closing: AbortSignal
  #sessions: ThreadShape[] = []
  /** The thread that the page's address names; there may be none of that name yet. */
  #wanted: string | undefined
  #open: OpenThread | undefined
  /** The thread that the next prompt makes, when the address names none. */
  #newThread = newThreadId()
  #listing: Promise<void> | undefined
  #listAgain = false
  /** The list has come at least once: what is not in it is not there. */
  #isListed = false

  constructor(signal: AbortSignal) {
    this.#closing = signal
    this.#readiness = new ReadinessView(find('readiness', HTMLDetailsElement), signal)
    window.addEventListener('hashchange', () => this.#go())
    document.addEventListener('visibilitychange', () => this.#refresh())
    setInterval(() => this.#refresh(), LIST_EVERY_MS)
    this.#bindButtons()
  }

  async start(): Promise<void> {
    void this.#readiness.check()
    if (threadOfAddress(location.hash) === undefined) {
      const own = await readOwnThread()
      if (own !== undefined) history.replaceState(null, '', threadAddress(own))
    }
    this.#go()
  }

  get #facts(): ThreadShape | undefined {
    return this.#sessions.find(({ threadId }) => threadId === this.#wanted)
  }

  get #threadId(): string {
    return this.#wanted ?? this.#newThread
  }

  #bindButtons(): void {
    const on = (id: string, press: () => void): void =>
      find(id, HTMLButtonElement).addEventListener('click', press)
    on('new-thread', () => {
      this.#newThread = newThreadId()
      location.hash = ''
      this.#showList(false)
      this.#composer.focus()
    })
    find('thread-list', HTMLElement).addEventListener('click', () => this.#showList(false))
    on('show-threads', () => this.#showList(document.body.classList.toggle('list') === true))
    on('interrupt', () => this.#attempt(() => runner.thread(this.#threadId).interrupt()))
    on('forget', () => find('forgetting', HTMLDialogElement).showModal())
    on('forget-no', () => find('forgetting', HTMLDialogElement).close())
    on('forget-yes', () => {
      find('forgetting', HTMLDialogElement).close()
      this.#attempt(async () => {
        await runner.thread(this.#threadId).delete()
        location.hash = ''
      })
    })
    for (const example of document.querySelectorAll<HTMLButtonElement>('#welcome button'))
      example.addEventListener('click', () => this.#composer.fill(example.textContent ?? ''))
    for (const choice of document.querySelectorAll('#delivery input'))
      choice.addEventListener('change', () => this.#draw())
  }

  #showList(isShown: boolean): void {
    document.body.classList.toggle('list', isShown)
    find('show-threads', HTMLButtonElement).setAttribute('aria-expanded', String(isShown))
  }

  #attempt(work: () => Promise<unknown>): void {
    const problem = find('composer-problem', HTMLElement)
    setText(problem, '')
    work()
      .catch((error: unknown) => setText(problem, error instanceof Error ? error.message : String(error)))
      .finally(() => this.#refresh())
  }

  #go(): void {
    const wanted = threadOfAddress(location.hash)
    this.#showList(false)
    if (wanted !== this.#wanted || wanted === undefined) {
      this.#wanted = wanted
      this.#open?.close()
      this.#open = undefined
      this.#view.show(undefined)
    }
    this.#follow()
    this.#refresh()
    this.#draw()
  }

  /** As soon as there is something to follow; also a thread that was forgotten and made anew. */
  #follow(): void {
    const threadId = this.#facts?.threadId
    if (threadId === undefined || (this.#open !== undefined && this.#open.link.state !== 'ended')) return
    this.#open?.close()
    const open = new OpenThread(threadId, {
      onChange: () => this.#view.update(),
      onRunEdge: () => {
        this.#tellRun(open)
        this.#refresh()
      },
      onLink: () => this.#draw(),
    })
    this.#open = open
    this.#view.show(open.transcript)
  }

  #sent(threadId: string): void {
    if (this.#wanted !== threadId) location.hash = threadAddress(threadId)
    this.#refresh()
  }

  /** One question at a time; an answer that was already on its way may be older than what is asked about. */
  #refresh(): void {
    if (document.hidden) return
    this.#listAgain = this.#listing !== undefined
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined
      if (this.#listAgain) this.#refresh()
    })
  }

  async #list(): Promise<void> {
    const problem = find('list-problem', HTMLElement)
    try {
      this.#sessions = (await runner.threads(this.#closing)).map((described) => readSession({ ...described }))
      this.#isListed = true
      setText(problem, '')
      this.#follow()
    } catch (error) {
      setText(problem, `The list is old: ${error instanceof Error ? error.message : String(error)}`)
    }
    this.#draw()
  }

  #tellRun({ transcript: { run } }: OpenThread): void {
    if (run === undefined) return
    const said = {
      running: 'A run has started.',
      success: 'The run has finished.',
      cancelled: 'The run was cancelled.',
    }
    const waiting = {
      interrupt: 'The run waits for your answer.',
      error: `The run failed: ${run.error?.message}`,
    }
    setText(find('status', HTMLElement), { ...said, ...waiting }[run.state])
  }

  #draw(): void {
    const facts = this.#facts
    const threadId = this.#threadId
    const isOpen = this.#wanted !== undefined
    const interrupts = facts?.interrupts ?? []
    document.title = `${isOpen ? `${threadId} · ` : ''}agui-runner`
    setText(find('thread-name', HTMLElement), isOpen ? threadId : 'New thread')
    stateBadge(
      find('thread-state', HTMLElement),
      facts?.state ?? (!isOpen ? 'new' : this.#isListed ? 'not there' : ''),
    )
    setText(find('thread-facts', HTMLElement), this.#isListed ? describe(facts, threadId) : '')
    setText(find('link', HTMLElement), tell(this.#open?.link, facts))
    find('welcome', HTMLElement).hidden = isOpen && (facts !== undefined || !this.#isListed)
    find('interrupt', HTMLButtonElement).hidden = facts?.state !== 'running'
    find('forget', HTMLButtonElement).hidden = facts === undefined
    this.#threads.show(this.#sessions, this.#wanted)
    find('no-threads', HTMLElement).hidden = !this.#isListed || this.#sessions.length > 0
    this.#interrupts.show(interrupts)
    this.#composer.update({ isWaiting: interrupts.length > 0 })
  }
}

function describe(facts: ThreadShape | undefined, threadId: string): string {
  if (facts === undefined) return `A prompt makes the thread ${threadId}.`
  const { model, claudeSessionId, isWarm, queued, usage } = facts
  return [
    usage.some((entry) => entry.model === model) ? undefined : model,
    isWarm ? 'warm' : undefined,
    queued > 0 ? `${queued} queued` : undefined,
    usage.length > 0 ? formatUsage(usage) : undefined,
    claudeSessionId === undefined ? undefined : `Claude session ${claudeSessionId}`,
  ]
    .filter((part) => part !== undefined)
    .join(' · ')
}

function tell(link: Link | undefined, facts: ThreadShape | undefined): string {
  switch (link?.state) {
    case 'connecting':
      return 'Connecting…'
    case 'lost':
      return `Connection lost, trying again. ${link.reason}`
    case 'ended':
      return facts === undefined ? '' : `Not followed any more. ${link.reason}`
    default:
      return ''
  }
}

function newThreadId(): string {
  return `thread-${newId(THREAD_ID_BYTES)}`
}

const leaving = new AbortController()
window.addEventListener('pagehide', () => leaving.abort())
// A page that comes back from the browser's cache has let go of its streams.
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload()
})
await new Console(leaving.signal).start()
