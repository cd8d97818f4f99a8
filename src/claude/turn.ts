import { contentToText, EventType, type Tool, type UserMessage } from '@ag-ui/core'
import type { RunContext, RunEnd } from '../agent/agent.ts'
import type { ModelCall } from '../agent/trace.ts'
import type { AguiEvent } from '../agui/event.ts'
import { ownEvent } from '../agui/own-events.ts'
import { inBackground } from '../background.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { type Entries, entryOf, hasMedia } from './entries.ts'
import type { ToolAsked } from './host/approvals.ts'
import type { Switches } from './launch/switches.ts'
import { ModelCalls } from './model-calls.ts'
import { isRecord } from './translate/messages.ts'
import { Translator } from './translate/translator.ts'
import { NO_CONVERSATION, type TurnEnd } from './turn-end.ts'
import { hasType, lifeOf, saysNoConversation } from './turn-signs.ts'

/** A user message on its way into the turn; `isTold` when readers have it already. */
export type Steered = Pick<UserMessage, 'id' | 'content'> & { isTold: boolean }

export interface TurnOptions {
  /** What the thread's last turn left. */
  memory: unknown
  clientToolPrefix: string | undefined
  /** Of the run that begins it; those that go on with it cannot change them. */
  switches: Switches
  surroundings: string
  tools: readonly Tool[]
  /** How the run ends for which somebody else has to act, when that is so now. */
  question(): RunEnd | undefined
}

/** Quiet for so long after a question came, what else the turn had to say has been said. */
const PARK_AFTER_MS = 50

/**
 * One prompt and all that Claude Code says until its result. A turn that waits for a person is parked: its run
 * ends, Claude Code keeps waiting, and the run that brings the answer goes on with the turn.
 */
export class Turn {
  readonly translator: Translator
  readonly switches: Switches
  /** Of the client, that it began with. */
  readonly tools: readonly Tool[]
  /** What the application last said in it beside the messages. */
  surroundings: string
  /** Resolves when Claude Code has taken the prompt in. */
  readonly begun: Promise<void>
  readonly #question: () => RunEnd | undefined
  readonly #calls: ModelCalls
  #context: RunContext | undefined
  #ended: PromiseWithEnd = promiseWithEnd()
  #begin!: () => void
  #over: TurnEnd | undefined
  #parkTimer: NodeJS.Timeout | undefined
  /** Somebody else has to act; the run ends as soon as the turn is quiet. */
  #isAsking = false
  #isBroken = false
  /** Of the session's file, the last that was heard of. */
  #lastEntry: string | undefined
  /** Where the session may be taken back to within this turn: a summary of all before, or an answer that was whole. */
  #safeEntry: string | undefined
  /** The summary, when the session was compacted in this turn: earlier entries are gone then. */
  #summaryEntry: string | undefined
  #isSummaryNext = false
  #isMediaUntried = false
  /** Said while nobody ran: sent by the run that goes on. */
  #unheard: unknown[] = []
  /** Sent, and not taken in yet. */
  readonly #steered = new Map<string, Steered>()

  constructor(options: TurnOptions) {
    const { memory, clientToolPrefix, switches, question } = options
    this.switches = switches
    this.surroundings = options.surroundings
    this.tools = options.tools
    this.translator = new Translator({
      memory,
      expectsOutput: switches.outputSchema !== undefined,
      ...(clientToolPrefix === undefined ? {} : { clientToolPrefix }),
    })
    this.#question = question
    this.#calls = new ModelCalls((id) => this.translator.toolCallId(id))
    this.begun = new Promise((resolve) => {
      this.#begin = resolve
    })
  }

