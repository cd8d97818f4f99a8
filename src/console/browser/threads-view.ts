import { threadAddress } from './address.ts'
import { make, setChildren, setText } from './dom.ts'
import { formatAge } from './format.ts'
import type { ThreadShape } from './thread-shapes.ts'

const STATES: Readonly<Record<string, string>> = {
  idle: 'good',
  running: 'live',
  interrupted: 'warn',
  failed: 'bad',
}

export function stateBadge(element: HTMLElement, state: string): void {
  element.className = `badge ${STATES[state] ?? 'dim'}`
  setText(element, state)
}

/** The list of threads, newest first; entries that stay keep the focus. */
export class ThreadsView {
  readonly #list: HTMLElement
  readonly #entries = new Map<
    string,
    { element: HTMLElement; draw(facts: ThreadShape, isOpen: boolean): void }
  >()

  constructor(list: HTMLElement) {
    this.#list = list
  }

  show(sessions: readonly ThreadShape[], openThread: string | undefined): void {
    const newestFirst = [...sessions].sort((a, b) => b.updatedAt - a.updatedAt)
    const elements = newestFirst.map((facts) => {
      const entry = this.#entries.get(facts.threadId) ?? threadEntry(facts.threadId)
      this.#entries.set(facts.threadId, entry)
      entry.draw(facts, facts.threadId === openThread)
      return entry.element
    })
    const known = new Set(sessions.map(({ threadId }) => threadId))
    for (const id of [...this.#entries.keys()]) if (!known.has(id)) this.#entries.delete(id)
    setChildren(this.#list, elements)
  }
}

function threadEntry(threadId: string) {
  const badge = make('span')
  const age = make('span', { class: 'dim' })
  const link = make(
    'a',
    { title: threadId, attributes: { href: threadAddress(threadId) } },
    make('span', { class: 'name' }, threadId),
    make('span', { class: 'facts' }, badge, age),
  )
  const element = make('li', {}, link)
  return {
    element,
    draw({ state, updatedAt, queued }: ThreadShape, isOpen: boolean) {
      stateBadge(badge, state)
      setText(age, `${formatAge(Date.now() - updatedAt)}${queued > 0 ? ` · ${queued} queued` : ''}`)
      if (isOpen) link.setAttribute('aria-current', 'page')
      else link.removeAttribute('aria-current')
    },
  }
}
