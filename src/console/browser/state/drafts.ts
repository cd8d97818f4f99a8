import type { AttachedFile } from '../model/files.ts'
import type { RunChoices } from '../model/run-choices.ts'

/** What was put into the composer and not sent. */
export interface Draft {
  prompt: string
  files: readonly AttachedFile[]
  choices: RunChoices
}

const NOTHING: Draft = { prompt: '', files: [], choices: {} }

/** A draft for each thread, until the page is left: whoever looks at another thread meanwhile loses none. */
export class Drafts {
  readonly #kept = new Map<string, Draft>()

  of(threadId: string): Draft {
    return this.#kept.get(threadId) ?? NOTHING
  }

  keep(threadId: string, draft: Draft): void {
    this.#kept.set(threadId, draft)
  }
}
