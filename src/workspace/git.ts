import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { RunnerError, toMessage } from '../errors.ts'
import { within } from '../within.ts'
import { nameToText } from './file-name.ts'
import type { Folder } from './folder.ts'
import { type Credential, type GitProtocol, withoutUserInfo } from './repository-url.ts'

export type GitEnv = Readonly<Record<string, string | undefined>>

export interface GitOptions {
  /** Only what git needs of it is passed on. */
  env: GitEnv
  protocols: readonly GitProtocol[]
  timeoutMs: number
}

export interface GitCall {
  /** Where it runs. */
  folder: Folder
  signal: AbortSignal
  credential?: Credential | undefined
  /** Settings that win over every file's. */
  config?: readonly (readonly [key: string, value: string])[]
  /** Beside those of the options. */
  protocols?: readonly GitProtocol[]
}

export interface GitResult {
  code: number
  stdout: string
  stderr: string
  /** What `stdout` was made of; of the content of a file only these are what it holds. */
  bytes: Buffer
}

/** Of each output; a status of more than this is nobody's reading. */
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024
const MESSAGE_CHARS_MAX = 500
const CREDENTIAL_FD = 3

/** The way out, as for any program, and where programs are. */
const PASSED = [
  'PATH',
  'HTTPS_PROXY',
  'https_proxy',
  'HTTP_PROXY',
  'http_proxy',
  'ALL_PROXY',
  'all_proxy',
  'NO_PROXY',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
]

/**
 * Wins over the configuration of a repository, which whoever wrote the workspace has written: nothing in it makes git
 * start a program or speak to anybody else.
 */
const SETTINGS: readonly (readonly [string, string])[] = [
  // A runner that is root starts Claude Code as another user, whose repository this then is; git would refuse it.
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
  // Into one new file rather than into folders that may lead elsewhere.
  ['fetch.unpackLimit', '1'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['http.sslVerify', 'true'],
  ['init.defaultBranch', 'main'],
]

/**
 * Prints what it reads from the descriptor and keeps nothing. The descriptor is a socket, which, unlike a variable or
 * a file, nobody else can read through /proc.
 */
const CREDENTIAL_HELPER = `!f() { if test "$1" = get; then cat <&${CREDENTIAL_FD}; fi; }; f`

/** The `git` program, as little of it as can be: no settings of user or machine, no prompts, no inherited variables. */
export class Git {
  readonly #options: GitOptions

  constructor(options: GitOptions) {
    this.#options = options
  }

  get protocols(): readonly GitProtocol[] {
    return this.#options.protocols
  }

  /** @throws {RunnerError} `git_failed` when it says so, takes too long or cannot be started. */
  async run(args: readonly string[], call: GitCall): Promise<string> {
    const { code, stdout, stderr } = await this.tryRun(args, call)
    if (code === 0) return stdout
    throw new RunnerError(
      'git_failed',
      `git ${commandOf(args)} failed: ${lastWords(stderr, call.credential)}`,
    )
  }

  /** As `run`, for when failure is an answer. */
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
      // A group of its own: what git started for the transfer goes with it.
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
      // Behind the empty one above, which forgets every other helper; git asks it for this origin only.
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
      // Wins over every `protocol.*` setting.
      GIT_ALLOW_PROTOCOL: [...this.#options.protocols, ...protocols].join(':'),
      // Not as `-c`: a key may hold a `=` there, and arguments are for everybody to read.
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
  // A server that does not ask leaves it unread.
  pipe.on('error', () => {})
  pipe.end(`username=${username}\npassword=${password}\n`)
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
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
    // It lists files whose names may be no UTF-8.
    text: () => nameToText(Buffer.concat(chunks)),
    bytes: () => Buffer.concat(chunks),
  }
}

/** Behind the options that name folders. */
function commandOf(args: readonly string[]): string {
  return args.find((arg) => !arg.startsWith('-')) ?? ''
}

/** What git said last, fit to be shown. */
function lastWords(stderr: string, credential: Credential | undefined): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '')
  const text = withoutUserInfo(lines.slice(-3).join(' ')).slice(0, MESSAGE_CHARS_MAX)
  const safe = credential === undefined ? text : text.replaceAll(credential.password, '[redacted]')
  return safe === '' ? 'it did not say why' : safe
}
