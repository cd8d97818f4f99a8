import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { RunnerError, toMessage } from '../errors.ts'
import { exec } from './exec.ts'
import type { Gateway } from './gateway-client.ts'
import { isFailure } from './gateway-failure.ts'
import type { UploadPlan } from './sandbox-plan.ts'
import { inside, type SandboxAt } from './service.ts'

/** Size from which on a part is sent as one exec's stdin, in bytes. A request has at most 1 MiB. */
const PART_BYTES = 768 * 1024
/** The platform's pauses before each new attempt, in milliseconds (control-plane.md 3.8). */
export const UPLOAD_PAUSES: readonly number[] = [1000, 2000, 4000, 8000]
const STDERR_CHARS_MAX = 2000

export interface UploadWants {
  sandbox: SandboxAt
  signal: AbortSignal
  /** The pauses before each new attempt, in milliseconds. */
  pauses: readonly number[]
}

/**
 * Puts a file, or a folder's content, into a folder of the sandbox. It is sent as a tar in parts, because an exec takes
 * little input. A part that is sent twice replaces itself, so a broken stream is tried again.
 *
 * @throws {RunnerError} `sandbox_failed` when a command in the sandbox fails; `config_invalid` for an unreadable
 *   source.
 * @throws {GatewayFailure}
 */
export async function upload(
  gateway: Gateway,
  { source, target }: UploadPlan,
  { sandbox, signal, pauses }: UploadWants,
): Promise<void> {
  const folder = `/tmp/agui-runner-upload-${randomBytes(6).toString('hex')}`
  const run = async (script: string, words: string[], stdin: Uint8Array = Buffer.alloc(0)): Promise<void> => {
    const command = ['/bin/sh', '-ec', script, 'upload', ...words]
    await runAgain(gateway, { ...inside(sandbox), command, stdin }, { what: source, signal, pauses })
  }
  try {
    let part = 0
    for await (const data of partsOf(source, signal)) {
      const name = String(part++).padStart(8, '0')
      await run('umask 077; mkdir -p "$1"; cat >"$1/$2"', [folder, name], data)
    }
    await run('mkdir -p "$2"; cat "$1"/* | tar -xf - -C "$2"', [folder, target])
  } finally {
    // When this fails too, the parts are removed with the sandbox.
    if (!signal.aborted) await run('rm -rf "$1"', [folder]).catch(() => undefined)
  }
}

interface RunWants {
  what: string
  signal: AbortSignal
  pauses: readonly number[]
}

async function runAgain(
  gateway: Gateway,
  request: Parameters<typeof exec>[1],
  { what, signal, pauses }: RunWants,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    let said = ''
    const onOutput = (data: Uint8Array): void => {
      said = (said + Buffer.from(data).toString('utf8')).slice(-STDERR_CHARS_MAX)
    }
    try {
      const code = await exec(gateway, request, { signal, onOutput })
      if (code === 0) return
      throw new RunnerError(
        'sandbox_failed',
        `The upload of ${what} ended with ${code} in the sandbox: ${said.trim()}`,
      )
    } catch (error) {
      const pause = isFailure(error, 'again') ? pauses[attempt] : undefined
      if (pause === undefined) throw error
      await delay(pause, undefined, { signal })
    }
  }
}

/** Yields the tar of a file or of a folder's content, in parts. @throws {RunnerError} `config_invalid`. */
async function* partsOf(source: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const path = resolve(source)
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      throw unreadable(source, toMessage(error))
    },
  )
  const words = isFolder ? ['-C', path, '.'] : ['-C', dirname(path), '--', basename(path)]
  const tar = spawn('tar', ['-cf', '-', ...words], { stdio: ['ignore', 'pipe', 'pipe'], signal })
  const closed = once(tar, 'close')
  // `closed` is awaited below. This handler keeps an earlier failure from being an unhandled rejection.
  closed.catch(() => undefined)
  let said = ''
  tar.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_CHARS_MAX)
  })
  try {
    yield* gathered(tar.stdout, PART_BYTES)
    const [code] = await closed
    if (code !== 0) throw unreadable(source, said.trim())
  } finally {
    tar.kill('SIGKILL')
  }
}

async function* gathered(stream: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    held.push(chunk)
    length += chunk.length
    if (length < bytes) continue
    yield Buffer.concat(held)
    held = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(held)
}

function unreadable(source: string, why: string): RunnerError {
  return new RunnerError('config_invalid', `${source} cannot be uploaded: ${why}`)
}
