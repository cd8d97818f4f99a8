import { isOwn, type RunnerEvent } from '@agui-runner/client'

/** The main agent's text. That of its subagents is addressed to it, so it is left out. */
export class AnswerText {
  readonly #messages = new Map<string, string>()

  /** Adds an event. @returns the text that a reader of the stream is shown for it. */
  add(event: RunnerEvent): string {
    if (isOwn('retracted', event)) return this.#retract(event.value.messageIds)
    if (event.type === 'TEXT_MESSAGE_CONTENT' && event.subagentRunId === undefined) {
      this.#messages.set(event.messageId, `${this.#messages.get(event.messageId) ?? ''}${event.delta}`)
      return event.delta
    }
    if (event.type !== 'TEXT_MESSAGE_END') return ''
    const text = this.#messages.get(event.messageId) ?? ''
    return text === '' || text.endsWith('\n') ? '' : '\n'
  }

  /** The answer: the last message that is not blank. */
  get last(): string {
    return [...this.#messages.values()].findLast((text) => text.trim() !== '') ?? ''
  }

  #retract(ids: readonly string[]): string {
    const isShown = ids.filter((id) => this.#messages.delete(id)).length > 0
    return isShown ? '\n[taken back; it is said anew]\n' : ''
  }
}
