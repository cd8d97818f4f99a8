// A launch without an engine: the runner in namespaces of this machine, made by bubblewrap.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { RunnerError } from '../errors.ts'
import { type ProcessRef, processes, signalProcess } from '../process-table.ts'
import { initOf, untilGone } from '../sandbox/bwrap/leftovers.ts'
import { seccompFilter } from '../sandbox/bwrap/seccomp.ts'
import { programPath } from '../sandbox/bwrap/tools.ts'
import type { Isolation, Place, PlaceRequest } from './isolation.ts'
import { type Machine, processArguments } from './process-arguments.ts'

const LOG_LINES = 20
const LOG_CHARS = 64 * 1024
const DESCRIPTORS = { filter: 3, info: 4 }

/** Folders of programs and libraries in every distribution. They hold no user's files. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']
/** Files of /etc that programs read and that hold no secret. */
const SETTINGS = [
  ...[
    'alternatives',
    'ld.so.cache',
    'ld.so.conf',
    'ld.so.conf.d',
    'localtime',
    'mime.types',
    'nsswitch.conf',
  ],
  ...['ca-certificates', 'ssl/certs', 'ssl/openssl.cnf', 'pki/tls/certs', 'pki/ca-trust', 'crypto-policies'],
].map((name) => `/etc/${name}`)
/** The parts of this package, as in the image. */
const PACKAGE = ['dist', 'wrappers', 'package.json', 'policy.yaml']

export class ProcessIsolation implements Isolation {
  readonly kind = 'process'
  readonly image = undefined
  readonly #machine: Omit<Machine, 'empty'>

  /**
   * @param appDirectory The folder of this package.
   * @throws {RunnerError} `sandbox_failed` without bubblewrap.
   */
  constructor(appDirectory: string) {
    const [bwrap, setpriv] = ['bwrap', 'setpriv'].map(programPath)
    const isRoot = process.getuid?.() === 0
    if (process.platform !== 'linux' || bwrap === undefined || (isRoot && setpriv === undefined))
      throw new RunnerError(
        'sandbox_failed',
        'A launch as a process needs Linux and bubblewrap (bwrap; as root setpriv too). Install it, or start docker or podman; or use --here.',
      )
    this.#machine = {
      ...{ bwrap, setpriv: isRoot ? setpriv : undefined },
      ...viewOf(appDirectory),
      descriptors: { ...DESCRIPTORS, filter: seccompFilter() === undefined ? undefined : DESCRIPTORS.filter },
    }
  }

  need(): Promise<void> {
    return Promise.resolve()
  }

  place(request: PlaceRequest): Place {
    const { plan, folder } = request
    const [empty, passwd] = [join(folder, 'empty'), join(folder, 'passwd')]
    const { shown } = this.#machine
    const own = [{ source: passwd, target: '/etc/passwd' }]
    const command = processArguments(plan, { ...this.#machine, empty, shown: [...shown, ...own] })
    return new ProcessPlace(command, () => {
      const { uid, gid } = plan.user
      writeFileSync(empty, '')
      writeFileSync(passwd, `sandbox:x:${uid}:${gid}::/sandbox:/bin/bash\n`)
    })
  }
}

function viewOf(appDirectory: string): Pick<Machine, 'shown' | 'links'> {
  const app = realpathSync(appDirectory)
  const links = SYSTEM.filter((path) => existsSync(path) && lstatSync(path).isSymbolicLink())
  const shown = whatIsThere([...SYSTEM.filter((path) => !links.includes(path)), ...SETTINGS])
  for (const name of PACKAGE) shown.push({ source: join(app, name), target: `/app/${name}` })
  shown.push(
    { source: join(app, 'entrypoint.sh'), target: '/runner/entrypoint.sh' },
    { source: realpathSync(process.execPath), target: '/app/bin/node' },
  )
  const [own, around] = [join(app, 'node_modules'), modulesAround(app)]
  if (existsSync(own)) shown.push({ source: realpathSync(own), target: '/app/node_modules' })
  // As a dependency of another package it finds its own dependencies beside itself.
  if (around !== undefined) shown.push({ source: around, target: '/node_modules' })
  return { shown, links: links.map((target) => ({ target, to: readlinkSync(target) })) }
}

function modulesAround(app: string): string | undefined {
  const at = app.lastIndexOf('/node_modules/')
  return at < 0 ? undefined : app.slice(0, at + '/node_modules'.length)
}

/** Returns the existing paths with their link targets. */
function whatIsThere(paths: readonly string[]): { source: string; target: string }[] {
  return paths.flatMap((path) => (existsSync(path) ? [{ source: realpathSync(path), target: path }] : []))
}

class ProcessPlace implements Place {
  readonly commands: readonly (readonly string[])[]
  readonly #prepare: () => void
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #init: ProcessRef | undefined
  #said = ''

  constructor(command: readonly string[], prepare: () => void) {
    this.commands = [command]
    this.#prepare = prepare
  }

  async start(): Promise<void> {
    this.#prepare()
    const [program = '', ...args] = this.commands[0] ?? []
    // The process gets a group of its own, so that Ctrl-C reaches only us, who stop it in order.
    const child = spawn(program, args, {
      ...{ cwd: '/', env: {}, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] },
    })
    this.#child = child
    this.#exited = once(child, 'close').catch(() => undefined)
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-LOG_CHARS)
      })
    const [filter, info] = [child.stdio[DESCRIPTORS.filter], child.stdio[DESCRIPTORS.info]]
    if (filter instanceof Writable) filter.on('error', () => undefined).end(seccompFilter())
    let made = ''
    if (info instanceof Readable)
      info.setEncoding('utf8').on('data', (text: string) => {
        made += text
        this.#init ??= initOf(made)
      })
    try {
      await once(child, 'spawn')
    } catch (error) {
      throw new RunnerError('sandbox_failed', `${program} cannot be started: ${String(error)}`)
    }
  }

  async ended(signal: AbortSignal): Promise<string | undefined> {
    await Promise.race([this.#exited, once(signal, 'abort')])
    if (signal.aborted) return undefined
    const { exitCode, signalCode } = this.#child ?? {}
    return `ended by itself (${exitCode ?? signalCode ?? 'it is gone'})`
  }

  logs(): Promise<string> {
    return Promise.resolve(this.#said.trim().split('\n').slice(-LOG_LINES).join('\n'))
  }

  async stop(graceSeconds: number): Promise<void> {
    if (!this.#isRunning) return
    const runner = this.#runner()
    if (runner !== undefined && graceSeconds > 0) {
      signalProcess(runner, 'SIGTERM')
      const late = new AbortController()
      await Promise.race([
        this.#exited,
        delay(graceSeconds * 1000, undefined, { signal: late.signal }).catch(() => undefined),
      ])
      late.abort()
    }
    await this.kill()
  }

  /** Kills bubblewrap. Its first process inside dies with it, and with that one all others. */
  async kill(): Promise<void> {
    if (this.#isRunning) this.#child?.kill('SIGKILL')
    await this.#exited
    if (this.#init !== undefined) await untilGone(this.#init)
  }

  remove(): Promise<void> {
    return this.kill()
  }

  get #isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined
  }

  /** Returns the pid of the one child of bubblewrap's inner process. */
  #runner(): number | undefined {
    return processes().find(({ parent }) => parent === this.#init?.pid)?.pid
  }
}
