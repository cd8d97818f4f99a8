import { make, setText } from './dom.ts'
import { formatDate, formatTime, formatUsage } from './format.ts'
import { ItemList, type View } from './item-views.ts'
import { LongText } from './long-text.ts'
import type { ShownRun } from './model.ts'
import type { Timeline } from './timeline.ts'

/** So near to the end a reader counts as being there, and is kept there. */
const END_PX = 80

/** A thread's runs, drawn at most once a frame. */
export class TranscriptView {
  readonly #scroller: HTMLElement
  readonly #toEnd: HTMLButtonElement
  readonly #list = make('div', { class: 'runs' })
  #views: { view: View; rev: number }[] = []
  #transcript: Timeline | undefined
  #frame: number | undefined
  #isAtEnd = true

  constructor(scroller: HTMLElement, toEnd: HTMLButtonElement) {
    this.#scroller = scroller
    this.#toEnd = toEnd
    scroller.append(this.#list)
    scroller.addEventListener('scroll', () => this.#look(), { passive: true })
    toEnd.addEventListener('click', () => {
      this.#isAtEnd = true
      this.#follow()
    })
    // Content that grows after it was drawn, and a window that shrinks.
    new ResizeObserver(() => this.#follow()).observe(scroller)
    new ResizeObserver(() => this.#follow()).observe(this.#list)
  }

  show(transcript: Timeline | undefined): void {
    this.#transcript = transcript
    this.#views = []
    this.#list.replaceChildren()
    this.#isAtEnd = true
    this.update()
  }

  /** The transcript has changed. */
  update(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined
      this.#draw()
    })
  }

  #draw(): void {
    for (const [index, run] of (this.#transcript?.runs ?? []).entries()) {
      const shown = this.#views[index]
      if (shown?.rev === run.rev) continue
      const view = shown?.view ?? runView(run)
      view.draw()
      if (shown === undefined) this.#list.append(view.element)
      this.#views[index] = { view, rev: run.rev }
    }
    this.#follow()
  }

  #look(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < END_PX
    this.#toEnd.hidden = this.#isAtEnd
  }

  #follow(): void {
    if (this.#isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight
    this.#toEnd.hidden = this.#isAtEnd
  }
}

const OUTCOMES = {
  running: ['running…', 'live'],
  success: ['finished', 'good'],
  cancelled: ['cancelled', 'warn'],
  interrupt: ['waits for a person', 'warn'],
  error: ['failed', 'bad'],
} as const

function runView(run: ShownRun): View {
  const outcome = make('span', { class: 'badge' })
  const end = make('footer', {})
  const list = new ItemList(make('div', { class: 'items' }), run.items)
  const when = run.startedAt === undefined ? '' : formatTime(run.startedAt)
  const title = run.startedAt === undefined ? run.runId : `${run.runId}, ${formatDate(run.startedAt)}`
  const element = make(
    'section',
    { class: 'run', attributes: { 'aria-label': `Run ${run.runId}` } },
    make('h3', { title }, make('span', {}, `Run ${when}`), make('code', {}, run.runId.slice(0, 8)), outcome),
    run.isPartial ? make('p', { class: 'dim' }, 'What came before was dropped by retention.') : undefined,
    list.element,
    end,
  )
  return {
    element,
    draw() {
      list.draw()
      const [word, kind] = OUTCOMES[run.state]
      setText(outcome, word)
      outcome.className = `badge ${kind}`
      if (run.state !== 'running') drawEnd(end, run)
    },
  }
}

function drawEnd(end: HTMLElement, { error, usage, result }: ShownRun): void {
  const failure =
    error === undefined
      ? undefined
      : make('div', { class: 'failure' }, make('code', {}, error.code), make('p', {}, error.message))
  const output = new LongText('Result of the run')
  if (result !== undefined) output.set(JSON.stringify(result, null, 2))
  const parts = [
    failure,
    result === undefined ? undefined : make('div', {}, make('h5', {}, 'Structured result'), output.element),
    usage.length === 0 ? undefined : make('p', { class: 'dim usage' }, formatUsage(usage)),
  ]
  end.replaceChildren(...parts.filter((part) => part !== undefined))
}
