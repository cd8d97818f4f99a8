import { threadAddress } from '../model/address.ts'
import { needing, shownName } from '../model/attention.ts'
import type { ThreadShape } from '../model/thread-shapes.ts'

/** The state that the notifier reads. */
interface Watched {
  threads: readonly ThreadShape[]
  facts: ThreadShape | undefined
  threadId: string
  isNamed: boolean
}

/** Calls a person who looks elsewhere: by the title of the tab, and by a notification where they allowed it. */
export class Notifier {
  #needing = new Set<string>()
  #isFirst = true

  notify({ threads, facts, threadId, isNamed }: Watched): void {
    const waiting = needing(threads)
    const name = isNamed ? `${facts === undefined ? threadId : shownName(facts)} · ` : ''
    document.title = `${waiting.length > 0 ? `(${waiting.length}) ` : ''}${name}agui-runner`
    const isAway = document.hidden || !document.hasFocus()
    for (const thread of waiting)
      if (!this.#isFirst && isAway && !this.#needing.has(thread.threadId)) showNotification(thread)
    this.#needing = new Set(waiting.map(({ threadId }) => threadId))
    this.#isFirst = false
  }
}

/** Whether the browser has notifications and was not asked for them yet. */
export function canAskToNotify(): boolean {
  return typeof Notification !== 'undefined' && Notification.permission === 'default'
}

export async function askToNotify(): Promise<void> {
  await Notification.requestPermission()
}

function showNotification(thread: ThreadShape): void {
  if (typeof Notification === 'undefined' || Notification.permission !== 'granted') return
  try {
    const notification = new Notification('An agent needs you', {
      body: shownName(thread),
      tag: thread.threadId,
    })
    notification.onclick = () => {
      window.focus()
      location.hash = threadAddress(thread.threadId)
    }
  } catch {
    // Chrome on Android lets only a service worker do that. The title of the tab says it.
  }
}
