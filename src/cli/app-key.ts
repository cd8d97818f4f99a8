import { execFile } from 'node:child_process'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { RunnerError, toMessage } from '../errors.ts'

/** A PEM file of RSA 4096 has some 3,300 bytes. */
const KEY_BYTES_MAX = 32 * 1024
/** A password manager may ask its owner first. */
const COMMAND_MS_MAX = 120_000

/** Where an App's private key is; it is never written anywhere. */
export interface KeySource {
  /** A PEM file; `-` is stdin. */
  file?: string
  /** The name of a variable. */
  variable?: string
  /** A shell command that prints it, as `op read …` and `pass show …` do. */
  command?: string
}

/**
 * The key in PEM of PKCS#8, and nothing that stood around it. PKCS#1 is read too, and a literal `\n` counts as a line's
 * end, as in variables that hold one line.
 *
 * @throws {RunnerError} `config_invalid`, without anything of the key.
 */
export async function readAppKey(
  source: KeySource,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const { name, read } = reader(source, env)
  let pem: string
  try {
    pem = (await read()).replaceAll('\\n', '\n').trim()
  } catch (error) {
    throw refused(name, toMessage(error))
  }
  if (pem === '') throw refused(name, 'it is empty')
  if (Buffer.byteLength(pem) > KEY_BYTES_MAX) throw refused(name, `it is longer than ${KEY_BYTES_MAX} bytes`)
  const key = rsaKey(pem)
  if (key === undefined)
    throw refused(
      name,
      'it is no RSA private key in PEM without a passphrase; GitHub shows one once, when it makes it',
    )
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function reader(
  { file, variable, command }: KeySource,
  env: Readonly<Record<string, string | undefined>>,
): { name: string; read(): Promise<string> } {
  const named = [file, variable, command].filter((each) => each !== undefined)
  if (named.length !== 1)
    throw refused('the App’s key', 'name it once, by --key-file, --key-env or --key-command')
  if (file === '-') return { name: 'stdin', read: () => text(process.stdin) }
  if (file !== undefined) return { name: `--key-file ${file}`, read: () => readFile(file, 'utf8') }
  if (variable !== undefined) return { name: `--key-env ${variable}`, read: async () => env[variable] ?? '' }
  return { name: '--key-command', read: () => output(command ?? '', env) }
}

/** What the command prints. What it says on stderr is its user's to read, so it goes there; stdin is not its own. */
async function output(command: string, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const options = { env: { ...env }, timeout: COMMAND_MS_MAX, maxBuffer: KEY_BYTES_MAX * 2 }
  const running = promisify(execFile)('/bin/sh', ['-c', command], options)
  running.child.stdin?.end()
  running.child.stderr?.pipe(process.stderr)
  try {
    return (await running).stdout
  } catch (error) {
    // The message of execFile repeats the command and its output.
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
    throw new Error((code ?? null) === null ? 'it was stopped' : `it ended with ${String(code)}`, {
      cause: error,
    })
  }
}

function rsaKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem)
    return key.asymmetricKeyType === 'rsa' ? key : undefined
  } catch {
    return undefined
  }
}

function refused(name: string, why: string): RunnerError {
  return new RunnerError('config_invalid', `${name}: ${why}.`)
}
