import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type {
  McpServerConfig,
  Options,
  Query,
  SDKMessage,
  SDKUserMessage,
  SpawnOptions,
} from '@anthropic-ai/claude-agent-sdk'
import type { ToolServer } from '../../agent/agent.ts'
import { inBackground } from '../../background.ts'
import { claudeExited, claudeStarted, policyDenied } from '../../channels.ts'
import { RunnerError, toMessage } from '../../errors.ts'
import { signalProcess } from '../../process-table.ts'
import { unlessAborted } from '../../within.ts'
import { killTree, MARK_VARIABLE, processesOf } from './process-tree.ts'
import { PromptQueue } from './prompt-queue.ts'

export interface ClaudeProcessOptions {
  /** What the SDK is asked for; the executable is the wrapper. */
  sdk: Options
  mark: string
  startTimeoutMs: number
  /** How long Claude Code may take to answer a control request before it counts as hung. */
  controlTimeoutMs: number
  /** In the place of child_process.spawn: piped stdio, a process group of its own. */
  spawn?: ((request: SpawnRequest) => ChildProcess) | undefined
  /** Ends what this process's commands left running. */
  endLeftovers?: ((child: ChildProcess) => Promise<void>) | undefined
  /** Whose process it is, and the run that it works on now: for those who observe it. */
  observed(): { threadId: string; runId?: string }
  /** Something outside Claude Code refused a connection of it, or of what it started. */
  onDenied?(denial: Denial): void
  /** Every message of Claude Code, in order. A promise makes the next one wait. */
  onMessage(message: SDKMessage): Promise<void> | undefined
}

interface SpawnRequest {
  command: string
  args: readonly string[]
  cwd: string
  env: Record<string, string | undefined>
  onDenied?(denial: Denial): void
}

/** What a policy refused; no secret in it. */
export interface Denial {
  host: string
  port: number
  method: string
  /** Which gate refused, in few distinct words: l4, ssrf, l7, inference. */
  stage: string
  rule?: string
  reason: string
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  /** The last lines it wrote to stderr. */
  stderr: string
}

const STDERR_TAIL_CHARS = 4096
/** Claude Code ends by itself when its input ends; then the ladder goes on. */
const CLOSE_STEP_MS = 2000
/** Exit code of the wrapper when there is no binary to start. */
const NOT_FOUND_EXIT = 127

/** One Claude Code process, started through the wrapper and driven by the SDK over its control protocol. */
export class ClaudeProcess {
  /** Resolves, never rejects, when the process is gone and all its output was handled. */
  readonly exited: Promise<Exit>
  readonly #query: Query
  readonly #input: PromptQueue
  readonly #options: ClaudeProcessOptions
  readonly #child: ChildProcess
  #answered = false
  /** The SDK's own reason for not going on, which then ends the process. */
  #refusal: string | undefined
  #closing: Promise<void> | undefined

