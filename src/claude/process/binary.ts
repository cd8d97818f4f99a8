// Checks that the wrapper starts a Claude Code, and one that this runner can drive.
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { HookCallbackMatcher } from '@anthropic-ai/claude-agent-sdk'
import { RunnerError, toMessage } from '../../errors.ts'
import { signalProcess } from '../../process-table.ts'
import { within } from '../../within.ts'
import type { ClaudeProcessOptions } from './process.ts'
import { killTree, MARK_VARIABLE } from './process-tree.ts'
import { PromptQueue } from './prompt-queue.ts'
import type { Prepared } from './spawning.ts'

/**
 * The lowest version that works, found by trying pinned releases. The SDK refuses 2.1.316 and everything before it,
 * because a hook that fails would not block the tool there (docs/claude-code.md).
 */
const LOWEST_VERSION = '2.1.317'
const SAYS = /(\d+\.\d+\.\d+\S*) \(Claude Code\)/
const NOT_FOUND_EXIT = 127
const SAID_CHARS_MAX = 300
const KILL_MS = 2000
const ASK_AFRESH = 'Set CLAUDE_CLI_PATH to another binary, or unset it for the one that is installed here.'

export interface ClaudeBinaryOptions {
  /** Path of the wrapper, which becomes the binary. */
  executable: string
  env: Record<string, string>
  /** Working directory of the started process. Nothing in it is read. */
  cwd: string
  mark: string
  startTimeoutMs: number
  prepareStart?: ClaudeProcessOptions['prepareStart']
}

export class ClaudeBinary {
  readonly #options: ClaudeBinaryOptions
  readonly #closing = new AbortController()
  /** A mark of its own: the processes that only check the binary are not those that work. */
  readonly #mark: string
  #known: Promise<string> | undefined

  constructor(options: ClaudeBinaryOptions) {
    this.#options = options
    this.#mark = `${options.mark}:binary`
  }

  /**
   * Returns the version, such as `2.1.332`. Asks for it once; after a failure the next call asks again.
   *
   * @throws {RunnerError} `claude_not_found`; `claude_start_failed` when the program is no Claude Code or is too old,
   *   with the reason and the lowest version that works.
   */
  check(): Promise<string> {
    this.#known ??= within(
      { signal: this.#closing.signal, timeoutMs: this.#options.startTimeoutMs },
      async (signal) => {
        const version = await this.#version(signal)
        if (!isOlder(version, LOWEST_VERSION)) return version
        const reason = await this.#refusal(signal)
        throw failure(
          `Claude Code ${version} is too old; the lowest version that works is ${LOWEST_VERSION}. ${reason}`,
        )
      },
    ).catch((error: unknown) => {
      this.#known = undefined
      throw error
    })
    return this.#known
  }

  /** Ends the check in progress. Safe to call twice. */
  close(): Promise<void> {
    this.#closing.abort()
    return this.#known?.then(noop, noop) ?? Promise.resolve()
  }

  async #version(signal: AbortSignal): Promise<string> {
    const { executable, env, cwd, startTimeoutMs } = this.#options
    const prepared = await this.#options.prepareStart?.()
    const child = this.#spawn({ command: executable, args: ['--version'], cwd, env }, prepared)
    const end = (): void => {
      if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL')
      // Processes that it has started may hold the pipes open for ever.
      child.stdout?.destroy()
      child.stderr?.destroy()
    }
    signal.addEventListener('abort', end, { once: true })
    const [stdout, stderr] = [beginningOf(child.stdout, end), beginningOf(child.stderr, end)]
    child.stdin?.on('error', () => undefined).end()
    const [code] = await once(child, 'close').catch((error: unknown) => [toMessage(error)])
    signal.removeEventListener('abort', end)
    if (signal.aborted) await killTree(this.#mark, { timeoutMs: KILL_MS })
    const version = SAYS.exec(stdout())?.[1]
    if (version !== undefined && code === 0) return version
    const said = printable(stderr() || stdout()).slice(0, SAID_CHARS_MAX)
    if (code === NOT_FOUND_EXIT) throw new RunnerError('claude_not_found', `${said} ${ASK_AFRESH}`)
    const ended = code === null ? 'more than a version' : `exit code ${code}`
    const how = signal.aborted ? `no answer within ${startTimeoutMs} ms` : ended
    const what = said === '' ? how : `${how}: ${said}`
    throw failure(
      `The program that is to be Claude Code is none; asked for its version it said (${what}). The lowest version that works is ${LOWEST_VERSION}.`,
    )
  }

  /** Returns the SDK's own words for why it will not drive the binary. Asks for the hook that every run needs. */
  async #refusal(signal: AbortSignal): Promise<string> {
    const { query } = await import('@anthropic-ai/claude-agent-sdk/core')
    const { executable, env, cwd } = this.#options
    const prepared = await this.#options.prepareStart?.()
    const PreToolUse: HookCallbackMatcher[] = [{ onFailure: 'block', hooks: [() => Promise.resolve({})] }]
    const running = query({
      prompt: new PromptQueue(),
      options: {
        pathToClaudeCodeExecutable: executable,
        env,
        cwd,
        settingSources: [],
        hooks: { PreToolUse },
        spawnClaudeCodeProcess: ({ command, args }) => {
          const child = this.#spawn({ command, args, cwd, env }, prepared)
          const { stdin, stdout } = child
          if (stdin === null || stdout === null) throw failure('Claude Code has no pipes.')
          return Object.assign(child, { stdin, stdout })
        },
      },
    })
    const end = (): void => running.close()
    signal.addEventListener('abort', end, { once: true })
    try {
      return await running.initializationResult().then(() => '', toMessage)
    } finally {
      signal.removeEventListener('abort', end)
      end()
      prepared?.release()
    }
  }

  #spawn(
    request: { command: string; args: readonly string[]; cwd: string; env: Record<string, string> },
    prepared: Prepared | undefined,
  ): ChildProcess {
    const { command, args, cwd } = request
    const env = { ...request.env, [MARK_VARIABLE]: this.#mark }
    return (
      prepared?.spawn({ command, args, cwd, env }) ??
      spawn(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    )
  }
}

const noop = (): void => undefined

function failure(message: string): RunnerError {
  return new RunnerError('claude_start_failed', `${message.trim()} ${ASK_AFRESH}`)
}

/** Removes control characters: the output may come from any program, and it is shown on terminals. */
function printable(text: string): string {
  return text.replace(/[\p{C}\ufffd]+/gu, ' ').trim()
}

/** Collects the beginning of the output. Calls `end` when the output exceeds SAID_CHARS_MAX. */
function beginningOf(stream: ChildProcess['stdout'], end: () => void): () => string {
  let text = ''
  stream?.setEncoding('utf8').on('data', (more: string) => {
    text += more
    if (text.length > SAID_CHARS_MAX) end()
  })
  return () => text
}

function isOlder(version: string, than: string): boolean {
  const [own, other] = [version, than].map((words) => words.split(/[.-]/).map(Number))
  const at = own?.findIndex((part, index) => part !== other?.[index]) ?? -1
  return at >= 0 && (own?.[at] ?? 0) < (other?.[at] ?? 0)
}
