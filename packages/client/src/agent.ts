import { AbstractAgent, type AgentConfig, type BaseEvent, type RunAgentInput } from '@ag-ui/client'
import { Observable } from 'rxjs'
import type { RunnerEvent } from './events.ts'
import type { RunnerOptions } from './requests.ts'
import { Runner } from './runner.ts'
import type { Thread } from './thread.ts'

export interface RunnerAgentConfig extends AgentConfig {
  /** The runner, or the options of a new one. */
  runner: Runner | RunnerOptions
  /** Called with the error when an interrupt could not be sent, since `abortRun()` returns nothing to await. */
  onInterruptFailed?: (error: unknown) => void
}

/**
 * A runner as an `AbstractAgent` of `@ag-ui/client`. Unlike `HttpAgent` it goes on reading over lost connections,
 * `connectAgent()` brings the messages of a thread and the run under way, and `abortRun()` stops the run itself.
 */
export class RunnerAgent extends AbstractAgent {
  // Not `#`: `clone()` makes agents without the constructor.
  readonly runner: Runner
  readonly onInterruptFailed: ((error: unknown) => void) | undefined

  constructor({ runner, onInterruptFailed, ...config }: RunnerAgentConfig) {
    super(config)
    this.runner = runner instanceof Runner ? runner : new Runner(runner)
    this.onInterruptFailed = onInterruptFailed
  }

  override run(input: RunAgentInput): Observable<BaseEvent> {
    return this.stream(input, async function* (thread, protocolVersion, signal) {
      const { threadId: _named, ...request } = input
      const run = await thread.run({ ...request, protocolVersion }, { signal })
      for await (const { event } of run) yield event
    })
  }

  protected override connect(input: RunAgentInput): Observable<BaseEvent> {
    return this.stream(input, (thread, protocolVersion, signal) =>
      thread.connect({ until: 'run', protocolVersion, signal }),
    )
  }

  /** Stops the run. It ends as `cancelled`, and its stream ends with that. */
  override abortRun(): void {
    this.runner
      .thread(this.threadId)
      .interrupt()
      .catch((error: unknown) => this.onInterruptFailed?.(error))
  }

  override clone(): RunnerAgent {
    const clone: RunnerAgent = super.clone()
    return Object.assign(clone, { runner: this.runner, onInterruptFailed: this.onInterruptFailed })
  }

  private stream(
    { threadId, protocolVersion }: RunAgentInput,
    read: (thread: Thread, version: '1.0' | '0', signal: AbortSignal) => AsyncGenerator<RunnerEvent>,
  ): Observable<BaseEvent> {
    return new Observable((observer) => {
      const leaving = new AbortController()
      const readOn = async (): Promise<void> => {
        const thread = this.runner.thread(threadId)
        // A client before AG-UI 1.0 does not say its version, and would refuse what it does not know.
        const version = protocolVersion === undefined ? '0' : '1.0'
        for await (const event of read(thread, version, leaving.signal)) observer.next(event)
      }
      readOn().then(
        () => observer.complete(),
        (error: unknown) => observer.error(error),
      )
      return () => leaving.abort()
    })
  }
}
