import { aggregateTokenUsage, type Interrupt, type TokenUsage } from '@ag-ui/core'
import {
  isOwn,
  type LogRecord,
  Refusal,
  type Run,
  type RunEnd,
  type Runner,
  type RunRequest,
  type Thread,
} from '@agui-runner/client'
import { toAsked } from '../agui/asked.ts'
import { AnswerText } from './answer-text.ts'
import type { Person } from './person.ts'

export interface OneOffOptions {
  runner: Runner
  threadId: string
  prompt: string
  model: string | undefined
  costLimitUsd: number | undefined
  person: Person
  /** Aborted when the run shall end; it is interrupted and read to its end. */
  signal: AbortSignal
  /** Each record in order, with what it adds to the answer for who reads along; the next one waits for it. */
  onRecord(record: LogRecord, shown: string): Promise<void>
}

export interface OneOffEnd {
  outcome: 'success' | 'error' | 'cancelled' | 'interrupt'
  /** The answer: the agent's last words, as far as they came. */
  text: string
  /** The run's structured result, when it has one. */
  result?: unknown
  runIds: string[]
  usage: TokenUsage[]
  error?: { code: string; message: string }
  /** Why it was cancelled, when the run itself has a reason: a limit of cost, a hook. */
  reason?: string
}

/** How long an interrupted run is waited for: the runner ends it itself well before. */
const LEAVE_MS = 20_000

/**
 * One prompt on one thread, to its end: what the run asks on the way is answered by the person, and before it what an
 * earlier run has left open. That is a run of its own: an answer and a new prompt are two things to the model.
 */
export async function runOneOff(options: OneOffOptions): Promise<OneOffEnd> {
  const { runner, threadId, prompt, signal } = options
  const thread = runner.thread(threadId)
  const reading = new Reading(options)
  const parts = { reading, options }
  const leftOpen = (): OneOffEnd => reading.told(signal.aborted ? 'cancelled' : 'interrupt')
  if (!(await settle(thread, await openInterrupts(thread), parts))) return leftOpen()
  if (reading.end?.type === 'RUN_ERROR') return reading.told()
  if (signal.aborted) return reading.told('cancelled')
  await reading.read(thread, { content: prompt })
  return (await settle(thread, interruptsOf(reading.end), parts)) ? reading.told() : leftOpen()
}

/** @returns whether nothing is left open. */
async function settle(
  thread: Thread,
  open: readonly Interrupt[],
  { reading, options }: { reading: Reading; options: OneOffOptions },
): Promise<boolean> {
  const { person, signal } = options
  for (let waiting = open; waiting.length > 0; waiting = interruptsOf(reading.end)) {
    const resume = await person.answer(waiting.map(toAsked), signal)
    if (resume === undefined || signal.aborted) return false
    await reading.read(thread, { resume })
  }
  return true
}

/** What an earlier run on this thread has left open. */
async function openInterrupts(thread: Thread): Promise<readonly Interrupt[]> {
  try {
    return (await thread.describe()).interrupts
  } catch (error) {
    if (error instanceof Refusal && error.code === 'not_found') return []
    throw error
  }
}

function interruptsOf(end: RunEnd | undefined): readonly Interrupt[] {
  return end?.type === 'RUN_FINISHED' && end.outcome?.type === 'interrupt' ? end.outcome.interrupts : []
}

/** The runs of one prompt, as they are read. */
class Reading {
  readonly #options: OneOffOptions
  readonly #text = new AnswerText()
  readonly #runIds: string[] = []
  readonly #usage: TokenUsage[] = []
  #reason: string | undefined
  end: RunEnd | undefined

  constructor(options: OneOffOptions) {
    this.#options = options
  }

  async read(thread: Thread, request: RunRequest): Promise<void> {
    const { signal, model, costLimitUsd } = this.#options
    const claude = {
      ...(model === undefined ? {} : { model }),
      ...(costLimitUsd === undefined ? {} : { maxCostUsd: costLimitUsd }),
    }
    const leaving = new AbortController()
    let timer: NodeJS.Timeout | undefined
    let run: Run | undefined
    const stop = (): void => {
      timer ??= setTimeout(() => leaving.abort(), LEAVE_MS)
      // Before the runner has taken it in there is nothing to interrupt; then it is done below.
      if (run !== undefined) thread.interrupt().catch(() => leaving.abort())
    }
    signal.addEventListener('abort', stop, { once: true })
    try {
      run = await thread.run({ ...request, forwardedProps: { claude } }, { signal: leaving.signal })
      if (signal.aborted) stop()
      this.#runIds.push(run.runId)
      for await (const record of run) await this.#take(record)
      this.end = run.end
      this.#usage.push(...usageOf(run.end))
    } catch (error) {
      if (!leaving.signal.aborted) throw error
      this.end = undefined
    } finally {
      signal.removeEventListener('abort', stop)
      clearTimeout(timer)
    }
  }

  async #take(record: LogRecord): Promise<void> {
    const { event } = record
    if (isOwn('limit_reached', event))
      this.#reason = event.value.message ?? `the limit of ${event.value.limit}`
    if (isOwn('turn_stopped', event)) this.#reason = event.value.message ?? event.value.reason
    await this.#options.onRecord(record, this.#text.add(event))
  }

  told(outcome?: OneOffEnd['outcome']): OneOffEnd {
    const common = {
      text: this.#text.last,
      runIds: this.#runIds,
      usage: aggregateTokenUsage(this.#usage),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    }
    const { end } = this
    if (outcome !== undefined) return { outcome, ...common }
    // Nothing is left of a run that was stopped and not read to its end.
    if (end === undefined) return { outcome: 'cancelled', ...common }
    if (end.type === 'RUN_ERROR') {
      const error = { code: end.code ?? 'internal', message: end.message }
      return { outcome: 'error', ...common, error }
    }
    const result = end.result === undefined ? {} : { result: end.result }
    return { outcome: end.outcome?.type ?? 'success', ...common, ...result }
  }
}

function usageOf(end: RunEnd | undefined): readonly TokenUsage[] {
  return end?.usage ?? []
}
