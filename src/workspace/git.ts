import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { RunnerError, toMessage } from '../errors.ts'
import { PROXY_VARIABLES } from '../proxy-settings.ts'
import { within } from '../within.ts'
import { nameToText } from './file-name.ts'
import type { Folder } from './folder.ts'
import { type Credential, type GitProtocol, withoutUserInfo } from './repository-url.ts'

export type GitEnv = Readonly<Record<string, string | undefined>>

export interface GitOptions {
  /** The runner's environment. Only the variables that git needs are passed on. */
  env: GitEnv
  protocols: readonly GitProtocol[]
  timeoutMs: number
}

export interface GitCall {
  /** The working directory of the git process. */
  folder: Folder
  signal: AbortSignal
  credential?: Credential | undefined
  /** Settings that win over those of every configuration file. */
  config?: readonly (readonly [key: string, value: string])[]
  /** Protocols that are allowed in addition to those of `GitOptions`. */
  protocols?: readonly GitProtocol[]
}

export interface GitResult {
  code: number
  stdout: string
  stderr: string
  /** The raw bytes of `stdout`. The content of a file must be taken from here, because `stdout` has escapes. */
  bytes: Buffer
}

/** Upper bound of each output, in bytes. Nobody reads a longer status. */
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024
const MESSAGE_CHARS_MAX = 500
const CREDENTIAL_FD = 3

/** Variables passed to git: the search path, the proxies and the certificates. */
const PASSED = ['PATH', ...PROXY_VARIABLES, 'SSL_CERT_FILE', 'SSL_CERT_DIR']

/**
 * Settings that win over a repository's own configuration, which anyone who writes to the workspace controls. Nothing
 * there can make git start a program or connect to another host.
 */
