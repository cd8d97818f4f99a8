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
  /** Abort it to end the run: the run is interrupted and read to its end. */
  signal: AbortSignal
  /** Called for each record in order, with the text that it adds to the shown answer. The next record waits for it. */
  onRecord(record: LogRecord, shown: string): Promise<void>
}

export interface OneOffEnd {
  outcome: 'success' | 'error' | 'cancelled' | 'interrupt'
  /** The answer: the agent's last message, as far as it was received. */
  text: string
  /** The run's structured result. Absent when it has none. */
  result?: unknown
  runIds: string[]
  usage: TokenUsage[]
  error?: { code: string; message: string }
  /** The run's own reason for its cancellation, such as a cost limit or a hook. */
  reason?: string
  /** What kept the runs from being read to their end. The other members hold what was received before it. */
  failure?: unknown
}

/** Limit of the wait for an interrupted run, in milliseconds. The runner ends the run well before it. */
const LEAVE_MS = 20_000

/**
 * Runs one prompt on one thread to its end. The person answers the interrupts of the run, and before it those that an
 * earlier run has left open. The latter get a run of their own: an answer and a new prompt are two things to the model.
 * What fails is returned beside what was received by then.
 */
export async function runOneOff(options: OneOffOptions): Promise<OneOffEnd> {
  const reading = new Reading(options)
  try {
    return await perform(reading, options)
  } catch (failure) {
    return { ...reading.result('error'), failure }
  }
}

async function perform(reading: Reading, options: OneOffOptions): Promise<OneOffEnd> {
  const { runner, threadId, prompt, signal } = options
  const thread = runner.thread(threadId)
  const parts = { reading, options }
  const leftOpen = (): OneOffEnd => reading.result(signal.aborted ? 'cancelled' : 'interrupt')
  if (!(await settle(thread, await openInterrupts(thread), parts))) return leftOpen()
  if (reading.end?.type === 'RUN_ERROR') return reading.result()
  if (signal.aborted) return reading.result('cancelled')
  await reading.read(thread, { content: prompt })
  return (await settle(thread, interruptsOf(reading.end), parts)) ? reading.result() : leftOpen()
}

/** Has the person answer interrupts until none is open. @returns whether none is left open. */
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

/** Returns the interrupts that an earlier run on this thread has left open. */
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

/** Reads the runs of one prompt. */
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
      // Until the runner has accepted the run there is nothing to interrupt. `stop` is called again below then.
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

  result(outcome?: OneOffEnd['outcome']): OneOffEnd {
    const common = {
      text: this.#text.last,
      runIds: this.#runIds,
      usage: aggregateTokenUsage(this.#usage),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    }
    const { end } = this
    if (outcome !== undefined) return { outcome, ...common }
    // A run that was stopped and not read to its end has no end.
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
