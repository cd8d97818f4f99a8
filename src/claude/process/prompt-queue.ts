import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'

/** The messages that the SDK writes to Claude Code's stdin: an async iterable with `push`. It takes one reader. */
export class PromptQueue implements AsyncIterable<SDKUserMessage> {
  readonly #messages: SDKUserMessage[] = []
  #ended = false
  #wake: (() => void) | undefined

  push(message: SDKUserMessage): void {
    this.#messages.push(message)
    this.#wake?.()
  }

  /** Ends the iteration after the pushed messages. Claude Code's stdin then closes. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SDKUserMessage> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) yield message
      else if (this.#ended) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}
