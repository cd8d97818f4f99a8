// Finds out whether a process got as far as running behind the policy.
import type { ChildProcess } from 'node:child_process'
import { toMessage } from '../../errors.ts'

const TRIAL_MS_MAX = 10_000
const STDERR_TAIL_CHARS = 300

export interface Attempt {
  /** Why the process could not be started; undefined when it was started, or is still starting. */
  readonly problem: string | undefined
}

/** Watches a start. A process that exits with an error and an empty stdout counts as not started. */
export function watch(child: ChildProcess): Attempt {
  const tail = tailOf(child)
  const attempt: { problem: string | undefined } = { problem: undefined }
  child.once('error', (error) => {
    attempt.problem = toMessage(error)
  })
  child.once('close', (code) => {
    if (code !== null && code !== 0 && !hasSpoken(child)) attempt.problem = tail() || `it ended with ${code}`
  })
  return attempt
}

/** Waits for a trial process to end; returns what went wrong, or undefined when it exited with 0. */
export async function endOf(child: ChildProcess): Promise<string | undefined> {
  const timer = setTimeout(() => child.kill('SIGKILL'), TRIAL_MS_MAX)
  const tail = tailOf(child)
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve)
    child.once('error', () => resolve(null))
  })
  clearTimeout(timer)
  return code === 0 ? undefined : tail() || `the trial ended with ${code}`
}

function hasSpoken({ stdout }: ChildProcess): boolean {
  return stdout !== null && 'bytesRead' in stdout && stdout.bytesRead !== 0
}

function tailOf(child: ChildProcess): () => string {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer | string) => {
    said = (said + String(chunk)).slice(-STDERR_TAIL_CHARS)
  })
  return () => said.trim()
}
