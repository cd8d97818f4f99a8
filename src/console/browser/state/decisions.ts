import type { ToolDecision } from '../model/decision.ts'
import { isObject, toNumber, toObject, toText } from '../model/fields.ts'

const KEY = 'agui-runner.decisions'
/** Decisions that are kept; the oldest are forgotten. */
const COUNT_MAX = 500

/** What was decided in this browser on each tool call, kept for the next visit. */
export class Decisions {
  readonly #known = new Map<string, ToolDecision>(read())

  on(toolCallId: string): ToolDecision | undefined {
    return this.#known.get(toolCallId)
  }

  keep(toolCallId: string, decision: ToolDecision): void {
    this.#known.set(toolCallId, decision)
    for (const oldest of [...this.#known.keys()].slice(0, -COUNT_MAX)) this.#known.delete(oldest)
    try {
      localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(this.#known)))
    } catch {
      // The browser keeps nothing; the decisions are known until the page is left.
    }
  }
}

function read(): [string, ToolDecision][] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}')
    return Object.entries(toObject(kept))
      .filter(([, decision]) => isObject(decision))
      .map(([toolCallId, decision]) => {
        const { word, at } = toObject(decision)
        return [toolCallId, { word: toText(word) ?? 'Answered', at: toNumber(at) ?? 0 }]
      })
  } catch {
    return []
  }
}
