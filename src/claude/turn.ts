import type { Tool, UserMessage } from '@ag-ui/core'
import type { RunContext, RunEnd } from '../agent/agent.ts'
import type { ModelCall } from '../agent/trace.ts'
import type { AguiEvent } from '../agui/event.ts'
import { inBackground } from '../background.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { isObject } from '../json.ts'
import { type Entries, entryOf, hasMedia, hasResult } from './entries.ts'
import type { Switches } from './launch/switches.ts'
import { ModelCalls } from './model-calls.ts'
import type { Heard } from './process/deltas.ts'
import { takenInEvents } from './taken-in.ts'
import { Translator } from './translate/translator.ts'
import { NO_CONVERSATION, type TurnEnd } from './turn-end.ts'
import { hasType, lifeOf, saysNoConversation } from './turn-signs.ts'

/** A user message on its way into the turn. `isShown`: the readers have it already. */
export type Steered = Pick<UserMessage, 'id' | 'name' | 'content'> & { isShown: boolean }

export interface TurnOptions {
  /** Translator memory of the thread's last turn. */
  memory: unknown
  clientToolPrefix: string | undefined
  /** Switches of the run that begins the turn. Runs that continue it cannot change them. */
  switches: Switches
  surroundings: string
  tools: readonly Tool[]
  /** Returns the end of a run that waits for a person or the client. Undefined when nothing is pending. */
  question(): RunEnd | undefined
}

/** Time without output after which a turn with a pending question is parked. */
const PARK_AFTER_MS = 50

/**
 * One prompt and everything that Claude Code says until its result. A turn that waits for a person is parked: its run
 * ends, Claude Code keeps waiting, and the run that brings the answer continues the turn.
 */
