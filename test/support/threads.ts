import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventType } from '@ag-ui/core'
import type { AgentSession, AgentView } from '../../src/agent/agent.ts'
import { RunnerError } from '../../src/errors.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import type { EventLog } from '../../src/storage/event-log.ts'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ThreadTable } from '../../src/thread/thread-table.ts'
import { Threads, type ThreadsOptions } from '../../src/thread/threads.ts'
import { type Deferred, deferred } from './deferred.ts'

const MIB = 1024 * 1024

/** Of an agent that remembers nothing. */
export function lookAtNone(): AgentView {
  return { interrupts: [], warm: false }
}

/** An agent that says "hello" to everything. */
export function helloAgent(): AgentSession {
  return {
    agentName: 'the agent',
    async run({ runId }, { emit }) {
      const messageId = `said-${runId}`
      await emit([
        { type: EventType.TEXT_MESSAGE_START, messageId, role: 'assistant' },
        { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta: 'hello' },
        { type: EventType.TEXT_MESSAGE_END, messageId },
      ])
      return { outcome: 'success' }
    },
    steer: () => undefined,
    check: () => {},
    setModel: async () => undefined,
    warm: async () => {},
    toolServers: async () => undefined,
    stopTask: async () => false,
    taskOutput: async (taskId) => {
      throw new RunnerError('not_found', `No task "${taskId}" is here.`)
    },
    describe: () => ({ warm: false }),
    memory: {},
    memoryAhead: () => ({}),
    interrupts: [],
    pendingToolCallIds: [],
    point: undefined,
    takeBack: () => undefined,
    close: async () => {},
  }
}

/** Threads on a real store; `restart` is another process on the same folder. */
export class ThreadsWorld {
  readonly directory = mkdtempSync(join(tmpdir(), 'agui-threads-test-'))
  readonly failures: unknown[] = []
  readonly #options: Partial<ThreadsOptions>
  storage!: Storage
  log!: EventLog
  table!: ThreadTable
  threads!: Threads
  #ended = new Map<string, Deferred>()

  private constructor(options: Partial<ThreadsOptions>) {
    this.#options = options
  }

  static async open(options: Partial<ThreadsOptions> = {}): Promise<ThreadsWorld> {
    const world = new ThreadsWorld(options)
    await world.#open()
    return world
  }

  async #open(): Promise<void> {
    const storage = await LmdbStorage.open(this.directory, { retentionBytes: 1024 * MIB })
    this.storage = storage
    this.log = storage.log
    this.table = new ThreadTable(storage)
    this.threads = new Threads({
      agent: { open: () => helloAgent(), look: lookAtNone },
      redactor: createRedactor({ values: [] }),
      storage,
      queueMax: 32,
      queueBytesMax: 64 * MIB,
      eventBytesMax: MIB,
      threadsMax: 8,
      disconnectGraceMs: 0,
      runTimeoutMs: 0,
      runIdleTimeoutMs: 0,
      onRunEnded: ({ runId }) => this.#end(runId).resolve(),
      onLogFailure: (error) => this.failures.push(error),
      ...this.#options,
    })
    await this.threads.recover()
  }

  #end(runId: string): Deferred {
    const known = this.#ended.get(runId) ?? deferred()
    this.#ended.set(runId, known)
    return known
  }

  /** When the run has ended, its terminal event committed. */
  ended(runId: string): Promise<void> {
    return this.#end(runId).promise
  }

  async restart(): Promise<void> {
    await this.#close()
    await this.#open()
  }

  async #close(): Promise<void> {
    await this.threads.close()
    await this.storage.close()
  }

  async close(): Promise<void> {
    await this.#close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
