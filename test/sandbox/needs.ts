// Suites that need bubblewrap install it when they may; else they say why they did not run.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { findTools } from '../../src/sandbox/bwrap/tools.ts'

const APT = '/usr/bin/apt-get'
const INSTALL_MS_MAX = 120_000

/** Why the suite cannot run here; undefined when it can. A failure where CI=true. */
export function missingNeed(programs: readonly string[] = []): string | undefined {
  const reason = findNeed(programs)
  if (reason !== undefined && process.env['CI'] === 'true') throw new Error(reason)
  return reason
}

function findNeed(programs: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'local enforcement is for Linux'
  if ('missing' in findTools()) install()
  const found = findTools()
  if ('missing' in found) return `${found.missing.join(', ')} cannot be installed here`
  const absent = programs.filter((program) => !existsSync(program))
  return absent.length > 0 ? `${absent.join(', ')} not installed` : undefined
}

function install(): void {
  if (process.getuid?.() !== 0) return
  try {
    const options = { timeout: INSTALL_MS_MAX, stdio: 'ignore' } as const
    execFileSync(APT, ['update', '-qq'], options)
    execFileSync(APT, ['install', '-y', '-qq', 'bubblewrap', 'util-linux'], options)
  } catch {
    // What is missing then is told by name.
  }
}