  private constructor(query: Query, input: PromptQueue, child: ChildProcess, options: ClaudeProcessOptions) {
    this.#query = query
    this.#input = input
    this.#child = child
    this.#options = options
    const stderr = tailOf(child)
    this.exited = Promise.all([exitOf(child), this.#pump()]).then(([exit]) => ({ ...exit, stderr: stderr() }))
    const { pid } = child
    claudeStarted.publish({ ...options.observed(), pid })
    void exitOf(child).then((exit) => {
      claudeExited.publish({ ...options.observed(), pid, ...exit, wanted: this.#closing !== undefined })
    })
  }

  /** Starts the process; `ready` resolves when it answers. The SDK is loaded on the first call, not with the server. */
  static async start(options: ClaudeProcessOptions): Promise<ClaudeProcess> {
    const { query } = await import('@anthropic-ai/claude-agent-sdk')
    const input = new PromptQueue()
    let onSpawned: (child: ChildProcess) => void = () => undefined
    const spawning = new Promise<ChildProcess>((resolve) => {
      onSpawned = resolve
    })
    const started = query({
      prompt: input,
      options: {
        ...options.sdk,
        spawnClaudeCodeProcess: (spawnOptions) => {
          const spawned = spawnDetached(spawnOptions, options)
          onSpawned(spawned)
          return spawned
        },
      },
    })
    // With a session store the SDK spawns later, or fails before.
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

  /** Whether it can be given work: it lives, and nobody has begun to end it. */
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
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(), startTimeoutMs)
    try {
      const outcome = await Promise.race([
        this.#query.initializationResult().then(
          () => 'ready' as const,
          (error: unknown) => {
            this.#refusal = toMessage(error)
            return this.exited
          },
        ),
        this.exited,
        once(timeout.signal, 'abort').then(() => 'late' as const),
      ])
      if (outcome === 'ready') {
        this.#answered = true
        return
      }
      if (outcome === 'late') {
        this.#killUnresponsive()
        throw new RunnerError(
          'claude_start_failed',
          `Claude Code did not answer within CLAUDE_START_TIMEOUT_MS (${startTimeoutMs} ms).`,
        )
      }
      throw this.failureOf(outcome)
    } finally {
      clearTimeout(timer)
    }
  }

  /** What the end of this process means for a run that was not finished. */
  failureOf(exit: Exit): RunnerError {
    const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`
    // A process that failed by itself has the better words, if it has any.
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

  /** Ends the running turn; resolves when Claude Code has taken it in. */
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

  /** Connects to an MCP server anew; without a limit of its own, since that is the server's time. Never rejects. */
  async retryServer(name: string): Promise<void> {
    await this.#query.reconnectMcpServer(name).catch(() => undefined)
  }

  async stopTask(taskId: string, signal: AbortSignal): Promise<void> {
    await this.#ask('stop_task', () => this.#query.stopTask(taskId), signal)
  }

  /** `null` goes back to Claude Code's own. */
  async setThinkingTokens(tokens: number | null, signal?: AbortSignal): Promise<void> {
    await this.#ask('set_max_thinking_tokens', () => this.#query.setMaxThinkingTokens(tokens), signal)
  }

  async setModel(model: string | undefined, signal?: AbortSignal): Promise<void> {
    await this.#ask('set_model', () => this.#query.setModel(model), signal)
  }

  /** Call when a run has ended. */
  async endLeftovers(): Promise<void> {
    if (this.#isAlive) await this.#options.endLeftovers?.(this.#child)
  }

  /** Kills at once, without a chance to save anything. */
  async kill(): Promise<void> {
    this.#signalGroup('SIGKILL')
    await this.close()
  }

  #killUnresponsive(): void {
    inBackground({ name: 'killing Claude Code', ...this.#options.observed() }, this.kill())
  }

  /**
   * The stop ladder: end of input (Claude Code saves its session and goes), SIGTERM, SIGKILL, and then whatever
   * it started that left its group. Idempotent; bounded by three steps of CLOSE_STEP_MS.
   */
  close(): Promise<void> {
    this.#closing ??= this.#stop()
    return this.#closing
  }

  /**
   * One control request. `signal` ends the wait, not the request: the limit still holds for that, and a process that
   * lets it pass is hung (stopped, or out of its event loop) and killed. Nothing else would reach it.
   *
   * @throws {RunnerError} `claude_unresponsive`; what `ready` and `failureOf` say of a process that ends.
   */
  async #ask<T>(what: string, request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const answer = this.ready().then(() => this.#answerTo(what, request))
    return await (signal === undefined ? answer : unlessAborted(signal, answer))
  }

  async #answerTo<T>(what: string, request: () => Promise<T>): Promise<T> {
    const { controlTimeoutMs } = this.#options
    let limit: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      limit = setTimeout(() => {
        this.#killUnresponsive()
        const message = `Claude Code did not answer "${what}" within CLAUDE_CONTROL_TIMEOUT_MS (${controlTimeoutMs} ms) and was killed. The next run resumes its session.`
        reject(new RunnerError('claude_unresponsive', message))
      }, controlTimeoutMs)
    })
    const ended = (exit: Exit): never => {
      throw this.failureOf(exit)
    }
    try {
      return await Promise.race([request(), this.exited.then(ended), late])
    } finally {
      clearTimeout(limit)
    }
  }

  async #stop(): Promise<void> {
    const { mark } = this.#options
    // Looked at while the tree still hangs together: afterwards its members belong to nobody.
    const known = this.#isAlive ? processesOf(mark, this.#child.pid) : []
    this.#input.end()
    if (!(await this.#gone())) {
      this.#signalGroup('SIGTERM')
      if (!(await this.#gone())) this.#signalGroup('SIGKILL')
    }
    await killTree(mark, { known, timeoutMs: CLOSE_STEP_MS })
    this.#query.close()
    await this.exited
  }

  /** The SDK's iterator throws when the process dies; how it died is read off the process itself. */
  async #pump(): Promise<void> {
    try {
      for await (const message of this.#query) {
        if (message.type === 'system' && message.subtype === 'permission_denied') {
          policyDenied.publish({ ...this.#options.observed(), by: 'claude-code', what: message.tool_name })
        }
        const wait = this.#options.onMessage(message)
        if (wait !== undefined) await wait
      }
    } catch {
      // See above: `exited` has the reason.
    }
  }

  #gone(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), CLOSE_STEP_MS)
      void exitOf(this.#child).then(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && this.#isAlive) signalProcess(-this.#child.pid, signal)
  }
}

/** In a group of its own, so that a signal to the group reaches what Claude Code started and not the runner. */
function spawnDetached(spawnOptions: SpawnOptions, options: ClaudeProcessOptions): ChildProcess & Streams {
  const { command, args } = spawnOptions
  const cwd = spawnOptions.cwd ?? process.cwd()
  const env = { ...spawnOptions.env, [MARK_VARIABLE]: options.mark }
  const onDenied = (denial: Denial): void => {
    const { host, port, method, stage, rule, reason } = denial
    const place = { host, port, method, gate: stage, rule, reason }
    policyDenied.publish({ ...options.observed(), by: 'runner', what: 'network', ...place })
    options.onDenied?.(denial)
  }
  const child =
    options.spawn?.({ command, args, cwd, env, onDenied }) ??
    spawn(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const { stdin, stdout } = child
  if (stdin === null || stdout === null)
    throw new RunnerError('claude_start_failed', 'Claude Code has no pipes.')
  return Object.assign(child, { stdin, stdout })
}

type Streams = { stdin: NonNullable<ChildProcess['stdin']>; stdout: NonNullable<ChildProcess['stdout']> }

function exitOf(child: ChildProcess): Promise<Omit<Exit, 'stderr'>> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode })
  }
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', (error) => {
      // A process that could not be started at all has no pid and never exits.
      if (child.pid === undefined)
        resolve({ code: 'code' in error && error.code === 'ENOENT' ? NOT_FOUND_EXIT : -1, signal: null })
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
    // Its other end is gone; the exit has the reason.
  })
  return () => tail.trim()
}

/** From the beginning of a line: half of a secret would not be known as one. */
function tailFrom(text: string): string {
  if (text.length <= STDERR_TAIL_CHARS) return text
  const cut = text.slice(-STDERR_TAIL_CHARS)
  return cut.slice(cut.indexOf('\n') + 1)
}

/** What kept a process from answering, as the error of its run. */
export function startFailure(error: unknown): RunnerError {
  return error instanceof RunnerError
    ? error
    : new RunnerError('claude_start_failed', toMessage(error), { cause: error })
}
