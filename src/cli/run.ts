import { newId, Refusal, Runner } from '@agui-runner/client'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { AskedOnce } from '../agui/asked.ts'
import { isCode, RunnerError, toMessage } from '../errors.ts'
import type { Launched, LaunchSettings } from '../launch/launch.ts'
import { parseDuration } from '../one-off/duration.ts'
import { type OneOffEnd, runOneOff } from '../one-off/one-off.ts'
import { EventsFile, Output } from '../one-off/output.ts'
import { nobody, type Person, personAt } from '../one-off/person.ts'
import { printable } from '../one-off/printable.ts'
import { readPrompt } from '../one-off/read-prompt.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOfError } from './exit.ts'
import { HereThreads, openHere } from './here.ts'
import { addLaunchOptions, type LaunchFlags } from './launch-options.ts'
import { withoutSecrets } from './secrets.ts'
import { stopSignal } from './stop-signal.ts'

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

type RunFlags = RunOwnFlags & LaunchFlags

export function runCommand(context: CliContext): Command {
  const command = new Command('run')
    .description('Run one prompt and print the answer')
    .option('-p, --prompt <text>', 'what to do; what is piped in stands behind it')
    .option('--prompt-file <file>', 'the same from a file, or from stdin with -')
    .option('--here', 'in this folder, by this machine, instead of in a container')
    .addOption(new Option('-c, --continue', 'go on with the last thread of this folder').conflicts('thread'))
    .option('--thread <id>', 'go on with this thread, or begin it')
    .option('--model <name>', 'the model, instead of LLM_MODEL')
    .option('--time-limit <duration>', 'interrupt it after 90s, 30m or 2h', toDuration)
    .option('--cost-limit <usd>', 'stop when the model has cost so much', toAmount)
    .option('--json', 'print one JSON object when it is over, instead of the text')
    .option('--events <file>', 'write the AG-UI events there as they come, one JSON object a line')
  return addLaunchOptions(command, context.version).action(async (flags: RunFlags) => {
    process.exit(await new OneOffCommand(context, flags).run())
  })
}

function toDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new InvalidArgumentError('Give a number and a unit: 90s, 30m or 2h.')
  return ms
}

function toAmount(text: string): number {
  const usd = /^\d*\.?\d+$/.test(text) ? Number(text) : 0
  if (usd === 0) throw new InvalidArgumentError('Give dollars, such as 0.50.')
  return usd
}

/** What `--json` prints, and the exit code follows from. */
interface Told extends Partial<OneOffEnd> {
  outcome: OneOffEnd['outcome']
  exitCode: number
}

