import type { ChildProcess } from 'node:child_process'
import type { McpServerConfig, Options, Query, SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import type { ToolServer } from '../../agent/agent.ts'
import { AwakeTimer } from '../../awake-timer.ts'
import { inBackground } from '../../background.ts'
import { claudeExited, claudeStarted, policyDenied } from '../../channels.ts'
import { hasErrno } from '../../errno.ts'
import { RunnerError, toMessage } from '../../errors.ts'
import { signalProcess } from '../../process-table.ts'
import { unlessAborted } from '../../within.ts'
import type { Heard } from './deltas.ts'
import { killTree, processesOf } from './process-tree.ts'
import { PromptQueue } from './prompt-queue.ts'
import { type Prepared, type Spawned, type Spawning, spawnDetached } from './spawning.ts'

export interface ClaudeProcessOptions extends Spawning {
  /** Options of the SDK's `query`. The executable in them is the wrapper. */
  sdk: Options
  startTimeoutMs: number
  /** Time that Claude Code has to answer a control request before it counts as hung. */
  controlTimeoutMs: number
  /** Time that Claude Code has for each step of its end: end of input, SIGTERM, SIGKILL. */
  stopStepMs: number
  /** Called before each start; returns what starts the process. Undefined for an ordinary process. */
  prepareStart?: (() => Promise<Prepared>) | undefined
  /** Ends the processes that this process's commands left running. */
  endLeftovers?: ((child: ChildProcess) => Promise<void>) | undefined
  /** Called with every message of Claude Code, in order. A returned promise holds the next message back. */
  onMessage(heard: Heard): Promise<void> | undefined
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  /** The last lines of its stderr. */
  stderr: string
}

const STDERR_TAIL_CHARS = 4096
/** Exit code of the wrapper when there is no binary. */
const NOT_FOUND_EXIT = 127

/** One Claude Code process, started through the wrapper and driven by the SDK over its control protocol. */
export class ClaudeProcess {
  /** Resolves when the process has ended and all its output was handled. Never rejects. */
  readonly exited: Promise<Exit>
  readonly #query: Query
  readonly #input: PromptQueue
  readonly #options: ClaudeProcessOptions
  readonly #child: Spawned
  /** Resolves when the process has ended. Its last output may come later. */
  readonly #ended: Promise<Omit<Exit, 'stderr'>>
  #answered = false
  /** The SDK's own reason for refusing the process, which it then ends. */
  #refusal: string | undefined
  #exit: Exit | undefined
  readonly #exitListeners = new Set<(exit: Exit) => void>()
  #closing: Promise<void> | undefined

  private constructor(query: Query, input: PromptQueue, child: Spawned, options: ClaudeProcessOptions) {
    this.#query = query
    this.#input = input
    this.#child = child
    this.#options = options
    const stderr = tailOf(child)
    this.#ended = exitOf(child)
    this.exited = Promise.all([this.#ended, this.#pump()]).then(([exit]) => {
      this.#exit = { ...exit, stderr: stderr() }
      for (const listener of this.#exitListeners) listener(this.#exit)
      return this.#exit
    })
    const { pid } = child
    claudeStarted.publish({ ...options.observed(), pid })
    const reported = this.#ended.then((exit) => {
      claudeExited.publish({ ...options.observed(), pid, ...exit, wanted: this.#closing !== undefined })
    })
    inBackground({ name: 'reporting the end of Claude Code', ...options.observed() }, reported)
  }

  /** Starts the process. `ready` resolves when it answers. The SDK is loaded by the first call, not with the server. */
  static async start(options: ClaudeProcessOptions): Promise<ClaudeProcess> {
    const { query } = await import('@anthropic-ai/claude-agent-sdk/core')
    const prepared = await options.prepareStart?.()
    try {
      return await ClaudeProcess.#start(query, options, prepared)
    } catch (error) {
      prepared?.release()
      throw error
    }
  }

  static async #start(
    query: typeof import('@anthropic-ai/claude-agent-sdk/core')['query'],
    options: ClaudeProcessOptions,
    prepared: Prepared | undefined,
  ): Promise<ClaudeProcess> {
    const input = new PromptQueue()
    let onSpawned: (child: Spawned) => void = () => undefined
    const spawning = new Promise<Spawned>((resolve) => {
      onSpawned = resolve
    })
    const started = query({
      prompt: input,
      options: {
        ...options.sdk,
        spawnClaudeCodeProcess: (spawnOptions) => {
          const spawned = spawnDetached(spawnOptions, options, prepared)
          onSpawned(spawned)
          return spawned
        },
      },
    })
    // With a session store the SDK spawns later, or fails before it spawns.
    const failed = started.initializationResult().then(
      () => spawning,
      (error: unknown) => {
        throw new RunnerError('claude_start_failed', `The SDK did not start a process: ${toMessage(error)}`)
      },
    )
    return new ClaudeProcess(started, input, await Promise.race([spawning, failed]), options)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Whether the process can take work: it lives, and nobody has begun to end it. */
  get running(): boolean {
    return this.#isAlive && this.#closing === undefined
  }

  get #isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined
  }

  /**
   * Resolves when Claude Code has answered the SDK's `initialize`.
   *
   * @throws {RunnerError} `claude_not_found`, `claude_start_failed`.
   */
  async ready(): Promise<void> {
    const { startTimeoutMs } = this.#options
    const answered = this.#query.initializationResult().catch(async (error: unknown) => {
      this.#refusal = toMessage(error)
      throw this.failureOf(await this.exited)
    })
    await this.#inTime(startTimeoutMs, answered, () => {
      const message = `Claude Code did not answer within CLAUDE_START_TIMEOUT_MS (${startTimeoutMs} ms).`
      return new RunnerError('claude_start_failed', message)
    })
    this.#answered = true
  }

  /**
   * Calls `listener` when the process has ended, unless the returned function was called before. What waits for
   * `exited` stays in memory as long as the process lives, so what ends earlier listens here.
   */
  onExited(listener: (exit: Exit) => void): () => void {
    if (this.#exit !== undefined) listener(this.#exit)
    else this.#exitListeners.add(listener)
    return () => {
      this.#exitListeners.delete(listener)
    }
  }

  /** Settles as `work`. @throws {RunnerError} the one of `failureOf` when the process ends first. */
  async #unlessExited<T>(work: Promise<T>): Promise<T> {
    let forget = (): void => undefined
    const failed = new Promise<never>((_resolve, reject) => {
      forget = this.onExited((exit) => reject(this.failureOf(exit)))
    })
    try {
      return await Promise.race([work, failed])
    } finally {
      forget()
    }
  }

  /** Returns the error of a run that was not finished when this process ended. */
  failureOf(exit: Exit): RunnerError {
    const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`
    // The stderr of a process that failed by itself says more than the SDK does, if there is any.
    const words = exit.stderr === '' || exit.code === 0 ? [this.#refusal, exit.stderr] : [exit.stderr]
    const said = words.flatMap((word) => (word ? [`: ${word}`] : [])).join('')
    if (this.#answered) {
      return new RunnerError(
        'claude_exited',
        `Claude Code ended (${how})${said}. The next run resumes its session.`,
      )
    }
    return exit.code === NOT_FOUND_EXIT
      ? new RunnerError(
          'claude_not_found',
          `Claude Code could not be found${said}. Set CLAUDE_CLI_PATH to the binary.`,
        )
      : new RunnerError('claude_start_failed', `Claude Code ended before it answered (${how})${said}.`)
  }

  send(message: SDKUserMessage): void {
    this.#input.push(message)
  }

  /** Interrupts the running turn. Resolves when Claude Code has acknowledged the request. */
  async interrupt(): Promise<void> {
    await this.#ask('interrupt', () => this.#query.interrupt())
  }

  /** Replaces the in-process tool servers. */
  async setServers(servers: Record<string, McpServerConfig>, signal?: AbortSignal): Promise<void> {
    await this.#ask('mcp_set_servers', () => this.#query.setMcpServers(servers), signal)
  }

  async toolServers(signal: AbortSignal): Promise<ToolServer[]> {
    const servers = await this.#ask('mcp_status', () => this.#query.mcpServerStatus(), signal)
    return servers.map(({ name, status, error, tools }) => ({
      name,
      status,
      ...(error === undefined ? {} : { error }),
      ...(tools === undefined ? {} : { tools: tools.map((tool) => tool.name) }),
    }))
  }

  /** Reconnects to an MCP server. Has no limit of its own, because the time is the server's. Never rejects. */
  async retryServer(name: string): Promise<void> {
    await this.#query.reconnectMcpServer(name).catch(() => undefined)
  }

  async stopTask(taskId: string, signal: AbortSignal): Promise<void> {
    await this.#ask('stop_task', () => this.#query.stopTask(taskId), signal)
  }

  /** Sets the thinking budget in tokens. `null` restores Claude Code's own. */
  async setThinkingTokens(tokens: number | null, signal?: AbortSignal): Promise<void> {
    await this.#ask('set_max_thinking_tokens', () => this.#query.setMaxThinkingTokens(tokens), signal)
  }

  async setModel(model: string | undefined, signal?: AbortSignal): Promise<void> {
    await this.#ask('set_model', () => this.#query.setModel(model), signal)
  }

  /** Sets variables for the commands that Claude Code starts from now on, in place of those that were set so before. */
  async setVariables(env: Record<string, string>): Promise<void> {
    await this.#ask('apply_flag_settings', () => this.#query.applyFlagSettings({ env }))
  }

  /** Ends the processes that a run's commands left running. Call it when a run has ended. */
  async endLeftovers(): Promise<void> {
    if (this.#isAlive) await this.#options.endLeftovers?.(this.#child)
  }

  /** Kills the process at once, without a chance to save anything. */
  async kill(): Promise<void> {
    this.#signalGroup('SIGKILL')
    await this.close()
  }

  #killUnresponsive(): void {
    inBackground({ name: 'killing Claude Code', ...this.#options.observed() }, this.kill())
  }

  /**
   * Stops the process step by step: end of input (Claude Code saves its session and exits), SIGTERM, SIGKILL. Then
   * kills the processes that it started and that left its group. Safe to call twice. Takes at most three steps of
   * CLAUDE_STOP_STEP_MS.
   */
  close(): Promise<void> {
    this.#closing ??= this.#stop()
    return this.#closing
  }

  /**
   * Sends one control request. `signal` ends the wait, not the request. The request keeps its limit: a process that
   * exceeds it is hung (stopped, or outside of its event loop) and is killed, because nothing else would reach it.
   *
   * @throws {RunnerError} `claude_unresponsive`; the errors of `ready` and `failureOf` when the process ends.
   */
  async #ask<T>(what: string, request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const answer = this.ready().then(() => this.#answerTo(what, request))
    return await (signal === undefined ? answer : unlessAborted(signal, answer))
  }

  #answerTo<T>(what: string, request: () => Promise<T>): Promise<T> {
    const { controlTimeoutMs } = this.#options
    return this.#inTime(controlTimeoutMs, request(), () => {
      const message = `Claude Code did not answer "${what}" within CLAUDE_CONTROL_TIMEOUT_MS (${controlTimeoutMs} ms) and was killed. The next run resumes its session.`
      return new RunnerError('claude_unresponsive', message)
    })
  }

  /**
   * Settles as `answer`. A process that takes longer is killed.
   *
   * @throws {RunnerError} `late()` then, and the one of `failureOf` when the process ends first.
   */
  async #inTime<T>(timeoutMs: number, answer: Promise<T>, late: () => RunnerError): Promise<T> {
    let timer: AwakeTimer | undefined
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = new AwakeTimer(timeoutMs, () => {
        this.#killUnresponsive()
        reject(late())
      })
    })
    try {
      return await this.#unlessExited(Promise.race([answer, tooLate]))
    } finally {
      timer?.close()
    }
  }

  async #stop(): Promise<void> {
    const { mark, stopStepMs } = this.#options
    // Read while the tree is still connected: afterwards its members have lost their parents.
    const known = this.#isAlive ? processesOf(mark, this.#child.pid) : []
    this.#input.end()
    if (!(await this.#gone())) {
      this.#signalGroup('SIGTERM')
      if (!(await this.#gone())) this.#signalGroup('SIGKILL')
    }
    await killTree(mark, { known, timeoutMs: stopStepMs })
    this.#query.close()
    await this.exited
  }

  /** Hands every message on. The SDK's iterator throws when the process dies; the exit itself says how it died. */
  async #pump(): Promise<void> {
    try {
      for await (const message of this.#query) {
        if (message.type === 'system' && message.subtype === 'permission_denied') {
          policyDenied.publish({ ...this.#options.observed(), by: 'claude-code', what: message.tool_name })
        }
        const wait = this.#options.onMessage(this.#child.stdout.heard(message))
        if (wait !== undefined) await wait
      }
    } catch {
      // `exited` has the reason, as said above.
    }
  }

  #gone(): Promise<boolean> {
    let timer: AwakeTimer | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = new AwakeTimer(this.#options.stopStepMs, () => resolve(false))
    })
    const ended = this.#ended.then(() => true)
    return Promise.race([ended, late]).finally(() => timer?.close())
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && this.#isAlive) signalProcess(-this.#child.pid, signal)
  }
}

function exitOf(child: ChildProcess): Promise<Omit<Exit, 'stderr'>> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode })
  }
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', (error) => {
      // A process that could not be started has no pid and never exits.
      if (child.pid === undefined)
        resolve({ code: hasErrno(error, 'ENOENT') ? NOT_FOUND_EXIT : -1, signal: null })
    })
  })
}

function tailOf(child: ChildProcess): () => string {
  let tail = ''
  child.stderr?.setEncoding('utf8')
  child.stderr?.on('data', (text: string) => {
    tail = tailFrom(tail + text)
  })
  child.stderr?.on('error', () => {
    // The process is gone; its exit has the reason.
  })
  return () => tail.trim()
}

/** Cuts at the beginning of a line: half of a secret would not be recognised as a secret. */
function tailFrom(text: string): string {
  if (text.length <= STDERR_TAIL_CHARS) return text
  const cut = text.slice(-STDERR_TAIL_CHARS)
  return cut.slice(cut.indexOf('\n') + 1)
}

/** Turns what kept a process from answering into the error of its run. */
export function startFailure(error: unknown): RunnerError {
  return error instanceof RunnerError
    ? error
    : new RunnerError('claude_start_failed', toMessage(error), { cause: error })
}
