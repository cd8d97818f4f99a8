import { EventType } from '@ag-ui/core'
import type { RunContext, RunEnd } from '../agui/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { describeExit, type Exit } from './process.ts'
import { Translator } from './translator.ts'

/** The Claude session a process was told to resume is not there; nothing of the turn has happened. */
export const NO_CONVERSATION = Symbol('no conversation')

export type TurnEnd = RunEnd | typeof NO_CONVERSATION

/** One prompt and all that Claude Code says until its result. */
export class Turn {
  readonly ended: Promise<TurnEnd>
  readonly translator: Translator
  readonly #context: RunContext
  #end!: (end: TurnEnd) => void
  #over = false

  constructor(context: RunContext, memory: unknown) {
    this.#context = context
    this.translator = new Translator({ memory })
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  /** Takes a message in; the promise asks for the next one to wait. */
  onMessage(message: unknown): Promise<void> | undefined {
    if (this.#over) return undefined
    if (saysNoConversation(message)) {
      this.#finish(NO_CONVERSATION)
      return undefined
    }
    const events = this.translator.translate(message)
    const wait = this.#context.emit(events)
    if (this.translator.end !== undefined) {
      const { facts: _facts, ...end } = this.translator.end
      this.#finish(end)
    }
    return wait
  }

  /** The process ended without a result. */
  onExit(exit: Exit): void {
    const message = `${describeExit(exit)}. The next run resumes its session.`
    this.#finish(
      this.#context.signal.aborted
        ? { outcome: 'cancelled' }
        : { outcome: 'error', code: 'claude_exited', message },
    )
  }

  fail(end: RunEnd): void {
    this.#finish(end)
  }

  #finish(end: TurnEnd): void {
    if (this.#over) return
    this.#over = true
    void this.#context.emit(this.translator.close())
    this.#end(end)
  }
}

/** `CUSTOM agui-runner.<name>`; shapes in docs/events.md. */
export function customEvent(name: string, value: unknown): AguiEvent {
  return { type: EventType.CUSTOM, name: `agui-runner.${name}`, value }
}

function saysNoConversation(message: unknown): boolean {
  if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'result')
    return false
  return (
    'errors' in message &&
    Array.isArray(message.errors) &&
    message.errors.some((error) => typeof error === 'string' && error.startsWith('No conversation found'))
  )
}
