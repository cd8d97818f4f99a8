import { newId, Refusal, Runner } from '@agui-runner/client'
import type { AskedOnce } from '../agui/asked.ts'
import { isCode, RunnerError, toMessage } from '../errors.ts'
import type { Launched } from '../launch/launch.ts'
import { type OneOffEnd, runOneOff } from '../one-off/one-off.ts'
import { EventsFile } from '../one-off/output.ts'
import { nobody, type Person, personAt } from '../one-off/person.ts'
import { type PromptSources, readPrompt } from '../one-off/read-prompt.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOfError } from './exit.ts'
import { HereThreads, openHere } from './here.ts'
import type { FoundSettings, LaunchFlags } from './launch-options.ts'
import { withoutSecrets } from './secrets.ts'

interface RunOwnFlags {
  prompt?: string
  promptFile?: string
  here?: boolean
  continue?: boolean
  thread?: string
  model?: string
  timeLimit?: number
  costLimit?: number
  json?: boolean
  events?: string
}

export type RunFlags = RunOwnFlags & LaunchFlags

interface OneOffResult extends Partial<Omit<OneOffEnd, 'reason' | 'failure'>> {
  reason?: string | undefined
  outcome: OneOffEnd['outcome']
  exitCode: number
}

const CANCELLED = { outcome: 'cancelled', exitCode: EXIT.cancelled } as const

/** The `reason` of a run that its time limit cancelled. */
export const TIME_LIMIT = 'the time limit'

/** The result of a run, as `--json` prints it. */
export interface OneOffReport extends OneOffResult {
  threadId: string | undefined
  durationMs: number
  refused: readonly { tool: string; message: string }[]
  /** This and the following members are of a launch, once it has ended. */
  mode?: string
  modeReason?: string
  branch?: string
  pullRequests?: readonly string[]
}

export interface OneOffSurroundings {
  stdin: PromptSources['stdin']
  /** Prints one line for the person. */
  say(line: string): void
  /** Called with the agent's text as it is received. Awaited before the next text. */
  onText(text: string): Promise<void>
}

/** One `agui-runner run`. */
export class OneOff {
  readonly #context: CliContext
  readonly #flags: RunFlags
  readonly #surroundings: OneOffSurroundings
  readonly #beganAt = performance.now()
  readonly #refused: { tool: string; message: string }[] = []
  readonly #stopping = new AbortController()
  /** The reason why this process ended the run. */
  #reason: string | undefined
  #fatal: unknown
  /** Whether the file of `--events` lacks some of them. */
  #lacksEvents = false
  #launched: Launched | undefined
  #options: FoundSettings | undefined

  constructor(context: CliContext, flags: RunFlags, surroundings: OneOffSurroundings) {
    this.#context = context
    this.#flags = flags
    this.#surroundings = surroundings
  }

