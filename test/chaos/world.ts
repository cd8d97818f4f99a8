// One runner on a small disk behind a mock gateway, and what can befall them.
import { setMaxListeners } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MARK_VARIABLE } from '../../src/claude/process/process-tree.ts'
import type { Script } from '../../src/mock/script.ts'
import { isLiving, type ProcessRef, processes, readProc, signalProcess } from '../../src/process-table.ts'
import { unlessAborted } from '../../src/within.ts'
import { claudeOf, readProcess } from '../support/processes.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { CALM } from './prompts.ts'

const DISK_BYTES = 96 * 1024 * 1024

/** Short, so that each limit is met: what is hung is found out while others work. */
const LIMITS = {
  CLAUDE_PROCESSES_MAX: '6',
  RUN_IDLE_TIMEOUT_MS: '8000',
  CLAUDE_CONTROL_TIMEOUT_MS: '3000',
  CLAUDE_STOP_STEP_MS: '500',
  INTERRUPT_GRACE_MS: '500',
  CLAUDE_CONNECT_MAX_RETRIES: '1',
  SSE_KEEPALIVE_MS: '1000',
  // A starved machine takes long, and a hang is one all the same.
  SHUTDOWN_GRACE_MS: '60000',
}

/** What a process holds. */
export interface Held {
  descriptors: number
  /** By where in the code each was set. */
  timers: string[]
}

const LOOK_MS = 20

/** SIGKILL in the signal sets of proc(5). */
const SIGKILL_BIT = 1n << 8n

/** Whether SIGKILL has been sent. The process does nothing more then, and on a starved machine it is still listed for long. */
function isDying({ pid }: ProcessRef): boolean {
  const pending = readProc(`${pid}/status`)?.matchAll(/^(?:Sig|Shd)Pnd:\s*([0-9a-f]+)$/gm) ?? []
  return [...pending].some(([, bits]) => (BigInt(`0x${bits}`) & SIGKILL_BIT) !== 0n)
}

/** Runs inside the runner: writes on SIGUSR2 where its timers were set, those that keep no process alive too. */
const PROBE = (file: string): string => `
import { createHook } from 'node:async_hooks'
import { renameSync, writeFileSync } from 'node:fs'
const timers = new Map()
const place = ({ stack }) => stack.split('\\n').filter((line) => /dist\\//.test(line)).slice(0, 3).join()
createHook({
  init(id, type) { if (type === 'Timeout') timers.set(id, new Error()) },
  destroy(id) { timers.delete(id) },
}).enable()
process.on('SIGUSR2', () => {
  writeFileSync('${file}.new', JSON.stringify([...timers.values()].map(place)))
  renameSync('${file}.new', '${file}')
})`

export class World {
  /** Its reason is what went wrong: nothing goes on then. */
  readonly #over = new AbortController()
  readonly #bench: Bench
  readonly #disk: SmallDisk
  #runner: Promise<RunnerProcess>
  /** From when to when, of Date.now(). */
  readonly #gatewayFaults: { from: number; to: number }[] = []
  readonly #isExpected = new WeakSet<RunnerProcess>()

  private constructor(bench: Bench, disk: SmallDisk) {
    this.#bench = bench
    this.#disk = disk
    // All that waits hears of it.
    setMaxListeners(0, this.signal)
    this.#runner = this.#start()
  }

