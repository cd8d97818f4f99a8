import { open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { createStream } from 'rotating-file-stream'
import { RunnerError, toMessage } from '../errors.ts'
import type { Noted } from './door.ts'

/** The record of one request. It holds no header value, body or prompt. */
export interface AuditLine extends Omit<Noted, 'refusal'> {
  session: string
  door: string | undefined
  method: string
  path: string
  verdict: 'allow' | 'deny'
  reason: string | undefined
  status?: number | undefined
  ms?: number
  bytesIn?: number
  bytesOut?: number
  /** The policy rule that decided. */
  rule?: string | undefined
}

const FILE_SIZE = '10M'
const FILES_MAX = 5

export interface Audit {
  write(line: AuditLine): void
  /** Resolves when every line is in the file. */
  close(): Promise<void>
}

/**
 * Opens the audit: JSON lines in a file of its own, mode 0600, rotated.
 *
 * @throws {RunnerError} `config_invalid` when it cannot be written. The library would try for ever, and say nothing.
 */
export async function openAudit(file: string, onFailure: (error: Error) => void): Promise<Audit> {
  try {
    await (await open(file, 'a', 0o600)).close()
  } catch (error) {
    throw new RunnerError('config_invalid', `--audit cannot be written: ${toMessage(error)}.`)
  }
  const stream = createStream(basename(file), {
    path: dirname(file),
    size: FILE_SIZE,
    rotate: FILES_MAX,
    mode: 0o600,
  })
  stream.on('error', onFailure)
  return {
    write(line) {
      stream.write(`${JSON.stringify({ at: new Date().toISOString(), ...line })}\n`)
    },
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  }
}