  get entries(): Entries {
    return { last: this.#lastEntry, safe: this.#safeEntry, summary: this.#summaryEntry }
  }

  get isOver(): boolean {
    return this.#over !== undefined
  }

  get isParked(): boolean {
    return this.#over === undefined && this.#context === undefined
  }

  /** Tells the turn to this run until it ends, or waits for a person. */
  async follow(context: RunContext): Promise<TurnEnd> {
    this.#context = context
    this.#ended = promiseWithEnd()
    if (this.#over !== undefined) return this.#over
    for (const message of this.#unheard.splice(0)) await this.onMessage(message)
    this.considerParking()
    return await this.#ended.promise
  }

  /** Takes a message in; the promise asks for the next one to wait. What cannot be sent ends the turn, no more. */
  onMessage(message: unknown): Promise<void> | undefined {
    return this.#guard(() => this.#take(message))
  }

  #take(message: unknown): Promise<void> | undefined {
    if (this.#over !== undefined) return undefined
    if (this.#context === undefined) {
      this.#unheard.push(message)
      return undefined
    }
    if (saysNoConversation(message)) {
      this.#finish(NO_CONVERSATION)
      return undefined
    }
    if (hasType(message, 'system')) this.#begin()
    const life = lifeOf(message)
    if (life !== undefined) return this.#context.emit(this.#steeredEvents(life))
    this.#note(message)
    const events = this.translator.translate(message)
    const wait = this.#context.emit(events)
    this.#tellCalls((calls) => calls.hear(message))
    const { end } = this.translator
    if (end !== undefined && hasType(message, 'result')) {
      const { facts: _facts, ...runEnd } = end
      // What was steered in after the last step becomes a turn of its own, with a result of its own: the run goes on.
      const goesOn = this.#steered.size > 0 && end.outcome === 'success'
      if (goesOn) this.#safeEntry = this.#lastEntry
      else this.#finish(runEnd)
    }
    if (this.#isAsking) this.considerParking()
    return wait
  }

  #note(message: unknown): void {
    if (isRecord(message) && message['subtype'] === 'compact_boundary') this.#isSummaryNext = true
    const entry = entryOf(message)
    if (entry === undefined) return
    this.#lastEntry = entry
    if (this.#isSummaryNext) this.#summaryEntry = this.#safeEntry = entry
    this.#isSummaryNext = false
    if (hasType(message, 'assistant')) this.#isMediaUntried = false
    else this.give(isRecord(message) && isRecord(message['message']) ? message['message']['content'] : [])
  }

  /** Call with content on its way to the model. */
  give(blocks: unknown): void {
    this.#isMediaUntried ||= hasMedia(blocks)
  }

  /** A picture or document is on its way that the model has not answered to: it may refuse it. */
  get isMediaUntried(): boolean {
    return this.#isMediaUntried
  }

  /**
   * Call when questions have come or gone. The run ends only when the turn has nothing more to say: a question comes
   * as soon as its call is complete, while the message it stands in, and other tools, may still go on.
   */
  considerParking(): void {
    clearTimeout(this.#parkTimer)
    this.#parkTimer = undefined
    this.#isAsking = this.#context !== undefined && this.#question() !== undefined
    if (!this.#isAsking || this.translator.isAnswering) return
    this.#parkTimer = setTimeout(() => this.#guard(() => this.#park()), PARK_AFTER_MS)
  }

  #park(): undefined {
    const end = this.#question()
    if (end === undefined || this.#context === undefined) return
    tell(this.#context, this.translator.suspend())
    this.#tellCalls((calls) => calls.close(undefined))
    this.#context = undefined
    this.#ended.end(end)
  }

  #tellCalls(over: (calls: ModelCalls) => ModelCall[]): void {
    const { onModelCall } = this.#context ?? {}
    if (onModelCall !== undefined) for (const call of over(this.#calls)) onModelCall(call)
  }

  /** Events of the host's own, for the run under way. */
  tell(events: readonly AguiEvent[]): void {
    const context = this.#context
    if (context !== undefined) this.#guard(() => tell(context, events))
  }

  /** Whether Claude Code still says, or would answer in a turn of its own, what belongs to no run. */
  get hasLeftovers(): boolean {
    return this.#over !== undefined && (this.#steered.size > 0 || this.#isBroken)
  }

  /** Expects the message to be taken in; `false` when the turn is over. */
  steer(uuid: string, message: Steered): boolean {
    if (this.#over !== undefined) return false
    this.#steered.set(uuid, message)
    return true
  }

  /** The process ended without a result, or never came to answer. */
  fail(error: RunnerError): void {
    const { code, message } = error
    const isStopped = this.#context?.signal.aborted === true
    this.#finish(isStopped ? { outcome: 'cancelled' } : { outcome: 'error', code, message })
  }

  /** A steered message shows in the stream when Claude Code takes it in; the run's own prompt is in RUN_STARTED. */
  #steeredEvents({ id, state }: { id: string; state: string }): AguiEvent[] {
    const message = this.#steered.get(id)
    if (message === undefined || state !== 'started') return []
    this.#steered.delete(id)
    if (message.isTold) return []
    const { id: messageId, content } = message
    return [
      { type: EventType.TEXT_MESSAGE_START, messageId, role: 'user' },
      { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta: contentToText(content) },
      { type: EventType.TEXT_MESSAGE_END, messageId },
    ]
  }

  #finish(end: TurnEnd): void {
    if (this.#over !== undefined) return
    this.#over = end
    clearTimeout(this.#parkTimer)
    this.#tellCalls((calls) => calls.close(reasonOf(end)))
    // It may be the telling that has failed: the turn is over all the same.
    const close = async (): Promise<void> => this.#context?.emit(this.translator.close())
    inBackground({ name: 'telling the end of a turn' }, close())
    this.#ended.end(end)
  }

  /** A failure in here has no caller that could report it: it is this run's, and the run ends with it. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.#isBroken = true
      this.fail(new RunnerError('internal', `What Claude Code said could not be told: ${toMessage(error)}`))
      return undefined
    }
  }
}

/** Why what was asked of the model then got no answer. */
function reasonOf(end: TurnEnd): string | undefined {
  if (end === NO_CONVERSATION) return 'no_conversation'
  if (end.outcome === 'error') return end.code
  return end.outcome === 'cancelled' ? 'cancelled' : undefined
}

interface PromiseWithEnd {
  promise: Promise<TurnEnd>
  end(end: TurnEnd): void
}

function promiseWithEnd(): PromiseWithEnd {
  let end: (end: TurnEnd) => void = () => {}
  const promise = new Promise<TurnEnd>((resolve) => {
    end = resolve
  })
  return { promise, end: (value) => end(value) }
}

/** Events so few that nobody waits for them to be written. */
export function tell({ emit }: RunContext, events: readonly AguiEvent[]): void {
  inBackground({ name: 'telling events' }, Promise.resolve(emit(events)))
}

/** The streamed arguments were the model's; this says what runs instead. */
export function editedEvents({ interrupt }: ToolAsked, args: Record<string, unknown>): AguiEvent[] {
  const { toolCallId } = interrupt
  return toolCallId === undefined ? [] : [ownEvent('tool_call_edited', { toolCallId, args })]
}

export function protocolEnd(message: string): RunEnd {
  return { outcome: 'error', code: 'claude_protocol', message }
}
