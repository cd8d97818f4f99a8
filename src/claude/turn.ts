import { contentToText, EventType, type UserMessage } from '@ag-ui/core'
import { z } from 'zod'
import type { RunContext, RunEnd } from '../agui/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import type { RunnerError } from '../errors.ts'
import { Translator } from './translator.ts'

/** The Claude session a process was told to resume is not there; nothing of the turn has happened. */
export const NO_CONVERSATION = Symbol('no conversation')

export type TurnEnd = RunEnd | typeof NO_CONVERSATION

const CommandLifecycle = z.object({
  type: z.literal('command_lifecycle'),
  command_uuid: z.string(),
  state: z.string(),
})

/** One prompt and all that Claude Code says until its result. */
export class Turn {
  readonly ended: Promise<TurnEnd>
  /** Resolves when Claude Code has taken the prompt in. */
  readonly begun: Promise<void>
  readonly translator: Translator
  readonly #context: RunContext
  #end!: (end: TurnEnd) => void
  #begin!: () => void
  #over = false
  /** Sent, and not taken in yet. */
  readonly #steered = new Map<string, UserMessage>()

  constructor(context: RunContext, memory: unknown) {
    this.#context = context
    this.translator = new Translator({ memory })
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.begun = new Promise((resolve) => {
      this.#begin = resolve
    })
  }

  /** Takes a message in; the promise asks for the next one to wait. */
  onMessage(message: unknown): Promise<void> | undefined {
    if (this.#over) return undefined
    if (saysNoConversation(message)) {
      this.#finish(NO_CONVERSATION)
      return undefined
    }
    if (hasType(message, 'system')) this.#begin()
    const life = lifeOf(message)
    if (life !== undefined) return this.#context.emit(this.#steeredEvents(life))
    const events = this.translator.translate(message)
    const wait = this.#context.emit(events)
    const { end } = this.translator
    // What was steered in after the last step becomes a turn of its own, with a result of its own: the run goes on.
    if (
      end !== undefined &&
      hasType(message, 'result') &&
      (this.#steered.size === 0 || end.outcome !== 'success')
    ) {
      const { facts: _facts, ...runEnd } = end
      this.#finish(runEnd)
    }
    return wait
  }

  /** Whether messages were sent that Claude Code would still answer, in a turn of its own that belongs to no run. */
  get hasLeftovers(): boolean {
    return this.#steered.size > 0
  }

  /** Expects the message to be taken in; `false` when the turn is over. */
  steer(message: UserMessage): boolean {
    if (this.#over) return false
    this.#steered.set(message.id, message)
    return true
  }

  /** A steered message shows in the stream when Claude Code takes it in; the run's own prompt is in RUN_STARTED. */
  #steeredEvents({ id, state }: { id: string; state: string }): AguiEvent[] {
    const message = this.#steered.get(id)
    if (message === undefined || state !== 'started') return []
    this.#steered.delete(id)
    const delta = contentToText(message.content)
    return [
      { type: EventType.TEXT_MESSAGE_START, messageId: id, role: 'user' },
      { type: EventType.TEXT_MESSAGE_CONTENT, messageId: id, delta },
      { type: EventType.TEXT_MESSAGE_END, messageId: id },
    ]
  }

  /** The process ended without a result, or never came to answer. */
  fail(error: RunnerError): void {
    const { code, message } = error
    this.#finish(
      this.#context.signal.aborted ? { outcome: 'cancelled' } : { outcome: 'error', code, message },
    )
  }

  #finish(end: TurnEnd): void {
    if (this.#over) return
    this.#over = true
    const dropped = [...this.#steered.keys()].map((messageId) =>
      customEvent('message_dropped', { messageId }),
    )
    void this.#context.emit([...this.translator.close(), ...dropped])
    this.#end(end)
  }
}

/** `CUSTOM agui-runner.<name>`; shapes in docs/events.md. */
export function customEvent(name: string, value: unknown): AguiEvent {
  return { type: EventType.CUSTOM, name: `agui-runner.${name}`, value }
}

function hasType(message: unknown, type: string): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === type
}

/** What became of a user message, by the uuid it was sent with (2.1.329; undocumented). */
function lifeOf(message: unknown): { id: string; state: string } | undefined {
  // Looked at before it is parsed: this is asked of every delta.
  if (!hasType(message, 'command_lifecycle')) return undefined
  const parsed = CommandLifecycle.safeParse(message)
  return parsed.success ? { id: parsed.data.command_uuid, state: parsed.data.state } : undefined
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
