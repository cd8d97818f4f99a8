import { toList, toText } from '../model/fields.ts'

const KEY = 'agui-runner.answered'
/** Interrupts that are remembered; the oldest are forgotten. */
const COUNT_MAX = 500

/** The interrupts that were answered in this browser. The log says how and when, and not by whom. */
export class AnsweredHere {
  readonly #ids = new Set(read())

  has(interruptId: string): boolean {
    return this.#ids.has(interruptId)
  }

  add(interruptId: string): void {
    this.#ids.add(interruptId)
    for (const oldest of [...this.#ids].slice(0, -COUNT_MAX)) this.#ids.delete(oldest)
    this.#keep()
  }

  delete(interruptId: string): void {
    this.#ids.delete(interruptId)
    this.#keep()
  }

  #keep(): void {
    try {
      localStorage.setItem(KEY, JSON.stringify([...this.#ids]))
    } catch {
      // The browser keeps nothing; the ids are known until the page is left.
    }
  }
}

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    return toList(kept).flatMap((id) => toText(id) ?? [])
  } catch {
    return []
  }
}
