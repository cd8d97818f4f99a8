import { execFile } from 'node:child_process'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { RunnerError, toMessage } from '../errors.ts'

/** Upper bound of a key, in bytes. A PEM file of RSA 4096 has about 3,300. */
const KEY_BYTES_MAX = 32 * 1024
/** Limit of the command, in milliseconds. A password manager may ask its owner first. */
const COMMAND_MS_MAX = 120_000

/** The place of an App's private key, exactly one of the three. The key is never written anywhere. */
export interface KeySource {
  /** The path of a PEM file; `-` is stdin. */
  file?: string
  /** The name of the variable that holds it. */
  variable?: string
  /** A shell command that prints it, as `op read …` and `pass show …` do. */
  command?: string
}

/**
 * Reads the key and returns it as PEM of PKCS#8 alone. PKCS#1 is read too. Its lines may have become one, with literal
 * `\n`, blanks or nothing between them, as happens in variables and forms of one line.
 *
 * @throws {RunnerError} `config_invalid`, without any part of the key.
 */
export async function readAppKey(
  source: KeySource,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const { name, read } = reader(source, env)
  let pem: string
  try {
    pem = (await read()).trim()
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

/** Runs the command and returns its stdout. Its stderr is passed on to the user, and its stdin is empty. */
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

const PEM = /-----BEGIN (RSA )?PRIVATE KEY-----([^-]+)-----END \1?PRIVATE KEY-----/

function rsaKey(text: string): KeyObject | undefined {
  const [, isPkcs1, body = ''] = PEM.exec(text) ?? []
  // What else may stand there, such as the header of an encrypted key, makes it no key.
  const der = Buffer.from(body.replace(/\\[rnt]|\s/g, ''), 'base64')
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: isPkcs1 === undefined ? 'pkcs8' : 'pkcs1' })
    return key.asymmetricKeyType === 'rsa' ? key : undefined
  } catch {
    return undefined
  }
}

function refused(name: string, why: string): RunnerError {
  return new RunnerError('config_invalid', `${name}: ${why}.`)
}