const SETTINGS: readonly (readonly [string, string])[] = [
  // A root runner starts Claude Code as another user. Git would refuse the repositories of that user.
  ['safe.directory', '*'],
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.sshCommand', 'false'],
  ['core.gitProxy', 'false'],
  ['core.askPass', ''],
  ['core.alternateRefsCommand', 'true'],
  ['core.pager', 'cat'],
  ['credential.helper', ''],
  ['diff.external', ''],
  ['protocol.ext.allow', 'never'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  // A fetch writes one new pack file, not loose objects into folders that may lead elsewhere.
  ['fetch.unpackLimit', '1'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['http.sslVerify', 'true'],
  ['init.defaultBranch', 'main'],
]

/**
 * A credential helper that prints what it reads from the descriptor and keeps nothing. The descriptor is a socket.
 * Unlike a variable or a file, a socket cannot be read by other processes through /proc.
 */
const CREDENTIAL_HELPER = `!f() { if test "$1" = get; then cat <&${CREDENTIAL_FD}; fi; }; f`

/** The `git` program without settings of user or machine, without prompts, with only the variables it needs. */
export class Git {
  readonly #options: GitOptions

  constructor(options: GitOptions) {
    this.#options = options
  }

  get protocols(): readonly GitProtocol[] {
    return this.#options.protocols
  }

  /** Returns git's output. @throws {RunnerError} `git_failed` when git fails, exceeds a limit or cannot be started. */
  async run(args: readonly string[], call: GitCall): Promise<string> {
    const { code, stdout, stderr } = await this.tryRun(args, call)
    if (code === 0) return stdout
    throw new RunnerError(
      'git_failed',
      `git ${commandOf(args)} failed: ${lastWords(stderr, call.credential)}`,
    )
  }

  /** Like `run`, but returns an exit code other than 0 instead of throwing. */
  tryRun(args: readonly string[], call: GitCall): Promise<GitResult> {
    const { timeoutMs } = this.#options
    return within({ signal: call.signal, timeoutMs }, (limit) => this.#runWithin(limit, args, call))
  }

  async #runWithin(limit: AbortSignal, args: readonly string[], call: GitCall): Promise<GitResult> {
    limit.throwIfAborted()
    const { credential } = call
    const child = spawn('git', [...args], {
      cwd: call.folder.place,
      env: this.#environment(call),
      // A process group of its own: the helpers that git starts for a transfer are killed with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', credential === undefined ? 'ignore' : 'pipe'],
    })
    const kill = (): void => killGroup(child)
    limit.addEventListener('abort', kill, { once: true })
    try {
      if (credential !== undefined) giveCredential(child, credential)
      const [stdout, stderr] = [collect(child.stdout, kill), collect(child.stderr, kill)]
      const [code] = await once(child, 'close')
      if (call.signal.aborted) throw call.signal.reason
      if (limit.aborted) {
        const message = `git ${commandOf(args)} took longer than ${this.#options.timeoutMs} ms and was stopped.`
        throw new RunnerError('git_failed', message)
      }
      if (stdout.overflown || stderr.overflown) {
        throw new RunnerError('git_failed', `git said more than ${OUTPUT_BYTES_MAX} bytes and was stopped.`)
      }
      const said = { stdout: stdout.text(), stderr: stderr.text(), bytes: stdout.bytes() }
      return { code: typeof code === 'number' ? code : -1, ...said }
    } catch (error) {
      if (error instanceof RunnerError || call.signal.aborted) throw error
      throw new RunnerError('git_failed', `git could not be started: ${toMessage(error)}`, { cause: error })
    } finally {
      limit.removeEventListener('abort', kill)
    }
  }

  #environment({ config = [], credential, protocols = [] }: GitCall): Record<string, string> {
    const { env } = this.#options
    const settings = [...SETTINGS, ...config]
    if (credential !== undefined) {
      // The empty helper in SETTINGS comes first and clears all others. Git uses this helper for one origin only.
      settings.push([`credential.${credential.origin}.helper`, CREDENTIAL_HELPER])
    }
    const passed = PASSED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))
    const certificates = env['GIT_SSL_CAINFO'] ?? env['SSL_CERT_FILE']
    return {
      ...Object.fromEntries(passed),
      ...(certificates === undefined ? {} : { GIT_SSL_CAINFO: certificates }),
      LC_ALL: 'C',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_ATTR_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: '',
      GIT_OPTIONAL_LOCKS: '0',
      // This wins over every `protocol.*` setting.
      GIT_ALLOW_PROTOCOL: [...this.#options.protocols, ...protocols].join(':'),
      // Settings are not passed with `-c`: a key may hold a `=`, and every process can read arguments.
      GIT_CONFIG_COUNT: String(settings.length),
      ...Object.fromEntries(
        settings.flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
    }
  }
}

function giveCredential(child: ChildProcess, { username, password }: Credential): void {
  const pipe = child.stdio[CREDENTIAL_FD]
  if (pipe === null || pipe === undefined || !('write' in pipe)) return
  // The pipe stays unread when the server asks for no credential.
  pipe.on('error', () => {})
  pipe.end(`username=${username}\npassword=${password}\n`)
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The process has already ended.
  }
}

function collect(
  stream: NodeJS.ReadableStream | null,
  stop: () => void,
): { readonly overflown: boolean; text(): string; bytes(): Buffer } {
  const chunks: Buffer[] = []
  let bytes = 0
  stream?.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > OUTPUT_BYTES_MAX) stop()
    else chunks.push(chunk)
  })
  return {
    get overflown() {
      return bytes > OUTPUT_BYTES_MAX
    },
    // The output may list files whose names are not UTF-8.
    text: () => nameToText(Buffer.concat(chunks)),
    bytes: () => Buffer.concat(chunks),
  }
}

/** Returns the git command, which follows the options that name folders. */
function commandOf(args: readonly string[]): string {
  return args.find((arg) => !arg.startsWith('-')) ?? ''
}

/** Returns git's last lines, shortened and without credentials. */
function lastWords(stderr: string, credential: Credential | undefined): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '')
  const text = withoutUserInfo(lines.slice(-3).join(' ')).slice(0, MESSAGE_CHARS_MAX)
  const safe = credential === undefined ? text : text.replaceAll(credential.password, '[redacted]')
  return safe === '' ? 'it did not say why' : safe
}