  async run(): Promise<OneOffReport> {
    const { timeLimit } = this.#flags
    const timer =
      timeLimit === undefined
        ? undefined
        : setTimeout(
            () => this.stop(TIME_LIMIT, 'the time limit is reached: interrupting the run'),
            timeLimit,
          )
    const threadId = await this.#threadId().catch((error: unknown) => error)
    const result = typeof threadId === 'string' ? await this.#runOn(threadId) : failed(threadId)
    clearTimeout(timer)
    if (this.#lacksEvents && result.exitCode === EXIT.ok) result.exitCode = EXIT.internal
    return await this.#reportOf(result, typeof threadId === 'string' ? threadId : undefined)
  }

  /** Prints the plan. @returns a report when planning fails. */
  async dryRun(): Promise<OneOffReport | undefined> {
    try {
      const { printDry } = await import('./launch.ts')
      await printDry(await this.#launchOptions())
      return undefined
    } catch (error) {
      return await this.#reportOf(failed(error), undefined)
    }
  }

  /** Interrupts the run, which is still read to its end. The first reason counts. */
  stop(reason: string, line: string | undefined): void {
    this.#reason ??= reason
    if (line !== undefined) this.#say(line)
    this.#stopping.abort()
  }

  /** Ends the container without a grace period, also when its end is in progress. */
  async hurry(): Promise<void> {
    await this.#launched?.close(true)
  }

  async #runOn(threadId: string): Promise<OneOffResult> {
    const end = await this.#perform(threadId).catch((failure: unknown) => ({ failure }))
    const { failure, ...received } = end
    const reason = this.#fatal ?? failure
    if (!('outcome' in received)) return this.#isStopped ? CANCELLED : failed(reason)
    // A run that was cut off by the end of its place has failed; it was not cancelled.
    if (reason === undefined || received.outcome === 'success') return resultOf(received)
    return { ...received, ...(this.#isStopped ? CANCELLED : failed(reason)) }
  }

  /** Whether this process ended the run. An aborted start fails in many ways, and none of the errors is the reason. */
  get #isStopped(): boolean {
    return this.#fatal === undefined && this.#stopping.signal.aborted
  }

  async #threadId(): Promise<string> {
    const { here, thread, continue: isContinued } = this.#flags
    if (here !== true && (thread ?? isContinued) !== undefined)
      throw new RunnerError(
        'config_invalid',
        'A container has no earlier thread: --continue and --thread go with --here.',
      )
    if (thread !== undefined && /^\.{0,2}$/.test(thread))
      throw new RunnerError('config_invalid', `--thread ${JSON.stringify(thread)}: give it another name.`)
    if (isContinued !== true) return thread ?? newId()
    const last = await new HereThreads(this.#context).last()
    if (last === undefined)
      throw new RunnerError(
        'config_invalid',
        'There is no thread to continue: nothing was run in this folder yet.',
      )
    return last
  }

  async #perform(threadId: string): Promise<OneOffEnd> {
    const { prompt, promptFile, model, costLimit, events } = this.#flags
    const { signal } = this.#stopping
    const { stdin, say, onText } = this.#surroundings
    const text = await readPrompt({ text: prompt, file: promptFile, stdin, signal, say })
    const file = events === undefined ? undefined : await EventsFile.open(events)
    const place = await this.#open(threadId).catch(async (error: unknown) => {
      await file?.close()
      throw error
    })
    try {
      signal.throwIfAborted()
      return await runOneOff({
        ...{ runner: place.runner, threadId, prompt: text, model, costLimitUsd: costLimit, signal },
        person: this.#person(),
        onRecord: async (record, shown) => {
          await file?.write(record)
          await onText(shown)
        },
      })
    } finally {
      await place.close()
      await file?.close()
      if (file?.problem !== undefined) {
        this.#lacksEvents = true
        say(`--events has not everything: ${file.problem}`)
      }
    }
  }

  async #open(threadId: string): Promise<{ runner: Runner; close(): Promise<void> }> {
    const onFatal = (error: unknown): void => {
      this.#fatal = error
      this.#stopping.abort()
    }
    if (this.#flags.here !== true) return await this.#launch(onFatal)
    const threads = new HereThreads(this.#context)
    const stateDirectory = threads.stateDirectory(threadId)
    const { model } = this.#flags
    const here = await openHere({ context: this.#context, threadId, stateDirectory, model, onFatal })
    await threads.setLast(threadId)
    return here
  }

  async #launch(onFatal: (error: unknown) => void): Promise<{ runner: Runner; close(): Promise<void> }> {
    const { launch } = await import('../launch/launch.ts')
    const options = await this.#launchOptions()
    this.#options = options
    const launched = await launch(options)
    this.#launched = launched
    launched.ended.then(onFatal, onFatal)
    return {
      runner: new Runner({ url: 'http://localhost', fetch: (url, options) => launched.fetch(url, options) }),
      close: () => launched.close(),
    }
  }

  async #launchOptions(): Promise<FoundSettings> {
    const { launchOptionsOf } = await import('./launch-options.ts')
    const { signal } = this.#stopping
    return await launchOptionsOf({
      ...{ context: this.#context, flags: this.#flags, signal },
      say: (line) => this.#say(line),
    })
  }

  #person(): Person {
    if (process.stdin.isTTY && process.stderr.isTTY) return personAt(process.stdin, process.stderr)
    return nobody((asked) => this.#onRefused(asked))
  }

  #onRefused({ tool, message }: AskedOnce): void {
    this.#refused.push({ tool, message })
    this.#say(
      `refused, for there is no terminal to ask on: ${message} (PERMISSION_MODE says what needs no asking)`,
    )
  }

  async #reportOf(result: OneOffResult, threadId: string | undefined): Promise<OneOffReport> {
    const reason = result.outcome === 'cancelled' ? (this.#reason ?? result.reason) : undefined
    if (result.error !== undefined)
      this.#say(`${result.error.code}: ${await withoutSecrets(result.error.message, this.#context.env)}`)
    if (result.outcome === 'cancelled') this.#say(`cancelled${reason === undefined ? '' : `: ${reason}`}`)
    if (result.outcome === 'interrupt')
      this.#say('the run waits for an answer: run it with --continue on a terminal to give one')
    const durationMs = Math.round(performance.now() - this.#beganAt)
    return { ...result, threadId, durationMs, reason, ...this.#left(), refused: this.#refused }
  }

  /** Returns the report's members that are of a launch. */
  #left(): Pick<OneOffReport, 'mode' | 'modeReason' | 'branch' | 'pullRequests'> {
    if (this.#options === undefined) return {}
    const { mode, modeReason, workspace } = this.#options
    const pullRequests = this.#launched?.pullRequests
    return {
      mode,
      modeReason,
      ...(workspace.kind === 'clone' ? { branch: workspace.branch } : {}),
      ...(pullRequests === undefined ? {} : { pullRequests }),
    }
  }

  #say(line: string): void {
    this.#surroundings.say(line)
  }
}

function resultOf(end: OneOffEnd): OneOffResult {
  return { ...end, exitCode: exitCodeOfOutcome(end) }
}

/** Returns the result of a run that did not start, or whose end is unknown. */
function failed(error: unknown): OneOffResult {
  const message = toMessage(error)
  if (error instanceof Refusal) {
    const exitCode = error.code === 'invalid_input' ? EXIT.config : EXIT.failed
    return { outcome: 'error', exitCode, error: { code: error.code, message } }
  }
  const code = error instanceof RunnerError ? error.code : 'internal'
  const exitCode = isCode(error, 'thread_busy') ? EXIT.failed : exitCodeOfError(error)
  return { outcome: 'error', exitCode, error: { code, message } }
}

function exitCodeOfOutcome({ outcome, error }: OneOffEnd): number {
  if (outcome === 'success') return EXIT.ok
  if (outcome === 'interrupt') return EXIT.waiting
  const isTimeout = error?.code === 'run_timeout' || error?.code === 'run_idle_timeout'
  return outcome === 'cancelled' || isTimeout ? EXIT.cancelled : EXIT.failed
}