export class Turn {
  readonly translator: Translator
  readonly switches: Switches
  /** The client's tools that the turn began with. */
  readonly tools: readonly Tool[]
  /** The context and state that the application last sent, as prompt text. */
  surroundings: string
  /** Resolves when Claude Code has accepted the prompt. */
  readonly begun: Promise<void>
  /** Resolves when the turn is over. */
  readonly finished: Promise<void>
  readonly #question: () => RunEnd | undefined
  readonly #calls: ModelCalls
  #context: RunContext | undefined
  #ended: PromiseWithEnd = promiseWithEnd()
  #begin!: () => void
  #sayFinished!: () => void
  #over: TurnEnd | undefined
  #parkTimer: NodeJS.Timeout | undefined
  /** Whether a person or the client has to act. The run then ends as soon as the turn is quiet. */
  #isAsking = false
  #isBroken = false
  /** The last known entry of the session's file. */
  #lastEntry: string | undefined
  /** The entry of this turn to which the session may be taken back: a summary of all before, or a whole answer. */
  #safeEntry: string | undefined
  /** The entry of the summary when the session was compacted in this turn. Earlier entries then no longer exist. */
  #summaryEntry: string | undefined
  #isSummaryNext = false
  #isMediaUntried = false
  #hasRunTools = false
  /** Messages that came while no run was in progress. The run that continues the turn translates them. */
  #unheard: Heard[] = []
  /** Steered messages that Claude Code has not taken in yet, by uuid. */
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
    this.finished = new Promise((resolve) => {
      this.#sayFinished = resolve
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

  /** Emits the turn's events to this run until the turn ends or waits for a person. */
  async follow(context: RunContext): Promise<TurnEnd> {
    this.#context = context
    this.#ended = promiseWithEnd()
    if (this.#over !== undefined) return this.#over
    for (const { message, more } of this.#unheard.splice(0)) await this.onMessage(message, more)
    this.considerParking()
    return await this.#ended.promise
  }

  /** Handles a message. A returned promise asks the next one to wait. A failure ends the turn and is not thrown. */
  onMessage(message: unknown, more: Heard['more'] = []): Promise<void> | undefined {
    return this.#guard(() => this.#take(message, more))
  }

  #take(message: unknown, more: Heard['more']): Promise<void> | undefined {
    if (this.#over !== undefined) return undefined
    if (this.#context === undefined) {
      this.#unheard.push({ message, more })
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
    const events = this.translator.translate(message, more)
    const wait = this.#context.emit(events)
    this.#reportCalls((calls) => calls.hear(message))
    const { end } = this.translator
    if (end !== undefined && hasType(message, 'result')) {
      const { facts: _facts, ...runEnd } = end
      // A message steered in after the last step gets a turn and a result of its own. The run continues until then.
      const goesOn = this.#steered.size > 0 && end.outcome === 'success'
      if (goesOn) this.#safeEntry = this.#lastEntry
      else this.#finish(runEnd)
    }
    if (this.#isAsking) this.considerParking()
    return wait
  }

  #note(message: unknown): void {
    if (isObject(message) && message['subtype'] === 'compact_boundary') this.#isSummaryNext = true
    const entry = entryOf(message)
    if (entry === undefined) return
    this.#lastEntry = entry
    if (this.#isSummaryNext) this.#summaryEntry = this.#safeEntry = entry
    this.#isSummaryNext = false
    if (hasType(message, 'assistant')) {
      this.#isMediaUntried = false
      return
    }
    const content = isObject(message) && isObject(message['message']) ? message['message']['content'] : []
    this.#hasRunTools ||= hasResult(content)
    this.give(content)
  }

  /** Whether a tool has run in this turn. The same prompt again would run it twice. */
  get hasRunTools(): boolean {
    return this.#hasRunTools
  }

  /** Notes content that is on its way to the model. */
  give(blocks: unknown): void {
    this.#isMediaUntried ||= hasMedia(blocks)
  }

  /** Whether the model has not yet answered to a picture or document of this turn, and may still refuse it. */
  get isMediaUntried(): boolean {
    return this.#isMediaUntried
  }

  /**
   * Parks the turn soon if a question is pending. Call it when questions have come or gone. The run ends only when the
   * turn is quiet: a question comes as soon as its call is complete, while its message and other tools may continue.
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
    emitUnawaited(this.#context, this.translator.suspend())
    this.#reportCalls((calls) => calls.close(undefined))
    this.#context = undefined
    this.#ended.end(end)
  }

  #reportCalls(over: (calls: ModelCalls) => ModelCall[]): void {
    const { onModelCall } = this.#context ?? {}
    if (onModelCall !== undefined) for (const call of over(this.#calls)) onModelCall(call)
  }

  /** Emits the host's own events to the run in progress. */
  emit(events: readonly AguiEvent[]): void {
    const context = this.#context
    if (context !== undefined) this.#guard(() => emitUnawaited(context, events))
  }

  /** Whether Claude Code may still send messages, or answer a steered message, that belong to no run. */
  get hasLeftovers(): boolean {
    return this.#over !== undefined && (this.#steered.size > 0 || this.#isBroken)
  }

  /** Notes a message that Claude Code will take in. Returns `false` when the turn is over. */
  steer(uuid: string, message: Steered): boolean {
    if (this.#over !== undefined) return false
    this.#steered.set(uuid, message)
    return true
  }

  /** Ends the turn when the process ended without a result or never answered. */
  fail(error: RunnerError): void {
    const { code, message } = error
    const isStopped = this.#context?.signal.aborted === true
    this.#finish(isStopped ? { outcome: 'cancelled' } : { outcome: 'error', code, message })
  }

  /** Returns a steered message's events once Claude Code takes it in. The run's own prompt is in RUN_STARTED. */
  #steeredEvents({ id, state }: { id: string; state: string }): AguiEvent[] {
    const message = this.#steered.get(id)
    if (message === undefined || state !== 'started') return []
    this.#steered.delete(id)
    if (message.isShown) return []
    return takenInEvents(message)
  }

  #finish(end: TurnEnd): void {
    if (this.#over !== undefined) return
    this.#over = end
    this.#sayFinished()
    clearTimeout(this.#parkTimer)
    this.#reportCalls((calls) => calls.close(reasonOf(end)))
    // Emitting may be what failed. The turn is over all the same.
    const close = async (): Promise<void> => this.#context?.emit(this.translator.close())
    inBackground({ name: 'emitting the end of a turn' }, close())
    this.#ended.end(end)
  }

  /** Ends the run with an error when `work` throws, because no caller could report the failure. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.#isBroken = true
      this.fail(
        new RunnerError('internal', `What Claude Code said could not be translated: ${toMessage(error)}`),
      )
      return undefined
    }
  }
}

/** Returns why the model calls in progress at this end got no answer. */
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

/** Emits events that are so few that nobody waits until they are written. */
export function emitUnawaited({ emit }: RunContext, events: readonly AguiEvent[]): void {
  inBackground({ name: 'emitting events' }, Promise.resolve(emit(events)))
}

export function protocolEnd(message: string): RunEnd {
  return { outcome: 'error', code: 'claude_protocol', message }
}
