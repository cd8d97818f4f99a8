import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { BareCli, launchOf } from './bare-cli.ts'
import { BARE_SERVERS } from './bare-server.ts'
import { postRun } from './client.ts'
import type { Command } from './proc.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

/** What the model says to the prompts of the measures; the number at the head shows that nothing is lost. */
const SCRIPT = {
  rules: [
    { when: { prompt: 'stream (\\d+)' }, reply: [{ deltas: { count: '{{1}}', text: '{{n}} ' } }] },
    {
      when: { prompt: 'wide (\\d+)' },
      reply: [{ deltas: { count: '{{1}}', text: `{{n}} ${'x'.repeat(500)}` } }],
    },
    { reply: 'You said: {{prompt}}' },
  ],
}

export interface RunnerHandle {
  readonly url: string
  readonly pid: number
  readonly child: ChildProcess
  close(): Promise<void>
}

export interface RunnerOptions {
  env?: Record<string, string>
  /** Its state folder; by default a fresh one. */
  state?: string
  /** Node's own arguments. */
  nodeArguments?: string[]
  /** With a channel for messages to and from the process. */
  isForked?: boolean
  /** Of another build. */
  main?: string
  command?: 'serve' | 'read'
}

export interface WorkshopOptions {
  /** Fewer repetitions. */
  isQuick: boolean
  /** The folder of a package that is built already, to measure that one. */
  app: string | undefined
  /** The folder of another build, which some measures compare with. */
  against: string | undefined
  /** The folder in which the peers are installed. */
  peers?: string | undefined
}

/**
 * Everything the measures share: what ships, built from the sources as they are now into a folder of its own, and the
 * mock gateway as a process of its own, so that it costs our side and the reference the same.
 */
export class Workshop {
  readonly isQuick: boolean
  readonly directory: string
  readonly main: string
  /** Of the build to compare with. */
  readonly againstMain: string | undefined
  readonly peers: string | undefined
  readonly #closers: (() => Promise<void> | void)[] = []
  #modelEnvironment: Record<string, string> = {}
  #modelUrl = ''
  #mockPid = 0
  #launch: Promise<Command> | undefined
  readonly #launches = new Map<string, Launch>()
  #folders = 0
  #closing: Promise<void> | undefined

  private constructor(directory: string, { isQuick, app, against, peers }: WorkshopOptions) {
    this.directory = directory
    this.isQuick = isQuick
    this.peers = peers
    this.main = mainOf(app ?? join(directory, 'app'))
    this.againstMain = against === undefined ? undefined : mainOf(against)
  }

