import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type Command, childrenOf, commandOf } from './proc.ts'

/** Variables of the runner's own, by which it finds what it has started. */
const MARK_VARIABLE = /^AGUI_RUNNER_/

/** The command line and the environment that the runner gives Claude Code, read off a process that it has started. */
export function launchOf(runnerPid: number): Command {
  const [pid] = childrenOf(runnerPid)
  if (pid === undefined) throw new Error('the runner has no Claude Code process')
  const { args, env, ...command } = commandOf(pid)
  return {
    ...command,
    args: args.filter((argument) => !/^--(session-id|resume)=/.test(argument)),
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !MARK_VARIABLE.test(name))),
  }
}

export interface TurnTimes {
  /** Prompt written to first text delta, in milliseconds. */
  firstMs: number
  /** Prompt written to last text delta. */
  lastMs: number
  deltas: number
}

/** Claude Code without anything of ours: its stdout split into lines, each line parsed. */
export class BareCli {
  readonly pid: number
  readonly startedAt = performance.now()
  /** Told after each piece of stdout, with the text deltas that were in it. */
  onDeltas: (texts: readonly string[]) => void = () => {}
  readonly #child: ChildProcessWithoutNullStreams
  #rest = ''
  #onLine: (line: CliLine) => void = () => {}

  constructor({ executable, args, env, cwd }: Command) {
    this.#child = spawn(executable, [...args, `--session-id=${randomUUID()}`], { env, cwd })
    this.pid = this.#child.pid ?? -1
    this.#child.stderr.resume()
    this.#child.stdout.setEncoding('utf8').on('data', (piece: string) => this.#split(piece))
  }

  /** Waits until it answers, as the SDK does, without a prompt. */
  async initialize(hooks: object = {}): Promise<void> {
    this.#write({
      type: 'control_request',
      request_id: 'initialize',
      request: { subtype: 'initialize', hooks },
    })
    await this.#until((line) => line.type === 'control_response')
  }

  /**
   * As `initialize`, and it asks before each turn from then on, as the runner has it (`claude/launch/run-gate.ts`): the answer is
   * given at once. What a turn takes longer then is Claude Code's own.
   */
  async initializeGated(): Promise<void> {
    await this.initialize({ UserPromptSubmit: [{ hookCallbackIds: ['gate'], onFailure: 'block' }] })
  }

  async turn(prompt: string): Promise<TurnTimes> {
    const start = performance.now()
    const times = { firstMs: 0, lastMs: 0, deltas: 0 }
    const ended = this.#until((line) => {
      if (line.event?.type === 'content_block_delta' && line.event.delta?.type === 'text_delta') {
        times.lastMs = performance.now() - start
        if (times.deltas++ === 0) times.firstMs = times.lastMs
      }
      return line.type === 'result'
    })
    const content = [prompt, ' '].map((text) => ({ type: 'text', text }))
    this.#write({
      type: 'user',
      message: { role: 'user', content },
      parent_tool_use_id: null,
      uuid: randomUUID(),
    })
    await ended
    return times
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
  }

  #allow(requestId: string | undefined): void {
    this.#write({
      type: 'control_response',
      response: { subtype: 'success', request_id: requestId, response: {} },
    })
  }

  #write(line: object): void {
    this.#child.stdin.write(`${JSON.stringify(line)}\n`)
  }

  #until(isLast: (line: CliLine) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`Claude Code ended (${code})`))
      this.#child.once('exit', onExit)
      this.#onLine = (line) => {
        if (!isLast(line)) return
        this.#child.off('exit', onExit)
        resolve()
      }
    })
  }

  #split(piece: string): void {
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop() ?? ''
    const deltas: string[] = []
    for (const text of lines) {
      const line: CliLine = JSON.parse(text)
      const delta = line.event?.delta?.text
      if (delta !== undefined) deltas.push(delta)
      if (line.type === 'control_request') this.#allow(line.request_id)
      else this.#onLine(line)
    }
    this.onDeltas(deltas)
  }
}

interface CliLine {
  type: string
  request_id?: string
  event?: { type: string; delta?: { type: string; text?: string } }
}
