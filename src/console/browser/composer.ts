import type { Delivery } from '@agui-runner/client'
import { runner, startRun } from './api.ts'
import { find, setText } from './dom.ts'

export interface ComposerOptions {
  /** The thread that is open, or the name of the one that the first prompt makes. */
  threadId(): string
  isRunning(): boolean
  /** A prompt was taken; its run or its place in the queue is to be seen. */
  onSent(threadId: string): void
}

/** Where prompts are typed: a run on a thread that rests, a message into one that runs. */
export class Composer {
  readonly #options: ComposerOptions
  readonly #form = find('composer', HTMLFormElement)
  readonly #area = find('prompt', HTMLTextAreaElement)
  readonly #send = find('send', HTMLButtonElement)
  readonly #delivery = find('delivery', HTMLFieldSetElement)
  readonly #problem = find('composer-problem', HTMLElement)
  #isSending = false

  constructor(options: ComposerOptions) {
    this.#options = options
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#submit()
    })
    this.#area.addEventListener('keydown', (event) => {
      // A line that an input method is still composing is not finished by Enter.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      void this.#submit()
    })
    this.#area.addEventListener('input', () => this.#fit())
  }

  update({ isWaiting }: { isWaiting: boolean }): void {
    const isRunning = this.#options.isRunning()
    this.#delivery.hidden = !isRunning
    this.#area.disabled = isWaiting
    this.#send.disabled = isWaiting || this.#isSending
    setText(this.#send, isRunning ? (this.#chosen() === 'steer' ? 'Steer' : 'Queue') : 'Send')
    this.#area.placeholder = isWaiting
      ? 'Answer the question above first.'
      : 'Write a prompt. Enter sends, Shift+Enter makes a new line.'
  }

  fill(prompt: string): void {
    this.#area.value = prompt
    this.#fit()
    this.#area.focus()
  }

  focus(): void {
    this.#area.focus()
  }

  async #submit(): Promise<void> {
    const prompt = this.#area.value.trim()
    if (prompt === '' || this.#isSending || this.#area.disabled) return
    const threadId = this.#options.threadId()
    this.#isSending = true
    this.#send.disabled = true
    setText(this.#problem, '')
    try {
      if (this.#options.isRunning()) await runner.thread(threadId).message(prompt, this.#chosen())
      else await startRun(threadId, { content: prompt })
      this.#area.value = ''
      this.#fit()
      this.#options.onSent(threadId)
    } catch (error) {
      // What was typed stays.
      setText(this.#problem, error instanceof Error ? error.message : String(error))
    } finally {
      this.#isSending = false
      this.#send.disabled = false
    }
  }

  #chosen(): Delivery {
    return find('queue', HTMLInputElement).checked ? 'queue' : 'steer'
  }

  #fit(): void {
    this.#area.rows = Math.min(Math.max(this.#area.value.split('\n').length, 2), 10)
  }
}
