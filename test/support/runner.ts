import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { loadConfig } from '../../src/config.ts'
import { type MockGateway, startMockGateway } from '../../src/mock/mock-gateway.ts'
import type { Script } from '../../src/mock/script.ts'
import { PACKAGE_DIRECTORY } from '../../src/package-directory.ts'
import { openRunner } from '../../src/runner/open.ts'
import { StateFolder } from '../../src/runner/state-folder.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { type LogLine, LogLines } from './log-lines.ts'
import { pidOf } from './processes.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

/** Of all benches of a worker: each other one would have its runners read all trusted roots again. */
const AUTHORITY = createAuthority('OpenShell Sandbox CA (of the tests)')

/** A Claude Code that lives for seconds: its engine's collections while it idles would be a quarter of its processor time. */
export const BRIEF = { BUN_GC_TIMER_DISABLE: '1' }

export interface RunnerProcess {
  readonly url: string
  readonly pid: number
  /** The first log line, past or to come, for which `test` holds. */
  line(test: (line: LogLine) => boolean): Promise<LogLine>
  /** The exit code, or the signal's name. */
  readonly exited: Promise<number | string>
  stderr(): string
  stop(signal?: NodeJS.Signals): Promise<number | string>
}

/** A runner in the test's own process. */
export interface OpenRunner {
  readonly url: string
  /** What its log file holds so far. */
  log(): string
  stop(): Promise<void>
}

export interface Bench {
  readonly directory: string
  readonly workspace: string
  readonly home: string
  readonly state: string
  readonly gateway: MockGateway
  /** Starts `agui-runner serve` on this bench's folders and waits until it listens. */
  start(env?: Record<string, string>): Promise<RunnerProcess>
  /**
   * Opens the same runner, with the real Claude Code, in the test's own process: for tests that ask for no pid, no signal, no
   * exit code and no stdout of it. Half a second of processor time less.
   */
  open(env?: Record<string, string>): Promise<OpenRunner>
  /** The same without waiting: for starts that fail. `wrapper` is a command line in front of it. */
  spawn(env?: Record<string, string>, command?: string[], wrapper?: string[]): StartedProcess
  /** Stops what runs. */
  stop(): Promise<void>
  /** Stops what runs and removes the folder. */
  close(): Promise<void>
}

export interface BenchOptions {
  script?: Script
}

/** Folders of its own, a mock gateway, and runners on them. */
export async function openBench(options: BenchOptions = {}): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'agui-runner-test-'))
  const [workspace, home, state] = ['workspace', 'home', 'state'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  for (const folder of [workspace, home]) mkdirSync(folder)
  const gateway = await startMockGateway({
    directory: join(directory, 'gateway'),
    authority: AUTHORITY,
    script: options.script,
  })
  const runners: { stop(): Promise<unknown> }[] = []
  const environment = (env: Record<string, string>): Record<string, string> => ({
    PATH: process.env['PATH'] ?? '',
    TMPDIR: directory,
    HOME: home,
    AGUI_PORT: '0',
    WORKSPACE_PATH: workspace,
    RUNNER_STATE_DIR: state,
    // The mock stands in for a sandbox that is enforced: nobody is there to approve.
    OPENSHELL_SANDBOX: '1',
    ...BRIEF,
    ...gateway.environment,
    ...env,
  })
  const bench: Bench = {
    directory,
    workspace,
    home,
    state,
    gateway,
    spawn(env = {}, command = ['serve'], wrapper = []) {
      const started = spawnRunner([...wrapper, process.execPath, MAIN, ...command], {
        cwd: directory,
        env: environment(env),
      })
      runners.push(started)
      return started
    },
    async start(env = {}) {
      const started = bench.spawn(env)
      const listening = started.line((line) => line['msg'] === 'listening')
      const ended = started.exited.then((code) => {
        throw new Error(`the runner ended (${code}) before it listened:\n${started.stderr()}`)
      })
      const line = await Promise.race([listening, ended])
      return { ...started, url: String(line['url']) }
    },
    async open(env = {}) {
      const opened = await openHere(environment(env), directory)
      runners.push(opened)
      return opened
    },
    async stop() {
      await Promise.all(runners.map((runner) => runner.stop()))
    },
    async close() {
      await bench.stop()
      await gateway.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return bench
}

async function openHere(env: Record<string, string>, workingDirectory: string): Promise<OpenRunner> {
  const config = loadConfig(env, { appDirectory: PACKAGE_DIRECTORY, workingDirectory })
  mkdirSync(config.stateDirectory, { recursive: true })
  const { logger, close } = await createLogger({
    ...{ level: config.logLevel, file: config.logFile, console: 'none' },
  })
  const runner = await openRunner({
    ...{ config, env, logger, version: '0', isMock: false },
    stateFolder: new StateFolder(config.stateDirectory),
    onRunEnded: () => undefined,
    onFatal: (error) => {
      throw error
    },
  })
  let closing: Promise<void> | undefined
  await runner.serve()
  return {
    url: runner.url,
    log: () => readFileSync(config.logFile, 'utf8'),
    stop: () => (closing ??= runner.close().then(close)),
  }
}

type StartedProcess = Omit<RunnerProcess, 'url'>

/** One `agui-runner` process; its stdout is read as log lines. */
function spawnRunner(
  [file = '', ...words]: string[],
  options: { cwd: string; env: Record<string, string> },
): StartedProcess {
  const child = spawn(file, words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = new LogLines()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.add(text.startsWith('{') ? JSON.parse(text) : { text })
  })
  const exited = exitOf(child)
  return {
    pid: pidOf(child.pid),
    exited,
    stderr: () => `${stderr}${lines.all.map((line) => JSON.stringify(line)).join('\n')}`,
    line: (test) => lines.first(test),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return await exited
    },
  }
}

function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1))
  })
}