  static async open(): Promise<World> {
    const bench = await openBench({ script: CALM })
    try {
      return new World(bench, SmallDisk.mount('ext4', bench.state, DISK_BYTES))
    } catch (error) {
      await bench.close()
      throw error
    }
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** Ends everything, with the first reason that is given. */
  fail(reason: unknown): void {
    this.#over.abort(reason)
  }

  /** The address of the runner that serves, else of the next one. */
  async url(): Promise<string> {
    return (await this.#current()).url
  }

  failGateway(script: Script): void {
    this.#gatewayFaults.push({ from: Date.now(), to: Number.POSITIVE_INFINITY })
    this.#bench.gateway.use(script)
  }

  mendGateway(): void {
    this.#bench.gateway.use(CALM)
    const fault = this.#gatewayFaults.at(-1)
    if (fault !== undefined) fault.to = Date.now()
  }

  /** @param from, to of Date.now(). */
  hasGatewayFailed(from: number, to: number): boolean {
    return this.#gatewayFaults.some((fault) => fault.from <= to && from <= fault.to)
  }

  fillDisk(): void {
    this.#disk.fill()
  }

  freeDisk(): void {
    this.#disk.free()
  }

  claudes(): number[] {
    return claudeOf(this.#bench)
  }

  /** All that runners of this world have started and that still lives. */
  started(): ProcessRef[] {
    const isOurs = (pid: number): boolean => {
      const environ = readProcess(pid, 'environ')
      return environ.includes(MARK_VARIABLE) && environ.includes(this.#bench.directory)
    }
    return processes().filter(({ pid }) => isOurs(pid))
  }

  async signalRunner(signal: NodeJS.Signals): Promise<void> {
    process.kill((await this.#current()).pid, signal)
  }

  /**
   * Ends the runner and starts another one on what it left, behind `between`.
   *
   * @throws when it ends otherwise than it should, or when what it had started outlives the next start.
   */
  async replaceRunner(signal: 'SIGKILL' | 'SIGTERM', between = (): void => {}): Promise<void> {
    const started = this.started()
    const replaced = this.#end(signal).then(() => {
      between()
      return this.#start()
    })
    this.#runner = replaced
    await replaced
    const left = started.filter((ref) => isLiving(ref) && !isDying(ref))
    if (left.length > 0)
      throw new Error(`after ${signal} these outlive the next start: ${JSON.stringify(left)}`)
  }

  /** What the runner holds now. */
  async held(): Promise<Held> {
    const { pid } = await this.#current()
    rmSync(this.#probeFile, { force: true })
    process.kill(pid, 'SIGUSR2')
    for (;;) {
      const timers = readText(this.#probeFile)
      if (timers !== undefined) {
        return { timers: JSON.parse(timers), descriptors: readdirSync(`/proc/${pid}/fd`).length }
      }
      await delay(LOOK_MS, undefined, { signal: this.signal })
    }
  }

  /** @throws when the runner does not end in good order, with all that it had started. */
  async end(): Promise<void> {
    await this.#end('SIGTERM')
    const left = this.started()
    if (left.length > 0) throw new Error(`these outlive the runner: ${JSON.stringify(left)}`)
  }

  /** Takes everything away. */
  async close(): Promise<void> {
    this.#over.abort()
    this.#disk.free()
    const runner = await this.#runner.catch(() => undefined)
    if (runner !== undefined) {
      this.#isExpected.add(runner)
      // It may be stopped.
      signalProcess(runner.pid, 'SIGCONT')
    }
    await this.#bench.stop()
    this.#disk.unmount()
    await this.#bench.close()
  }

  get #probeFile(): string {
    return join(this.#bench.directory, 'timers')
  }

  async #current(): Promise<RunnerProcess> {
    return await unlessAborted(this.signal, this.#runner)
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const runner = await this.#current()
    this.#isExpected.add(runner)
    const end = await runner.stop(signal)
    if (end !== (signal === 'SIGTERM' ? 0 : signal))
      throw new Error(`after ${signal} the runner ended with ${end}: ${lastWords(runner)}`)
  }

  async #start(): Promise<RunnerProcess> {
    const runner = await this.#bench.start({
      ...LIMITS,
      // Claude Code's own files lie elsewhere: what is looked at on a full disk is ours.
      CLAUDE_CONFIG_DIR: join(this.#bench.home, '.claude'),
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PROBE(this.#probeFile))}`,
    })
    void runner.exited.then((code) => {
      if (!this.#isExpected.has(runner))
        this.fail(new Error(`the runner ended by itself (${code}): ${lastWords(runner)}`))
    })
    return runner
  }
}

function lastWords(runner: RunnerProcess): string {
  return runner.stderr().slice(-4000)
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
