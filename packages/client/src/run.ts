import type { RunErrorEvent, RunFinishedEvent, ToolMessage } from '@ag-ui/core'
import type { LogRecord, RunnerEvent } from './events.ts'
import type { Group } from './follow.ts'
import { type ClientTool, ToolCalls } from './tools.ts'

export type RunEnd = RunFinishedEvent | RunErrorEvent

/** The records of a run, from its RUN_STARTED to its end. */
export interface RunLine {
  groups: AsyncGenerator<Group, void, void>
  /** Closes the connection; the run goes on. */
  leave(): void
}

/** Starts the run that brings the results. `state` is what the agent has made of the state; undefined when it left it alone. */
type GoOn = (results: ToolMessage[], state: unknown) => Promise<RunLine>

/**
 * A run that the runner has accepted. It can be read once: `for await (const { event } of run)`. The reading survives lost
 * connections and a restart of the runner. Tools that have an `execute` are run here; the runs that bring their results
 * follow in the same iteration.
 */
export class Run implements AsyncIterable<LogRecord> {
  readonly runId: string
  /** The terminal event of the last run; undefined before it, and when the reading was aborted. */
  end: RunEnd | undefined
  #line: RunLine
  readonly #tools: readonly ClientTool[]
  readonly #signal: AbortSignal | undefined
  readonly #goOn: GoOn

  /** @internal */
  constructor(
    runId: string,
    options: {
      line: RunLine
      tools: readonly ClientTool[]
      signal: AbortSignal | undefined
      goOn: GoOn
    },
  ) {
    this.runId = runId
    this.#line = options.line
    this.#tools = options.tools
    this.#signal = options.signal
    this.#goOn = options.goOn
  }

  /** Closes the connection of a run that nobody wants to read. The run goes on; the thread's log has its events. */
  leave(): void {
    this.#line.leave()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogRecord, void, void> {
    const hasLeft = (): boolean => this.#signal?.aborted === true
    let state: unknown
    while (true) {
      const calls = new ToolCalls()
      this.end = undefined
      try {
        for await (const { seq, events } of this.#line.groups) {
          for (const event of events) {
            calls.add(event)
            if (event.type === 'STATE_SNAPSHOT') state = event.snapshot
            this.end = endOf(event)
            yield { seq: seq ?? 0, event }
          }
          if (this.end !== undefined) break
        }
      } finally {
        this.#line.leave()
      }
      const pending = pendingOf(this.end)
      if (pending.length === 0 || hasLeft()) return
      const results = await calls.results(pending, this.#tools, this.#signal)
      if (results === undefined || hasLeft()) return
      this.#line = await this.#goOn(results, state)
    }
  }

  /** Reads to the end. Returns the assistant's text, without that of subagents; `end` says whether the run failed. */
  async text(): Promise<string> {
    let text = ''
    for await (const { event } of this)
      if (event.type === 'TEXT_MESSAGE_CONTENT' && event.subagentRunId === undefined) text += event.delta
    return text
  }
}

export function endOf(event: RunnerEvent): RunEnd | undefined {
  return event.type === 'RUN_FINISHED' || event.type === 'RUN_ERROR' ? event : undefined
}

function pendingOf(end: RunEnd | undefined): readonly string[] {
  if (end?.type !== 'RUN_FINISHED' || end.outcome?.type !== 'success') return []
  return end.outcome.pendingToolCallIds ?? []
}