  static async open(options: WorkshopOptions): Promise<Workshop> {
    const directory = mkdtempSync(join(tmpdir(), 'agui-runner-bench-'))
    const workshop = new Workshop(directory, options)
    workshop.#closers.push(() =>
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
    )
    try {
      if (options.app === undefined) workshop.#build()
      await workshop.#startMock()
    } catch (error) {
      await workshop.close()
      throw error
    }
    return workshop
  }

  /** How often something is repeated. */
  repetitions(full: number): number {
    return this.isQuick ? Math.max(2, Math.round(full / 4)) : full
  }

  folder(): string {
    const path = join(this.directory, `folder-${++this.#folders}`)
    mkdirSync(path)
    return path
  }

  environment(state: string, extra: Record<string, string> = {}): Record<string, string> {
    const workspace = join(state, 'workspace')
    const home = join(state, 'home')
    for (const path of [workspace, home]) mkdirSync(path, { recursive: true })
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      TMPDIR: this.directory,
      AGUI_PORT: '0',
      WORKSPACE_PATH: workspace,
      RUNNER_STATE_DIR: join(state, 'state'),
      // The mock stands in for a sandbox that is enforced: nobody is there to approve.
      OPENSHELL_SANDBOX: '1',
      ...this.#modelEnvironment,
      ...extra,
    }
  }

  /** The mock's model without its gateway, for who holds a key. */
  get modelUrl(): string {
    return this.#modelUrl
  }

  /** Of the mock gateway. */
  get mockPid(): number {
    return this.#mockPid
  }

  /** Starts `agui-runner serve`, or `read`, with the allocator and Node's arguments that `entrypoint.sh` gives it, and waits until it listens. */
  async runner(options: RunnerOptions = {}): Promise<RunnerHandle> {
    const main = options.main ?? this.main
    const launch = this.#launchBy(main)
    const env = this.environment(options.state ?? this.folder(), { ...launch.env, ...options.env })
    const command = [
      ...launch.nodeArguments,
      ...(options.nodeArguments ?? []),
      main,
      options.command ?? 'serve',
    ]
    const stdio = ['ignore', 'pipe', 'pipe', ...(options.isForked === true ? ['ipc' as const] : [])] as const
    return await this.#listening(
      spawn(process.execPath, command, { env, cwd: this.directory, stdio: [...stdio] }),
    )
  }

  /** The least that can answer, in a process of its own. In the same environment: Node 20 reads the CA of a sandbox first. */
  async bareServer(
    name: keyof typeof BARE_SERVERS,
    variables: Record<string, string> = {},
  ): Promise<RunnerHandle> {
    const env = this.environment(this.folder(), variables)
    const command = ['--eval', BARE_SERVERS[name]]
    return await this.#listening(
      spawn(process.execPath, command, { env, cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'pipe'] }),
    )
  }

  async #listening(child: ChildProcess): Promise<RunnerHandle> {
    const close = this.#closer(child)
    const { url } = await firstLine(child, (line) => line['msg'] === 'listening')
    return { url: String(url), pid: child.pid ?? -1, child, close }
  }

  /** The binary, the arguments and the environment that the runner starts Claude Code with. */
  launch(): Promise<Command> {
    this.#launch ??= this.#spyLaunch()
    return this.#launch
  }

  /** Claude Code started as the runner does, and nothing else. */
  async bareCli(): Promise<BareCli> {
    const cli = new BareCli(await this.launch())
    this.#closers.push(() => cli.close())
    return cli
  }

  /** Closes something with the workshop that may be closed before. */
  closeLater(close: () => Promise<void>): void {
    this.#closers.push(close)
  }

  /** A module of this folder as a process of its own that answers messages. */
  child(file: URL, args: readonly string[] = []): ChildProcess {
    const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(file), ...args], {
      env: { PATH: process.env['PATH'] ?? '', TMPDIR: this.directory },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#closer(child)
    return child
  }

  /** Safe to call twice: a signal ends what a measure waits for, which then fails and closes as well. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // The youngest first: the folder goes last.
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) await close()
  }

  #build(): void {
    const app = join(this.directory, 'app')
    mkdirSync(app)
    copyFileSync(join(REPOSITORY, 'package.json'), join(app, 'package.json'))
    copyFileSync(join(REPOSITORY, 'entrypoint.sh'), join(app, 'entrypoint.sh'))
    for (const name of ['node_modules', 'wrappers', 'policy.yaml']) {
      symlinkSync(join(REPOSITORY, name), join(app, name))
    }
    const words = ['run', '--silent', 'bundle', '--', `--outdir=${join(app, 'dist')}`]
    execFileSync('npm', words, { cwd: REPOSITORY, stdio: 'inherit' })
  }

  async #startMock(): Promise<void> {
    const script = join(this.directory, 'script.json')
    writeFileSync(script, JSON.stringify(SCRIPT))
    const child = spawn(process.execPath, [this.main, 'mock-gateway', '--json', '--script', script], {
      env: { PATH: process.env['PATH'] ?? '', TMPDIR: this.directory },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#closer(child)
    this.#mockPid = child.pid ?? 0
    const { environment, directUrl } = await firstLine(child, (line) => 'environment' in line)
    this.#modelUrl = String(directUrl)
    this.#modelEnvironment = Object.fromEntries(
      Object.entries(environment ?? {}).map(([name, value]) => [name, String(value)]),
    )
  }

  async #spyLaunch(): Promise<Command> {
    const runner = await this.runner()
    await postRun(runner.url, { threadId: 'spy', prompt: 'hello' })
    const launch = launchOf(runner.pid)
    await runner.close()
    return launch
  }

  #launchBy(main: string): Launch {
    const launch = this.#launches.get(main) ?? launchBy(main, this.directory)
    this.#launches.set(main, launch)
    return launch
  }

  /** @throws when the workshop is closing: the measure that goes on then starts nothing. */
  #closer(child: ChildProcess): () => Promise<void> {
    if (this.#closing !== undefined) {
      child.kill('SIGKILL')
      throw new Error('the bench is ending')
    }
    const exited = once(child, 'exit')
    const close = async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await exited
    }
    this.#closers.push(close)
    return close
  }
}

function mainOf(app: string): string {
  return join(app, 'dist', 'main.js')
}

interface Launch {
  /** The memory allocator and its settings. */
  env: Record<string, string>
  nodeArguments: string[]
}

const ALLOCATOR = /^(LD_PRELOAD|MALLOC_.*)$/
const SAY = 'JSON.stringify({ args: process.argv.slice(1), env: process.env })'

/** How the build's `entrypoint.sh` starts the server: it is executed, and what it takes for Node says what it was given. */
function launchBy(main: string, directory: string): Launch {
  const folder = mkdtempSync(join(directory, 'node-'))
  const script = `#!/bin/sh\nexec '${process.execPath}' -p '${SAY}' -- "$@"\n`
  writeFileSync(join(folder, 'node'), script, { mode: 0o755 })
  const env = { PATH: `${folder}:/usr/bin:/bin`, HOME: folder }
  const said: { args: string[]; env: Record<string, string> } = JSON.parse(
    execFileSync(join(dirname(main), '..', 'entrypoint.sh'), { env, encoding: 'utf8' }),
  )
  return {
    env: Object.fromEntries(Object.entries(said.env).filter(([name]) => ALLOCATOR.test(name))),
    nodeArguments: said.args.slice(
      0,
      said.args.findIndex((word) => word.endsWith('.js')),
    ),
  }
}

type LogLine = Record<string, unknown>

/** The first line of JSON for which `test` holds; the output goes on to be drained. */
function firstLine(child: ChildProcess, test: (line: LogLine) => boolean): Promise<LogLine> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    child.once('exit', (code) => reject(new Error(`${child.spawnargs.join(' ')} ended (${code}): ${said}`)))
    if (child.stdout === null) return
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line: LogLine = text.startsWith('{') ? JSON.parse(text) : {}
      said += `${text}\n`
      if (test(line)) resolve(line)
    })
  })
}
