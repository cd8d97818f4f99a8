import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { RunnerError, toMessage } from '../../errors.ts'
import { closedStore, Gate } from '../gate.ts'
import { type Argument, CONNECT_MS, type Connection, connectionTo } from './connection.ts'
import type { RedisPlace } from './redis-place.ts'
import type { RedisScript } from './scripts.ts'

/** Time limit of a query, in milliseconds. Commits have none: they end with the lease. */
const ASK_MS = CONNECT_MS
/** How long one question after replicas may hold up the other commands of its connection, lease renewals among them. */
const WAIT_MS = 500
const RETRY_MS_MAX = 1000
const retry = (times: number): number => Math.min(50 * times, RETRY_MS_MAX)

/** Errors with which Redis refuses every write until its operator acts, and what the operator can do. */
const REFUSALS: readonly [says: RegExp, how: string][] = [
  [/^OOM\b/, 'Free room there, or delete threads'],
  [/^MISCONF\b/, 'Free its disk'],
  [/^NOREPLICAS\b/, 'Bring its replicas back'],
]
/** Errors that pass: another client's script takes long, data is being loaded, or a wait was broken off. */
const PASSING = /^(BUSY|LOADING|UNBLOCKED)\b/

export interface RedisWatcher {
  /** Called whenever Redis can be asked again: it may have lost what it had confirmed. */
  onBack(): void
  /** Called whenever messages may have been missed. */
  onMissed(): void
}

/**
 * Two connections to one Redis: one for commands, one for change messages. Both reconnect by themselves, and unanswered
 * commands are sent again: every command here may run twice.
 */
export class RedisClient {
  readonly #commands: Connection
  readonly #changes: Connection
  readonly #place: RedisPlace
  readonly #listeners = new Map<string, (message: string) => void>()
  readonly #gate = new Gate()
  #settled: Promise<void> = Promise.resolve()
  #nextSettled: Promise<void> | undefined

  private constructor(commands: Connection, changes: Connection, place: RedisPlace) {
    this.#commands = commands
    this.#changes = changes
    this.#place = place
    this.#changes.on('message', (channel: string, message: string) => this.#listeners.get(channel)?.(message))
  }

  /** Creates a client that connects on first use. */
  static open(place: RedisPlace, { onBack, onMissed }: RedisWatcher): RedisClient {
    const commands = connectionTo(place, retry)
    const changes = connectionTo(place, retry)
    // Callers learn of an error from the command that fails. Without a listener the process would end.
    for (const connection of [commands, changes]) connection.on('error', () => undefined)
    commands.on('ready', onBack)
    // By now the client has sent its subscriptions again. Behind this answer they hold.
    changes.on('ready', () => changes.ping().then(onMissed, () => undefined))
    return new RedisClient(commands, changes, place)
  }

  /**
   * Runs a command whose answer is needed now.
   *
   * @throws {RunnerError} `storage_unavailable` when no answer comes in time, and as `run`.
   */
  async ask(command: string, ...args: Argument[]): Promise<unknown> {
    this.checkOpen()
    return await this.#inTime(this.#call(command, args))
  }

  /** As `ask`, for a script. */
  async askScript(script: RedisScript, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return await this.#inTime(this.run(script, keys, args))
  }

  /**
   * Runs a script. Waits for as long as it takes, also across lost connections.
   *
   * @throws {RunnerError} `storage_full` when Redis refuses every write, `storage_damaged` when it holds something else
   * under our keys, `shutting_down` when the client is closed, `internal` for any other refusal.
   */
  async run(script: RedisScript, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    this.checkOpen()
    try {
      return await this.#send(this.#commands, 'EVALSHA', [script.sha, keys.length, ...keys, ...args])
    } catch (error) {
      if (!/^NOSCRIPT\b/.test(toMessage(error))) throw this.#failure(error)
      return await this.#call('EVAL', [script.lua, keys.length, ...keys, ...args])
    }
  }

