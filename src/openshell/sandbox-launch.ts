import { RunnerError, toMessage } from '../errors.ts'
import { unlessAborted } from '../within.ts'
import { EXEC_PACE, type ExecPace, execUntilExit } from './exec.ts'
import type { Gateway } from './gateway-client.ts'
import { Forward } from './port-forward.ts'
import { type ProviderSecrets, provideProviders } from './providers.ts'
import { putAway, type SandboxState } from './put-away.ts'
import { untilServing } from './runner-health.ts'
import { provideSandbox, SANDBOX_PACE, type SandboxPace, untilReady } from './sandbox.ts'
import { RUN_LABEL, type SandboxPlan } from './sandbox-plan.ts'
import { inside, inWorkspace, type Sandbox, type SandboxAt } from './service.ts'
import { UPLOAD_PAUSES, upload } from './upload.ts'

export interface SandboxLaunchOptions {
  gateway: Gateway
  plan: SandboxPlan
  secrets: ProviderSecrets
  /** The id of this launch, which no other launch has. */
  run: string
  /** Aborts the start; a launched sandbox is ended by `close`. */
  signal: AbortSignal
  say(line: string): void
  /** Called with the command's output, stdout and stderr alike. */
  onOutput(data: Uint8Array): void
  /** Called when the sandbox exists, made or found. A process that is killed after this leaves the sandbox behind. */
  onSandbox(sandbox: Sandbox, isMade: boolean): void
  pace?: Partial<LaunchPace>
}

/** The pauses and limits of a launch, in milliseconds. */
export interface LaunchPace {
  sandbox: SandboxPace
  exec: ExecPace
  uploadPauses: readonly number[]
  /** Limit until the command answers GET /health. */
  health: number
  /** Limit of the whole cleanup at the end. */
  end: number
}

export const LAUNCH_PACE: LaunchPace = {
  sandbox: SANDBOX_PACE,
  exec: EXEC_PACE,
  uploadPauses: UPLOAD_PAUSES,
  health: 120_000,
  end: 180_000,
}

/** The command's exit code, or the failure after which its state is unknown. */
type CommandEnd = { code: number } | { failure: Error }

export interface LaunchedSandbox {
  /** The address of the command's HTTP server on this machine: `http://127.0.0.1:PORT`, or a socket's path. */
  address: string
  ended: Promise<CommandEnd>
  /** Cleans up as the plan's `onEnd` says, also while the command runs. Safe to call twice. */
  close(): Promise<SandboxState>
}

/**
 * Provides the sandbox of the plan, starts the command in it and waits until the command answers.
 *
 * @throws {RunnerError} with the cause's code, else `sandbox_failed`. The message names the cause and the state that is
 *   left at the gateway.
 */
export async function launchSandbox(options: SandboxLaunchOptions): Promise<LaunchedSandbox> {
  const launch = new Launch(options)
  try {
    return await launch.start()
  } catch (error) {
    const { sentence } = await launch.close()
    const why = options.signal.aborted ? 'The launch was stopped' : toMessage(error).replace(/\.$/, '')
    const code = error instanceof RunnerError ? error.code : 'sandbox_failed'
    throw new RunnerError(code, `${why}. ${sentence}`, { cause: error })
  }
}

class Launch {
  readonly #options: SandboxLaunchOptions
  readonly #pace: LaunchPace
  /** Ends the command's stream. The command itself runs on until its sandbox ends. */
  readonly #closing = new AbortController()
  #mayHaveMade = false
  #forward: Forward | undefined
  #ended: Promise<CommandEnd> | undefined
  #closed: Promise<SandboxState> | undefined

  constructor(options: SandboxLaunchOptions) {
    this.#options = options
    this.#pace = { ...LAUNCH_PACE, ...options.pace }
  }