/** One `agui-runner run`. stdout is the answer; everything else is said on stderr. */
class OneOffCommand {
  readonly #context: CliContext
  readonly #flags: RunFlags
  readonly #beganAt = performance.now()
  readonly #refused: { tool: string; message: string }[] = []
  /** Why the run was ended from here. */
  #reason: string | undefined
  #fatal: unknown
  #launched: Launched | undefined
  /** That the clone in the container is on. */
  #branch: string | undefined
  readonly #stopping = stopSignal(() =>
    this.#stop('interrupted', 'interrupting the run; once more leaves at once'),
  )
  readonly #stdout = new Output(process.stdout, () => this.#stop('nobody reads stdout', undefined))

  constructor(context: CliContext, flags: RunFlags) {
    this.#context = context
    this.#flags = flags
    // Nobody may read it, and nothing depends on it.
    process.stderr.on('error', () => {})
  }

  /** @returns the exit code. */
  async run(): Promise<number> {
    if (this.#flags.dryRun === true) return await this.#dryRun()
    const timer =
      this.#flags.timeLimit === undefined
        ? undefined
        : setTimeout(
            () => this.#stop('the time limit', 'the time limit is reached: interrupting the run'),
            this.#flags.timeLimit,
          )
    const threadId = await this.#threadId().catch((error: unknown) => error)
    const told = typeof threadId === 'string' ? await this.#runOn(threadId) : failed(threadId)
    clearTimeout(timer)
    await this.#tell(told, typeof threadId === 'string' ? threadId : undefined)
    return told.exitCode
  }

  async #dryRun(): Promise<number> {
    try {
      const { printDry } = await import('./launch.ts')
      await printDry(await this.#launchOptions())
      return EXIT.ok
    } catch (error) {
      const told = failed(error)
      await this.#tell(told, undefined)
      return told.exitCode
    }
  }

  async #runOn(threadId: string): Promise<Told> {
    try {
      const told = toTold(await this.#perform(threadId))
      // What the end of the place cut off is no cancelled run.
      return this.#fatal === undefined || told.outcome === 'success'
        ? told
        : { ...told, ...failed(this.#fatal) }
    } catch (error) {
      // A start that was cut short fails in many ways, and none of them is its reason.
      if (this.#fatal === undefined && this.#stopping.signal.aborted)
        return { outcome: 'cancelled', exitCode: EXIT.cancelled }
      return failed(this.#fatal ?? error)
    }
  }

  async #threadId(): Promise<string> {
    const { here, thread, continue: isContinued } = this.#flags
    if (here !== true && (thread ?? isContinued) !== undefined)
      throw new RunnerError(
        'config_invalid',
        'A container has no earlier thread: --continue and --thread go with --here.',
      )
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
    const say = (line: string): void => this.#say(line)
    const text = await readPrompt({ text: prompt, file: promptFile, stdin: process.stdin, signal, say })
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
          if (this.#flags.json !== true) await this.#stdout.write(this.#shown(shown))
        },
      })
    } finally {
      await place.close()
      await file?.close()
      if (file?.problem !== undefined) say(`--events has not everything: ${file.problem}`)
    }
  }

  async #open(threadId: string): Promise<{ runner: Runner; close(): Promise<void> }> {
    const onFatal = (error: unknown): void => {
      this.#fatal = error
      this.#stopping.stop()
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
    const { kind, branch } = options.workspace
    if (kind === 'clone') this.#branch = branch
    const launched = await launch(options)
    this.#launched = launched
    launched.ended.then(onFatal, onFatal)
    return {
      runner: new Runner({ url: 'http://localhost', fetch: (url, options) => launched.fetch(url, options) }),
      close: () => launched.close(),
    }
  }

  async #launchOptions(): Promise<LaunchSettings> {
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

  #shown(text: string): string {
    return this.#context.isTerminal ? printable(text) : text
  }

  #stop(reason: string, line: string | undefined): void {
    this.#reason ??= reason
    if (line !== undefined) this.#say(line)
    this.#stopping.stop()
  }

  async #tell(told: Told, threadId: string | undefined): Promise<void> {
    const reason = told.outcome === 'cancelled' ? (this.#reason ?? told.reason) : undefined
    if (this.#flags.json === true) {
      const durationMs = Math.round(performance.now() - this.#beganAt)
      const object = { ...told, threadId, durationMs, reason, ...this.#left(), refused: this.#refused }
      await this.#stdout.write(`${await withoutSecrets(JSON.stringify(object), this.#context.env)}\n`)
    }
    await this.#stdout.flush()
    if (told.error !== undefined)
      this.#say(`${told.error.code}: ${await withoutSecrets(told.error.message, this.#context.env)}`)
    if (told.outcome === 'cancelled') this.#say(`cancelled${reason === undefined ? '' : `: ${reason}`}`)
    if (told.outcome === 'interrupt')
      this.#say('the run waits for an answer: run it with --continue on a terminal to give one')
  }

  /** What is of a container, when it is gone. */
  #left(): { branch?: string; pullRequests?: readonly string[] } {
    const pullRequests = this.#launched?.pullRequests
    return {
      ...(this.#branch === undefined ? {} : { branch: this.#branch }),
      ...(pullRequests === undefined ? {} : { pullRequests }),
    }
  }

  #say(line: string): void {
    process.stderr.write(`agui-runner: ${printable(line)}\n`)
  }
}

function toTold(end: OneOffEnd): Told {
  return { ...end, exitCode: exitCodeOfOutcome(end) }
}

/** Nothing was run, or nobody knows how it ended. */
function failed(error: unknown): Told {
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
