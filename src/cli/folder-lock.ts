import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const LOCK_FILE = 'runner.lock'
/** Limit of the wait for a holder that is ending, and the time between two attempts, in milliseconds. */
const WAIT_MS = 1000
const RETRY_MS = 50
/** Limit of one attempt, in milliseconds: a network file system may not answer. */
const ATTEMPT_MS = 5000
/** Exit code of flock(1) for a lock that is held. */
const HELD = 1

export interface FolderLock {
  /** Idempotent. */
  release(): void
}

/**
 * Locks a file in the state folder. The lock holds across network namespaces, such as those of two containers on one
 * volume, which a listening socket does not. Node cannot lock files; flock(1) locks the file that this process has open,
 * and the kernel keeps the lock until this process ends. Where flock(1) or the file system cannot do it, nothing
 * is locked.
 *
 * @returns undefined when another process holds the lock.
 */
export async function lockFolder(stateDirectory: string): Promise<FolderLock | undefined> {
  const file = open(join(stateDirectory, LOCK_FILE))
  if (file === undefined) return { release() {} }
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    if ((await lock(file)) !== HELD) return lockBy(file)
    if (waitedMs >= WAIT_MS) break
    await delay(RETRY_MS)
  }
  closeSync(file)
  return undefined
}

function lockBy(file: number): FolderLock {
  let isHeld = true
  return {
    release() {
      if (isHeld) closeSync(file)
      isHeld = false
    },
  }
}

/** Returns undefined where no file can be made; whoever needs to write there reports that. */
function open(path: string): number | undefined {
  try {
    return openSync(path, 'a', 0o600)
  } catch {
    return undefined
  }
}

/** Returns the exit code of flock(1); none when it cannot be started or was stopped at the limit. */
async function lock(file: number): Promise<unknown> {
  const child = spawn('flock', ['-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
    timeout: ATTEMPT_MS,
    killSignal: 'SIGKILL',
  })
  try {
    const [code] = await once(child, 'close')
    return code
  } catch {
    return undefined
  }
}