  async start(): Promise<LaunchedSandbox> {
    const { gateway, plan, secrets, run, signal, say, onSandbox } = this.#options
    const { name, workspace } = plan
    this.#mayHaveMade = true
    await provideProviders(gateway, plan, { workspace, secrets, signal, say })
    const { sandbox: made, isMade } = await provideSandbox(gateway, plan, { run, signal })
    onSandbox(made, isMade)
    if (!isMade) say(`the sandbox ${name} was there before (${made.phase}); what it was made with stays`)
    const sandbox = await untilReady(gateway, plan, { pace: this.#pace.sandbox, signal })
    const at = { id: sandbox.id, name, workspace }
    await this.#addRules()
    if (isMade) await this.#upload(at)
    else if (plan.uploads.length > 0) say('nothing is uploaded into a sandbox that was there before')
    const ended = this.#run(at, isMade ? {} : { IS_RESUME: 'true' })
    this.#ended = ended
    let answers = false
    const forward = await Forward.open({
      ...{ gateway, sandbox: at, ...plan.forward },
      // Before the first answer nothing listens in the sandbox, so failed connections are not reported.
      say: (line) => {
        if (answers) say(line)
      },
    })
    this.#forward = forward
    await this.#untilServing(forward, ended)
    answers = true
    return { address: forward.address, ended, close: () => this.close() }
  }

  close(): Promise<SandboxState> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<SandboxState> {
    this.#closing.abort()
    await this.#forward?.close()
    await this.#ended
    if (!this.#mayHaveMade) return { state: 'none', sentence: 'Nothing was made.' }
    const { gateway, plan, run } = this.#options
    return await putAway(gateway, plan, {
      pace: this.#pace.sandbox,
      timeoutMs: this.#pace.end,
      // The cleanup runs to its end also when the launch was stopped.
      signal: new AbortController().signal,
      decide({ labels }) {
        if (plan.onEnd !== 'auto') return plan.onEnd
        return labels[RUN_LABEL] === run ? 'delete' : 'leave'
      },
    })
  }

  /** Adds all rules or none: when the gateway refuses one rule, it adds no other. */
  async #addRules(): Promise<void> {
    const { gateway, plan, signal } = this.#options
    const { name, workspace, rules } = plan
    const merge_operations = Object.entries(rules).map(([rule_name, rule]) => ({
      add_rule: { rule_name, rule },
    }))
    if (merge_operations.length === 0) return
    const request = { name, sandbox: name, merge_operations, ...inWorkspace(workspace) }
    await gateway.call('UpdateConfig', request, signal)
  }

  async #upload(sandbox: SandboxAt): Promise<void> {
    const { gateway, plan, signal } = this.#options
    for (const one of plan.uploads)
      await upload(gateway, one, { sandbox, signal, pauses: this.#pace.uploadPauses })
  }

  async #run(sandbox: SandboxAt, environment: Record<string, string>): Promise<CommandEnd> {
    const { gateway, plan, say, onOutput } = this.#options
    const request = { ...inside(sandbox), command: plan.command, environment }
    try {
      const code = await execUntilExit(gateway, request, {
        signal: this.#closing.signal,
        pace: this.#pace.exec,
        onOutput,
        onRetry: ({ message }) => say(`the command's stream broke and is begun again: ${message}`),
      })
      return code === undefined ? { failure: failed(`The sandbox ${sandbox.name} is gone`) } : { code }
    } catch (error) {
      return { failure: error instanceof Error ? error : new Error(toMessage(error)) }
    }
  }

  async #untilServing(forward: Forward, ended: Promise<CommandEnd>): Promise<void> {
    const { signal, plan } = this.#options
    const early = ended.then((end) => {
      if ('failure' in end) throw end.failure
      throw failed(`${plan.command[0]} ended with ${end.code} before it answered`)
    })
    const wants = { signal: this.#closing.signal, timeoutMs: this.#pace.health }
    const serving = untilServing(forward.place, wants)
    // The later of the two failures has no other handler.
    for (const one of [early, serving]) one.catch(() => undefined)
    await unlessAborted(signal, Promise.race([early, serving]))
  }
}

function failed(message: string): RunnerError {
  return new RunnerError('sandbox_failed', `${message}.`)
}
