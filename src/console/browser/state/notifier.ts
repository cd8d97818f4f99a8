import { shownName } from '../model/attention.ts'
import type { ThreadShape } from '../model/thread-shapes.ts'

/** What it tells of. */
interface Told {
  threads: readonly ThreadShape[]
  facts: ThreadShape | undefined
  threadId: string
  isNamed: boolean
}

/** Tells a person who looks elsewhere: by the tab's title, and where they have allowed it by a notification. */
export class Notifier {
  #needing = new Set<string>()
  #isFirst = true

  tell({ threads, facts, threadId, isNamed }: Told): void {
    const needing = threads.filter(({ state }) => state === 'interrupted')
    const name = isNamed ? `${facts === undefined ? threadId : shownName(facts)} · ` : ''
    document.title = `${needing.length > 0 ? `(${needing.length}) ` : ''}${name}agui-runner`
    const isAway = document.hidden || !document.hasFocus()
    for (const thread of needing)
      if (!this.#isFirst && isAway && !this.#needing.has(thread.threadId)) notify(thread)
    this.#needing = new Set(needing.map(({ threadId }) => threadId))
    this.#isFirst = false
  }
}

/** Whether it is worth a button: the browser has it, and was not asked yet. */
export function canAskToNotify(): boolean {
  return typeof Notification !== 'undefined' && Notification.permission === 'default'
}

export async function askToNotify(): Promise<void> {
  await Notification.requestPermission()
}

function notify(thread: ThreadShape): void {
  if (typeof Notification === 'undefined' || Notification.permission !== 'granted') return
  const notification = new Notification('An agent needs you', {
    body: shownName(thread),
    tag: thread.threadId,
  })
  notification.onclick = () => {
    window.focus()
    location.hash = `#/${encodeURIComponent(thread.threadId)}`
  }
}
