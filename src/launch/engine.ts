import { spawn } from 'node:child_process'
import type { Env } from '../config.ts'
import { RunnerError } from '../errors.ts'
import { type EngineFacts, type EngineKind, LABEL } from './arguments.ts'

/** The variables that the engines' own programs read. None is a credential of ours. */
const ENGINE_VARIABLES = [
  ...['PATH', 'HOME', 'TMPDIR', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS'],
  ...['DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_CONFIG', 'DOCKER_TLS_VERIFY', 'DOCKER_CERT_PATH'],
  ...['CONTAINER_HOST', 'CONTAINERS_CONF', 'CONTAINERS_STORAGE_CONF'],
]
const TALK_MS = 60_000
/** Longest pull of an image, in milliseconds: a gigabyte from a slow registry. */
const PULL_MS = 900_000
const LOG_LINES = 20
/** Most characters of a program's output. The engines' answers are a few lines. */
const OUTPUT_CHARS = 64 * 1024

interface Talk {
  code: number | null
  stdout: string
  stderr: string
}

/** The command line of docker or podman. */
export class Engine {
  readonly facts: EngineFacts
  readonly #env: Record<string, string>

  private constructor(facts: EngineFacts, env: Record<string, string>) {
    this.facts = facts
    this.#env = env
  }

  /**
   * Finds the wanted engine, or the first that answers.
   *
   * @throws {RunnerError} `sandbox_failed` when none answers.
   */
  static async need(wanted: EngineKind | undefined, env: Env): Promise<Engine> {
    const found = await Engine.find(wanted, env)
    if (found instanceof Engine) return found
    throw new RunnerError(
      'sandbox_failed',
      `${found.lacking} Install or start docker or podman; or use --here, which runs on this machine itself.`,
    )
  }

  /** As `need`, but returns a sentence when no engine answers. */
  static async find(wanted: EngineKind | undefined, env: Env): Promise<Engine | { lacking: string }> {
    const own = Object.fromEntries(
      ENGINE_VARIABLES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
    )
    const problems: string[] = []
    for (const kind of wanted === undefined ? (['docker', 'podman'] as const) : [wanted]) {
      const format = kind === 'docker' ? '{{json .SecurityOptions}}' : '{{.Host.Security.Rootless}}'
      const { code, stdout, stderr } = await talk(kind, ['info', '--format', format], own)
      if (code === 0) return new Engine({ kind, isRootless: /rootless|^true$/m.test(stdout) }, own)
      problems.push(`${kind}: ${lastWords(stderr)}`)
    }
    return { lacking: `No container engine answers (${problems.join('; ')}).` }
  }

  /** @throws {RunnerError} `sandbox_failed` with the engine's last line. */
  async run(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await talk(this.facts.kind, args, this.#env)
    if (code === 0) return stdout.trim()
    throw new RunnerError('sandbox_failed', `${this.facts.kind} ${args[0]} failed: ${lastWords(stderr)}`)
  }

  /** As `run`, but returns false on failure, for objects that may not exist. */
  async tried(args: readonly string[]): Promise<boolean> {
    return (await talk(this.facts.kind, args, this.#env)).code === 0
  }

  /** @throws {RunnerError} `config_invalid` when the image is absent and cannot be pulled. */
  async needImage(image: string, signal: AbortSignal): Promise<void> {
    if (await this.tried(['image', 'inspect', image])) return
    const limits = { signal, timeoutMs: PULL_MS }
    const { code, stderr } = await talk(this.facts.kind, ['pull', '--quiet', image], this.#env, limits)
    if (code === 0) return
    signal.throwIfAborted()
    throw new RunnerError(
      'config_invalid',
      `The image ${image} is not here and cannot be pulled: ${lastWords(stderr)}. Build it (docs/image.md) or name another with --image.`,
    )
  }

  /** Resolves with the exit code of the ended container, or undefined when it is gone or the signal came first. */
  async wait(name: string, signal: AbortSignal): Promise<number | undefined> {
    const { code, stdout } = await talk(this.facts.kind, ['wait', name], this.#env, { signal, timeoutMs: 0 })
    return code === 0 && /^\d+$/.test(stdout.trim()) ? Number(stdout) : undefined
  }

  async logs(name: string): Promise<string> {
    const { stdout, stderr } = await talk(
      this.facts.kind,
      ['logs', '--tail', String(LOG_LINES), name],
      this.#env,
    )
    return `${stdout}${stderr}`.trim()
  }

  async wasOutOfMemory(name: string): Promise<boolean> {
    const args = ['inspect', '--format', '{{.State.OOMKilled}}', name]
    return (await talk(this.facts.kind, args, this.#env)).stdout.trim() === 'true'
  }

  /** Returns the containers or networks with our label. The engines' lists differ, so the labels come from `inspect`. */
  async labelled(kind: 'container' | 'network'): Promise<Labelled[]> {
    const all = kind === 'container' ? ['--all'] : []
    const list = await this.run([kind, 'ls', ...all, '--quiet', '--filter', `label=${LABEL.run}`])
    if (list === '') return []
    const place = kind === 'container' ? '.Config.Labels' : '.Labels'
    const labels = [LABEL.run, LABEL.pid, LABEL.ticks, LABEL.started].map(
      (label) => `{{index ${place} "${label}"}}`,
    )
    const format = ['{{.Name}}', ...labels].join('\t')
    // An object that is gone meanwhile is an error beside the others.
    const inspect = [kind, 'inspect', '--format', format, ...list.split('\n')]
    const { stdout } = await talk(this.facts.kind, inspect, this.#env)
    return stdout.split('\n').flatMap((line) => {
      const [name = '', run = '', pid = '', started = '', at = ''] = line.split('\t')
      const found = { kind, run, pid: Number(pid), started: started || undefined, startedAt: Date.parse(at) }
      return name === '' ? [] : [{ ...found, name: name.replace(/^\//, '') }]
    })
  }

  async remove({ kind, name }: Pick<Labelled, 'kind' | 'name'>): Promise<void> {
    await this.tried(kind === 'container' ? ['rm', '--force', '--volumes', name] : ['network', 'rm', name])
  }
}

export interface Labelled {
  kind: 'container' | 'network'
  name: string
  run: string
  pid: number
  /** Start time of the launcher in clock ticks; undefined without the label. */
  started: string | undefined
  /** Milliseconds since the epoch; NaN without a readable label. */
  startedAt: number
}

function talk(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  { signal, timeoutMs = TALK_MS }: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<Talk> {
  return new Promise((resolve) => {
    // The engine gets a process group of its own, so that Ctrl-C reaches only us, who stop the container in order.
    const child = spawn(program, args, {
      ...{ env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
      ...(signal === undefined ? {} : { signal }),
    })
    // Node's own timeout would keep this process alive for its whole length when the program is absent.
    const late = timeoutMs === 0 ? undefined : setTimeout(() => child.kill(), timeoutMs)
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] = (said[name] + text).slice(-OUTPUT_CHARS)
      })
    const end = (talked: Talk): void => {
      clearTimeout(late)
      resolve(talked)
    }
    child.once('error', (error) => end({ code: null, stdout: '', stderr: error.message }))
    child.once('close', (code) => end({ code, ...said }))
  })
}

/** Returns the last two lines: docker says the reason in one line, and in another one what it did not do. */
function lastWords(text: string): string {
  const lines = text.trim().split('\n')
  return lines.slice(-2).join('; ') || 'it said nothing'
}