  /** Resolves when this client's writes are where `waitReplicas` and `waitAof` require them to be. */
  async settle(): Promise<void> {
    this.checkOpen()
    const { waitReplicas, waitAof } = this.#place
    if (!waitAof && waitReplicas === 0) return
    // Whoever comes while Redis is asked shares the next question, which follows its writes.
    this.#nextSettled ??= this.#settled.then(() => {
      this.#nextSettled = undefined
      const settled = this.#settleAll()
      this.#settled = settled.catch(() => undefined)
      return settled
    })
    await this.#nextSettled
  }

  async #settleAll(): Promise<void> {
    const { waitReplicas, waitAof } = this.#place
    const [command, wanted] = waitAof
      ? (['WAITAOF', [1, waitReplicas]] as const)
      : (['WAIT', [waitReplicas]] as const)
    const nodes = this.#commands instanceof Cluster ? this.#commands.nodes('master') : [this.#commands]
    const settleAt = async (node: Connection): Promise<void> => {
      for (;;) {
        const reply = await this.#guarded(this.#send(node, command, [...wanted, WAIT_MS]))
        const reached = [reply].flat().map(Number)
        if (wanted.every((count, at) => (reached[at] ?? 0) >= count)) return
      }
    }
    await Promise.all(nodes.map(settleAt))
  }

  /** Subscribes to a channel. Resolves when every later message will be received. */
  async listen(channel: string, onMessage: (message: string) => void): Promise<void> {
    this.checkOpen()
    this.#listeners.set(channel, onMessage)
    await this.#inTime(this.#guarded(this.#patiently(() => this.#changes.subscribe(channel))))
  }

  unlisten(channel: string): void {
    if (!this.#listeners.delete(channel)) return
    this.#changes.unsubscribe(channel).catch(() => undefined)
  }

  /** @throws {RunnerError} `shutting_down` when the client is closed. */
  checkOpen(): void {
    this.#gate.check()
  }

  close(): void {
    this.#gate.close()
    this.#commands.disconnect()
    this.#changes.disconnect()
  }

  /** As `run`, for a command. */
  async command(command: string, ...args: Argument[]): Promise<unknown> {
    this.checkOpen()
    return await this.#call(command, args)
  }

  async #call(command: string, args: readonly Argument[]): Promise<unknown> {
    return await this.#guarded(this.#send(this.#commands, command, args))
  }

  /** Sends a command until Redis answers it. Resolves with the reply, its bulk strings as buffers. */
  #send(connection: Connection, command: string, args: readonly Argument[]): Promise<unknown> {
    return this.#patiently(() => connection.callBuffer(command, [...args]))
  }

  async #patiently<T>(send: () => Promise<T>): Promise<T> {
    for (let times = 1; ; times += 1) {
      try {
        return await send()
      } catch (error) {
        if (!PASSING.test(toMessage(error)) || !this.#gate.isOpen) throw error
        await delay(retry(times), undefined, { ref: false })
      }
    }
  }

  async #guarded<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** Waits `ASK_MS` for an answer; ignores a later one. @throws {RunnerError} `storage_unavailable`. */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable()), ASK_MS)
    })
    try {
      return await Promise.race([answer, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #failure(error: unknown): RunnerError {
    const message = toMessage(error)
    if (!this.#gate.isOpen) return closedStore()
    const refusal = REFUSALS.find(([says]) => says.test(message))
    if (refusal !== undefined) {
      const text = `Redis takes nothing more: ${message} ${refusal[1]}; what was sent stays readable.`
      return new RunnerError('storage_full', text, { cause: error })
    }
    if (/WRONGTYPE/.test(message)) {
      const text = `Redis holds something else under this program's keys: ${message}`
      return new RunnerError('storage_damaged', text, { cause: error })
    }
    return new RunnerError('internal', `Redis refused a command: ${message}`, { cause: error })
  }
}

function unavailable(): RunnerError {
  const message = `Redis (EVENT_LOG_URL) has not answered within ${ASK_MS} ms; try again when it is back.`
  return new RunnerError('storage_unavailable', message)
}
