import { inBackground } from '../background.ts'
import { unlessAborted } from '../within.ts'
import { Host } from './host/host.ts'
import type { ClaudePlace } from './launch/place.ts'
import type { Memory } from './memory.ts'
import type { Owner, SlotHolder } from './options.ts'
import { Keeper } from './process/keeper.ts'
import { toDenialEvent } from './translate/denial-event.ts'
import type { Turn } from './turn.ts'
import { type Needs, startKey, startWarm, type Warm } from './warm.ts'

export interface WarmProcessOptions {
  agent: Owner
  /** The holder of the slot, asked to rest when another conversation needs it. */
  holder: SlotHolder
  threadId: string
  memory(): Memory
  /** The turn that gets the process's messages and answers its questions; undefined between turns. */
  turn(): Turn | undefined
  /** Resolves when the start of the run in progress is committed. Rejects when it cannot be. */
  begun(): Promise<void>
  /** Called when the process is given up. Its turn gets no more messages. */
  onLeave(): void
  /** Returns the thread and its run in progress, for observers. */
  observed(): { threadId: string; runId?: string }
}

/**
 * The one process of a conversation, with the host that answers it. It is started when a run needs it and stopped when
 * it is idle.
 */
export class WarmProcess {
  readonly #options: WarmProcessOptions
  readonly #keeper: Keeper<Warm>
  #idleTimer: NodeJS.Timeout | undefined
  #idleSince = 0

  constructor(options: WarmProcessOptions) {
    this.#options = options
    this.#keeper = new Keeper({
      claim: (signal) => options.agent.claim(options.holder, signal),
      onLeave: () => options.onLeave(),
      onClearing: (clearing) => this.#inBackground('clearing up after Claude Code', clearing),
    })
  }

  /** The living process, if there is one. */
  get current(): Warm | undefined {
    return this.#keeper.current
  }

  /** When `idle` was called last, in milliseconds of `performance.now()`. */
  get idleSince(): number {
    return this.#idleSince
  }

  /** Whether a caller waits for a process. */
  get isStarting(): boolean {
    return this.#keeper.isStarting
  }

  /** Returns a process that fits the run: the living one, or a new one when the settings at its start were others. */
  ensure(needs: Needs, signal?: AbortSignal): Promise<Warm> {
    const fitting = this.#fit(needs, signal)
    return signal === undefined ? fitting : unlessAborted(signal, fitting)
  }

  /** Returns the place of the next run. */
  place(): Promise<ClaudePlace> {
    const { agent, memory } = this.#options
    return agent.options.place(memory().origin.staysIn)
  }

  /** Marks the process as idle. It is stopped after `idleMs`, unless `use` is called before. */
  idle(): void {
    this.use()
    this.#idleSince = performance.now()
    const stop = (): void => this.#inBackground('stopping an idle Claude Code', this.rest())
    this.#idleTimer = setTimeout(stop, this.#options.agent.options.idleMs).unref()
  }

  /** Marks the process as used until `idle` is called. */
  use(): void {
    clearTimeout(this.#idleTimer)
  }

  /** Stops the process. Resolves when all of it has ended and its slot is free. */
  rest(): Promise<void> {
    this.use()
    return this.#keeper.rest()
  }

  /** Like `rest`, and no process starts afterwards. Safe to call twice. */
  close(): Promise<void> {
    this.use()
    return this.#keeper.close()
  }

  async #fit(needs: Needs, signal: AbortSignal | undefined): Promise<Warm> {
    const key = async (): Promise<string> => startKey(needs.switches, await this.place())
    const { kept, isNew } = await this.#keeper.ensure(key, () => {
      signal?.throwIfAborted()
      return this.#launch(needs)
    })
    const servers = isNew ? undefined : await kept.host.offer(needs.tools, needs.hasState)
    if (servers !== undefined) await kept.claude.setServers(servers, signal)
    return kept
  }

  async #launch(needs: Needs): Promise<Warm> {
    const { agent, memory, threadId, turn, begun, observed } = this.#options
    const { options } = agent
    const host = new Host({
      expiresMs: options.interruptExpiresMs,
      isAutonomous: (needs.switches.permissionMode ?? options.permissionMode) === 'never-ask',
      toolCallId: (toolUseId) => turn()?.translator.toolCallId(toolUseId) ?? toolUseId,
      onChange: () => turn()?.considerParking(),
      emit: (events) => turn()?.emit(events),
    })
    return await startWarm(options, memory(), {
      needs,
      place: await this.place(),
      host,
      threadId,
      isAtWork: () => turn()?.isOver === false,
      begun,
      isMediaUntried: () => turn()?.isMediaUntried === true,
      observed,
      onDenied: (denial) => turn()?.emit([toDenialEvent(denial)]),
      onMessage: ({ message, more }) => turn()?.onMessage(message, more),
    })
  }

  #inBackground(name: string, work: Promise<unknown>): void {
    inBackground({ name, ...this.#options.observed() }, work)
  }
}
