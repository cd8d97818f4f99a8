// Living processes as the kernel has them, found by what stands in their command line or environment.
import { readdirSync, readFileSync } from 'node:fs'
import type { Bench } from './runner.ts'

/** For `expect.poll`: a loop that looks without a pause takes the core that the awaited process needs. */
export const PATIENT = { timeout: 20_000 }

/** A pid that a test may signal. `kill` takes 0 for the test's own group, and -1 for every process there is. */
export function pidOf(pid: number | undefined): number {
  if (pid === undefined) throw new Error('the process that a signal is for is not there')
  return pid
}

/** What the kernel has of a process; empty when it has just ended. */
export function readProcess(pid: string | number, file: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Pids of living processes whose command line holds `text`. */
export function processesWith(text: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => readProcess(pid, 'cmdline').includes(text)).map(Number)
}

/** The Claude Code processes of a bench's runners. */
export function claudeOf(bench: Bench): number[] {
  return processesWith('--output-format stream-json').filter((pid) =>
    readProcess(pid, 'environ').includes(bench.directory),
  )
}
