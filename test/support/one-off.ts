import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Bench, BRIEF } from './runner.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

export interface OneOffProcess {
  readonly child: ChildProcessWithoutNullStreams
  stdout(): string
  stderr(): string
  /** Resolves when what came on that stream has `text` in it. */
  has(stream: 'stdout' | 'stderr', text: string): Promise<void>
  /** The exit code, or the signal's name. */
  readonly exited: Promise<number | string>
}

export interface OneOffStart {
  env?: Record<string, string>
  /** Given whole and closed; without it stdin is empty, with `null` it stays open. */
  input?: string | null
  /** On a terminal of its own: stdin, stdout and stderr are one. */
  onTerminal?: boolean
  /** The file that stdout goes to. */
  stdout?: string
  /** Default: the bench's workspace. */
  cwd?: string
  /** Default: `run`. */
  command?: string
  /** Whose process it is; default: the test's own. */
  user?: { uid: number; gid: number }
}

/** `agui-runner run` with these arguments on the bench's folders. */
export function startOneOff(bench: Bench, args: readonly string[], options: OneOffStart = {}): OneOffProcess {
  const { env = {}, input = '', onTerminal = false, command: name = 'run' } = options
  const command = [process.execPath, MAIN, name, ...args]
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  const [program = '', ...rest] = onTerminal
    ? ['script', '-qec', quoted, '/dev/null']
    : options.stdout === undefined
      ? command
      : ['sh', '-c', `exec ${quoted} >'${options.stdout}'`]
  const child = spawn(program, rest, {
    cwd: options.cwd ?? bench.workspace,
    ...options.user,
    env: {
      PATH: process.env['PATH'] ?? '',
      TMPDIR: bench.directory,
      HOME: bench.home,
      ...BRIEF,
      ...bench.gateway.environment,
      // The mock stands in for a sandbox that is enforced.
      OPENSHELL_SANDBOX: '1',
      ...env,
    },
  })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
    })
  child.stdin.on('error', () => {})
  if (!onTerminal && input !== null) child.stdin.end(input)
  const exited = once(child, 'close').then(
    ([code, signal]: (number | string | null)[]) => code ?? signal ?? -1,
  )
  return {
    child,
    exited,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    async has(stream, text) {
      const ended = exited.then((code) => {
        throw new Error(`it ended (${code}) without "${text}":\n${texts.stdout}\n${texts.stderr}`)
      })
      // Awaited only while it is looked for.
      ended.catch(() => {})
      while (!texts[stream].includes(text)) await Promise.race([once(child[stream], 'data'), ended])
    },
  }
}

/** The same to its end. */
export async function oneOff(bench: Bench, args: readonly string[], options: OneOffStart = {}) {
  const started = startOneOff(bench, args, options)
  const code = await started.exited
  return { code, stdout: started.stdout(), stderr: started.stderr() }
}
