import { readdirSync, readFileSync } from 'node:fs'

/** What the kernel has of a process; empty when it has just ended. */
function readProcess(pid: string | number, file: 'cmdline' | 'environ'): string {
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

/** Pids of the Claude Code processes that were started with something of this folder in their environment. */
export function claudeOf({ directory }: { directory: string }): number[] {
  return processesWith('--output-format stream-json').filter((pid) =>
    readProcess(pid, 'environ').includes(directory),
  )
}
